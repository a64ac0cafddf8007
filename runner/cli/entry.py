"""The entry point of `rtrun`: small, so that Ctrl-C in the first moment meets no half-done import.

Python turns SIGINT into an exception from its start on, which would end the loading of some module
with a traceback of several screens. Until the command stands there is nothing to tidy up, so the
signal may end the process by itself; the same holds once all is tidied up.
"""

from __future__ import annotations

import signal


def main() -> None:
    """See runner.cli.main. A process that Ctrl-C ends early ends by the signal, without a word."""
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not under nohup
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from runner.cli.main import main as command

    try:
        if raises:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command()
    finally:
        if raises:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
