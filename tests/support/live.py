"""A process that runs deployments with a typed call on each, and `rtrun tail` of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.command import Command, Row, environment

SHOP = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
agents:
  desk:
    instructions: Say one.
"""


def shop(folder: Path, name: str = "shop", words: str = "Say one.") -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(SHOP.replace("Say one.", words))
    return file


@contextmanager
def running(engine: str, *files: Path, flags: tuple[str, ...] = ()) -> Iterator[Command]:
    """A process with one typed call on each file, whose input stays open."""
    names = [str(file) for file in files]
    with Command("run", *names, "--engine", engine, "--text", *flags) as run:
        for _ in files:
            run.wait_for("session_start")
        yield run


def sessions(run: Command) -> dict[str, str]:
    return {row["deployment"]: row["session"] for row in run.of("session_start")}


class Tail:
    """A running `rtrun tail`."""

    def __init__(self, *args: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runner.cli.main", "tail", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def rows(self) -> list[Row]:
        """All that came, once the other side has closed."""
        out, err = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def next(self) -> Row:
        assert self.process.stdout is not None
        row: Row = json.loads(self.process.stdout.readline())
        return row

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def __enter__(self) -> Tail:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def tailing(*args: str) -> Iterator[Tail]:
    """Past the moment in which the process has taken the reader in."""
    with Tail(*args) as tail:
        assert tail.process.stderr is not None
        assert tail.process.stderr.readline().endswith(", from now on\n")
        yield tail


def ended(run: Command) -> int:
    run.end_input()
    return run.finish()
