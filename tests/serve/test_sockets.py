"""Where control sockets stand, and who may be trusted with one."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runner.errors import InputError
from runner.serve import sockets as s

pytestmark = pytest.mark.quick


def fallback() -> Path:
    return Path(tempfile.gettempdir()) / f"rtrun-{os.geteuid()}"


def bound(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    made.listen()
    return made


def dead_pid() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait(30)
    return child.pid


def test_the_folder_is_made_for_this_user_alone(runtime: Path) -> None:
    before = os.umask(0)
    try:
        folder = s.own_folder()
    finally:
        os.umask(before)
    assert folder == runtime / "rtrun"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert s.own_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700, "it was left open, and is closed"


@pytest.mark.parametrize("value", ["", "relative", "/nowhere/at/all"])
def test_without_a_runtime_folder_it_stands_in_the_temporary_one(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", value)
    assert s.own_folder() == fallback()
    assert stat.S_IMODE(fallback().stat().st_mode) == 0o700


def test_a_path_too_long_for_a_socket_is_passed_over(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = runtime / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert s.own_folder() == fallback()
    bound(s.socket_of(fallback(), 4_194_304)).close()


def test_a_folder_of_somebody_else_is_refused(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    if os.geteuid() == 0:
        fallback().mkdir()
        os.chown(fallback(), 12345, 12345)
    else:
        # Nobody can give a folder away but root; a link leads to one of somebody else's.
        fallback().symlink_to("/")
        assert not s.private(Path("/"))
    with pytest.raises(InputError, match="not a folder of yours"):
        s.own_folder()
    assert s.doors() == []


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_only_looks_like_the_folder_is_refused(
    kind: str, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    if kind == "link":
        fallback().symlink_to(runtime)
        bound(runtime / "1.sock").close()
    else:
        fallback().write_text("")
    with pytest.raises(InputError):
        s.own_folder()
    assert s.doors() == []


def test_sockets_of_both_places_are_found_and_nothing_else(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = s.own_folder()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    second = s.own_folder()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    bound(first / "20.sock").close()
    bound(second / "3.sock").close()
    bound(first / "x20.sock").close()
    bound(first / "020.sock").close()
    (first / "4.sock").write_text("no socket")
    (first / "5.sock").symlink_to(first / "20.sock")
    assert s.doors() == [(3, second / "3.sock"), (20, first / "20.sock")]


def test_what_a_killed_process_left_is_swept_up_and_nothing_else(runtime: Path) -> None:
    folder = s.own_folder()
    left = s.socket_of(folder, dead_pid())
    bound(left).close()
    starting = s.socket_of(folder, os.getppid())
    bound(starting).close()  # answers nobody yet, and its process is there
    open_ = s.socket_of(folder, os.getpid())
    with bound(open_):
        s.sweep_all()
        assert not left.exists()
        assert starting.exists()
        assert open_.exists()


def test_a_door_of_somebody_else_is_not_knocked_at(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = s.own_folder()
    bound(s.socket_of(folder, 7)).close()
    s.card_of(folder, 8).write_text('{"url": "http://127.0.0.1:9", "token": "theirs"}')
    s.card_of(folder, 9).symlink_to(s.card_of(folder, 8))
    assert [pid for pid, _ in s.doors()] == [7, 8], "a link is no card"
    monkeypatch.setattr(s, "private", lambda folder: True)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert s.doors() == []
