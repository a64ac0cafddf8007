"""The threads that the speech models run on."""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor

#: How far behind: half as much of a core that both want, and the loop first. With 10 the sound of
#: 20 calls was better still on a machine with other work, and a single caller's words were
#: recognised five times as late.
NICE = 3


def worker(name: str) -> ThreadPoolExecutor:
    """One thread, behind the event loop's when the two want the same core: words may come a little
    later, a packet of somebody's call may not. On Linux alone, where each thread has a niceness of
    its own; elsewhere it is the process's."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=_behind)


def _behind() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.nice(NICE)


__all__ = ["NICE", "worker"]
