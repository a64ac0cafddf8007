"""Reach the running processes of this user: by their control sockets, or, where there are none, by
their admin ports. For a command that asks and ends: plain blocking calls with deadlines."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from runner.codec import dumps, loads
from runner.errors import RtrunError
from runner.serve.sockets import doors, sweep

SECONDS = 5.0
#: A response holds the arguments of every call that waits.
MAX_RESPONSE = 16 * 1024 * 1024


class Gone(RtrunError):
    """The process ended before it answered."""


class Silent(RtrunError):
    """The process runs and does not answer as one of ours, or not in time."""


class Declined(RtrunError):
    """The process answered that it will not, and why."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running rtrun; ``door`` is its socket, or the card with its address."""

    pid: int
    door: Path

    def ask(self, request: Mapping[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
        """Its reply. Gone, Silent, Declined."""
        with self._errors(seconds), _opened(self.door, request, seconds) as answer:
            line = answer.readline(time.monotonic() + seconds)
        return self._reply(line)

    def stream(self, request: Mapping[str, Any]) -> tuple[dict[str, Any], Iterator[bytes]]:
        """Its reply, and the lines that follow, without their ends, until the process closes."""
        answer = None
        try:
            with self._errors(SECONDS):
                answer = _opened(self.door, request, SECONDS)
                line = answer.readline(time.monotonic() + SECONDS)
            return self._reply(line), answer.lines()
        except BaseException:
            if answer is not None:
                answer.close()
            raise

    @contextlib.contextmanager
    def _errors(self, seconds: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise Silent(f"rtrun {self.pid} did not answer within {seconds:.0f} s") from None
        except (OSError, http.client.HTTPException):
            raise self._gone() from None

    def _reply(self, line: bytes) -> dict[str, Any]:
        if not line.endswith(b"\n"):
            raise self._gone()
        try:
            told = loads(line)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise self.other()
        if told.get("ok") is not True:
            words = str(told.get("error") or "it refused")
            raise Declined(f"process {self.pid}: {words}", str(told.get("hint") or ""))
        return told

    def _gone(self) -> Gone:
        return Gone(f"rtrun {self.pid} ended before it answered")

    def other(self) -> Silent:
        return Silent(
            f"rtrun {self.pid} answers in words of another version", "update the older one"
        )


Found = list[tuple[Process, dict[str, Any]]]


def everyone(request: Mapping[str, Any]) -> tuple[Found, list[RtrunError]]:
    """What every process of this user replies, and why some did not."""
    found: Found = []
    silent: list[RtrunError] = []
    for pid, door in doors():
        process = Process(pid, door)
        try:
            found.append((process, process.ask(request)))
        except Gone:
            sweep(pid, door)
        except (Silent, Declined) as error:
            silent.append(error)
    return found, silent


class _Answer:
    """What comes back, line by line."""

    def __init__(self, connection: socket.socket, body: IO[bytes] | None) -> None:
        self._connection = connection
        self._body = body
        self._rest = bytearray()

    def readline(self, end: float) -> bytes:
        """Up to the line end, or to the end of the connection. TimeoutError."""
        while b"\n" not in self._rest and len(self._rest) < MAX_RESPONSE:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            if not self._more():
                break
        line, sign, rest = self._rest.partition(b"\n")
        self._rest = rest
        return bytes(line + sign)

    def lines(self) -> Iterator[bytes]:
        self._connection.settimeout(None)
        try:
            while True:
                line, sign, rest = self._rest.partition(b"\n")
                if sign:
                    self._rest = rest
                    yield bytes(line)
                elif len(self._rest) >= MAX_RESPONSE or not self._more():
                    return
        except (OSError, http.client.HTTPException):
            return
        finally:
            self.close()

    def _more(self) -> bool:
        if self._body is None:
            data = self._connection.recv(64 * 1024)
        else:
            data = self._body.read1(64 * 1024)  # type: ignore[attr-defined]  # HTTPResponse has it
        self._rest += data
        return bool(data)

    def close(self) -> None:
        if self._body is not None:
            self._body.close()
        self._connection.close()

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _opened(door: Path, request: Mapping[str, Any], seconds: float) -> _Answer:
    """Asked, and about to be answered. OSError, HTTPException, TimeoutError."""
    if door.suffix == ".json":
        return _over_http(door, request, seconds)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(seconds)
        connection.connect(str(door))
        with contextlib.suppress(ConnectionError):
            # Who is busy answers unasked and closes; what it said can still be read.
            connection.sendall(dumps(request).encode() + b"\n")
    except BaseException:
        connection.close()
        raise
    return _Answer(connection, None)


def _over_http(card: Path, request: Mapping[str, Any], seconds: float) -> _Answer:
    try:
        told = loads(card.read_bytes())
        url, token = urlsplit(told["url"]), str(told["token"])
        host, port = url.hostname or "", url.port
    except (ValueError, KeyError, TypeError):
        raise ConnectionError("the card is not whole") from None
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/control", dumps(request).encode(), headers)
        wire = connection.sock
        return _Answer(wire, connection.getresponse())
    except BaseException:
        connection.close()
        raise
