"""Who has a file open for writing. The tests run on Linux, which tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.reload import writers
from runner.reload.writers import written

pytestmark = pytest.mark.quick


def test_a_file_is_written_while_it_is_open_for_that(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    assert written([one, two]) is False
    with two.open("a"):
        assert written([one, two]) is True
    with two.open():
        assert written([one, two]) is False


def test_what_is_no_file_cannot_be_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    there = tmp_path / "there"
    there.write_text("1")
    for other in ("pipe", "nothing", "."):
        assert written([there, tmp_path / other]) is None


def test_another_system_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "fcntl", None)
    assert written([tmp_path]) is None


LATE_WRITER = """
import pathlib, sys, threading, time
from runner.reload import writers

file = pathlib.Path(sys.argv[1])
file.write_text("x")
real, opened = writers.fcntl, threading.Event()

def write():
    with file.open("a"):
        opened.set()

class Held:
    def __getattr__(self, name):
        return getattr(real, name)
    def fcntl(self, descriptor, command, value):
        done = real.fcntl(descriptor, command, value)
        if (command, value) == (real.F_SETLEASE, real.F_RDLCK):
            threading.Thread(target=write).start()
            assert not opened.wait(0.1)  # the kernel holds the writer back: we have the lease
        return done

writers.fcntl = Held()
print(writers.written([file]), opened.wait(10))
"""


def test_a_writer_that_comes_while_we_look_is_neither_refused_nor_ends_us(tmp_path: Path) -> None:
    """The kernel breaks the lease with a signal, which by itself would end the process."""
    done = subprocess.run(
        [sys.executable, "-c", LATE_WRITER, str(tmp_path / "file")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False True\n", "")
