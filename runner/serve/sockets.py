"""Where running processes can be reached by their own user: one UNIX socket each, in a folder that
nobody else can look into. ``PID.sock``; what a killed process left behind is swept up. Where there
are no UNIX sockets, ``PID.json`` says the address and the token of its admin port."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import tempfile
from pathlib import Path

from runner.errors import InputError

#: sun_path of sockaddr_un holds 104 bytes on BSD and macOS, 108 on Linux, with the closing zero.
LONGEST_PATH = 103
_NAME = re.compile(r"^([1-9][0-9]*)\.(?:sock|json)$")


def supported() -> bool:
    """Windows has no UNIX sockets that Python's loops can serve."""
    return os.name == "posix" and hasattr(socket, "AF_UNIX")


def folders() -> list[Path]:
    """Where sockets of this user may stand, the best place first. A process started without
    XDG_RUNTIME_DIR (cron, a service) is in the second one."""
    out = []
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        out.append(Path(runtime) / "rtrun")
    user = _user()
    try:
        temporary = tempfile.gettempdir()
    except OSError:
        return out  # the disk is full: nothing can be written to any
    # The temporary folder of Windows is the user's own.
    out.append(Path(temporary) / ("rtrun" if user is None else f"rtrun-{user}"))
    return out


def _user() -> int | None:
    return os.geteuid() if hasattr(os, "geteuid") else None


def own_folder() -> Path:
    """A folder of this user alone, made when it is not there. InputError when there is none."""
    error = InputError("there is no folder for control sockets")
    for folder in folders():
        if len(os.fsencode(folder / "4194304.sock")) > LONGEST_PATH:
            error = InputError(f"{folder}: the path is too long for a socket")
            continue
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if not private(folder):
                error = InputError(f"{folder} is not a folder of yours", "remove it")
                continue
            # An earlier umask, or a hand, may have left it open.
            folder.chmod(0o700)
        except OSError as problem:
            error = InputError(f"{folder}: {problem.strerror}")
            continue
        return folder
    raise error


def private(folder: Path) -> bool:
    """A real folder (no link to one) that belongs to this user."""
    found = os.lstat(folder)
    return stat.S_ISDIR(found.st_mode) and _user() in (None, found.st_uid)


def socket_of(folder: Path, pid: int) -> Path:
    return folder / f"{pid}.sock"


def card_of(folder: Path, pid: int) -> Path:
    return folder / f"{pid}.json"


def doors() -> list[tuple[int, Path]]:
    """``(pid, socket or card)`` of each process of this user that may be running, by pid."""
    found: dict[Path, int] = {}
    for folder in folders():
        try:
            if not private(folder):
                continue
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            match = _NAME.match(name)
            path = folder / name
            if match is not None and _is_own(path):
                found[path] = int(match[1])
    return sorted((pid, path) for path, pid in found.items())


def _is_own(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    fits = stat.S_ISREG if path.suffix == ".json" else stat.S_ISSOCK
    return fits(found.st_mode) and _user() in (None, found.st_uid)


def sweep(pid: int, path: Path) -> None:
    """``path`` answers nobody: remove it, unless its process is there and is just beginning."""
    try:
        if os.name == "posix":
            os.kill(pid, 0)
        else:  # signal 0 is Ctrl-C there, and a card is written behind an open port
            raise ProcessLookupError
    except ProcessLookupError:
        with contextlib.suppress(OSError):
            path.unlink()
    except OSError:
        return


def sweep_all() -> None:
    """Remove the sockets and cards of processes that are gone."""
    for pid, path in doors():
        if path.suffix == ".json":
            sweep(pid, path)
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(0.2)
            try:
                knock.connect(str(path))
            except ConnectionRefusedError:
                sweep(pid, path)
            except OSError:
                continue
