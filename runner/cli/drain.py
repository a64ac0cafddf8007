"""`rtrun drain`: end a process when its calls have ended."""

from __future__ import annotations

import contextlib
import os
import select
import time

import click

from runner.cli import targets, words
from runner.config.units import seconds
from runner.errors import RtrunError, UsageError
from runner.serve.reach import Found, Process

#: After its last word a process still ends its engine.
_END_SECONDS = 30.0


@click.command("drain")
@targets.chosen
@click.option("--all", "all_", is_flag=True, help="Every rtrun of yours.")
@click.option("--deadline", metavar="TIME", help="End the calls that are left after it, as 90s.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the end.")
def drain(
    deployment: str | None, pid: int | None, all_: bool, deadline: str | None, no_wait: bool
) -> None:
    """Take no more calls, let those on the line end their turn, and end the process.

    A process ends whole: when it runs other deployments too, name it by --pid. Waits for the end.
    """
    after = None if deadline is None else _seconds(deadline)
    found = targets.running(pid)
    if not all_:
        found = [_one(found, deployment, pid)]
    elif deployment is not None or pid is not None:
        raise UsageError("--all goes without --deployment and --pid")
    streams = []
    for process, _ in found:
        end = _End(process.pid)
        first, lines = process.stream({"do": "drain", "deadline": after})
        names = ", ".join(words.clean(name) for name in first["deployments"])
        calls = words.count(int(first["calls"]), "call")
        print(f"draining {names} (process {process.pid}): {calls} on the line", flush=True)
        streams.append((process.pid, end, lines))
    for number, end, lines in () if no_wait else streams:
        for _ in lines:
            continue
        end.wait()
        print(f"process {number} has ended", flush=True)


def _one(found: Found, deployment: str | None, pid: int | None) -> tuple[Process, targets.Row]:
    if pid is None:
        target = targets.one(deployment, None)
        row = next(told for process, told in found if process.pid == target.process.pid)
        others = [entry["deployment"] for entry in row["deployments"]]
        if len(others) > 1:
            raise UsageError(
                f"process {target.process.pid} runs {', '.join(map(words.clean, others))}",
                f"to end them all: rtrun drain --pid {target.process.pid}",
            )
        return target.process, row
    return found[0]


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        raise UsageError(f"--deadline {text}: not a time", "such as 30s or 5m") from None


class _End:
    """Waits for the end of a process of ours, also of one whose parent has not asked for it yet."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._file: int | None = None
        with contextlib.suppress(AttributeError, OSError):  # Linux alone has it
            self._file = os.pidfd_open(pid)

    def wait(self) -> None:
        """RtrunError when it does not end."""
        end = time.monotonic() + _END_SECONDS
        while time.monotonic() < end:
            if self._ended():
                return
        raise RtrunError(f"process {self._pid} has said its last word and is still there")

    def _ended(self) -> bool:
        if self._file is not None:
            return bool(select.select([self._file], [], [], 0.5)[0])
        if os.name != "posix":
            return True  # signal 0 is Ctrl-C there
        time.sleep(0.02)
        try:
            os.kill(self._pid, 0)
        except OSError:
            return True
        return False
