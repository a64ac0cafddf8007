"""Reach the running processes of this user by their control sockets. For a command that asks and
ends: plain blocking sockets, each wait with a deadline."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.codec import dumps, loads
from runner.errors import RtrunError
from runner.serve.control import Waiting
from runner.serve.sockets import sockets, sweep

SECONDS = 5.0
#: A response holds the arguments of every call that waits.
MAX_RESPONSE = 16 * 1024 * 1024


class Gone(RtrunError):
    """The process ended before it answered."""


class Silent(RtrunError):
    """The process runs and does not answer as one of ours, or not in time."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running rtrun that answered."""

    pid: int
    socket: Path
    deployment: str
    approvals: tuple[Waiting, ...]

    def decide(
        self, waiting: Waiting, *, yes: bool, message: str | None = None, always: bool = False
    ) -> bool:
        """Answer a call that waits; False when it waits no more. Gone, Silent."""
        request = {
            "do": "decide",
            "session": waiting.session,
            "call_id": waiting.call_id,
            "yes": yes,
            "message": message,
            "always": always,
        }
        return bool(_ask(self.pid, self.socket, request).get("done"))


def processes() -> tuple[list[Process], list[Silent]]:
    """Every process of this user with what waits in it, and those that did not answer."""
    found: list[Process] = []
    silent: list[Silent] = []
    for pid, path in sockets():
        try:
            found.append(_process(pid, path))
        except Gone:
            sweep(pid, path)
        except Silent as error:
            silent.append(error)
    return found, silent


def _process(pid: int, path: Path) -> Process:
    told = _ask(pid, path, {"do": "approvals"})
    try:
        waiting = tuple(Waiting(**entry) for entry in told["approvals"])
        return Process(pid, path, str(told["deployment"]), waiting)
    except (KeyError, TypeError):
        raise _other(pid) from None


def _ask(pid: int, path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + SECONDS
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(SECONDS)
            door.connect(str(path))
            with contextlib.suppress(ConnectionError):
                # Who is busy answers unasked and closes; what it said can still be read.
                door.sendall(dumps(request).encode() + b"\n")
            line = _line(door, end)
    except TimeoutError:
        raise Silent(f"rtrun {pid} did not answer within {SECONDS:.0f} s") from None
    except OSError:
        raise Gone(f"rtrun {pid} ended before it answered") from None
    if not line.endswith(b"\n"):
        raise Gone(f"rtrun {pid} ended before it answered")
    try:
        told = loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise _other(pid)
    if told.get("ok") is not True:
        raise Silent(f"rtrun {pid}: {told.get('error') or 'it refused'}")
    return told


def _line(door: socket.socket, end: float) -> bytes:
    """Up to the line end, or to the end of the connection."""
    parts = bytearray()
    while not parts.endswith(b"\n") and len(parts) < MAX_RESPONSE:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        door.settimeout(left)
        data = door.recv(64 * 1024)
        if not data:
            break
        parts += data
    return bytes(parts)


def _other(pid: int) -> Silent:
    return Silent(f"rtrun {pid} answers in words of another version", "update the older one")
