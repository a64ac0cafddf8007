"""The command as a user runs it: a child process, its JSON log read line by line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]


def environment(**extra: str) -> dict[str, str]:
    # pytest-xdist tells its workers the size of a terminal that is not the command's.
    not_ours = ("OPENAI_", "RTRUN_", "COLUMNS", "LINES")
    env = {k: v for k, v in os.environ.items() if not k.startswith(not_ours)}
    return {**env, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **extra}


def rtrun(*args: str, timeout: float = 60, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run to the end, whatever the exit code."""
    return subprocess.run(
        [sys.executable, "-m", "runner.cli.main", *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(),
        check=False,
    )


def invoke(*args: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Exit code, standard output, standard error of a verb that is done at once, run in this
    process through the command's own entry."""
    out, err = io.StringIO(), io.StringIO()
    was, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(arg) for arg in args])
    except SystemExit as left:
        return int(left.code or 0), out.getvalue(), err.getvalue()
    finally:
        sys.stdin = was
    raise AssertionError("main() returned")


def kill_engine(parent: int) -> None:
    """End the local engine of the process ``parent`` as a crash would."""
    words = ["pgrep", "-P", str(parent), "-f", "runner.cli.main engine"]
    found = subprocess.run(words, capture_output=True, text=True, check=True)
    (child,) = found.stdout.split()
    os.kill(int(child), signal.SIGKILL)


class Command:
    """A running `rtrun ... --log-format json`."""

    def __init__(self, *args: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner.cli.main", *args, "--log-format", "json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**(env or {})),
        )
        self.rows: list[Row] = []
        self.times: list[float] = []
        self.errors: list[str] = []
        self._arrived: queue.Queue[Row | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._arrived.put(json.loads(line))
        self._arrived.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def wait_for(
        self, event: str, where: Callable[[Row], bool] = lambda row: True, timeout: float = 30
    ) -> Row:
        """The next row of this event for which ``where`` holds; AssertionError with the whole
        log when none comes."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                row = self._arrived.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                row = None
            if row is None:
                raise AssertionError(f"no {event} came\n{self.story()}")
            self.rows.append(row)
            self.times.append(time.monotonic())
            if row["event"] == event and where(row):
                return row

    def finish(self, timeout: float = 30) -> int:
        """The exit code, once it has ended by itself."""
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        while (row := self._arrived.get()) is not None:
            self.rows.append(row)
        return code

    def of(self, event: str) -> list[Row]:
        return [row for row in self.rows if row["event"] == event]

    def story(self) -> str:
        return "\n".join([*(json.dumps(row) for row in self.rows), *self.errors])

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
