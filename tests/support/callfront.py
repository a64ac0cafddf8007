"""A telephone's side of the service before a real engine, for programs that answer by webhook.

The engine's calls by WebRTC have ids, control sockets and hang-ups; that one rings first, and is
taken by ``accept``, is added here. ``with CallFront(engine) as front``: requests to ``front.url``
reach the engine, but for those of :data:`ASKED`, which are answered and kept.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from typing import Any

from support.engine import Serving

ASKED = re.compile(rb"POST /v1/realtime/calls/([^/ ]+)/(accept|reject|refer) ")
_HANGUP = re.compile(rb"POST /v1/realtime/calls/([^/ ]+)/hangup ")


class CallFront:
    """``asked`` are the requests for a call, ``(verb, call id, body)``; hang-ups, which reach the
    engine, are among them. ``ringing`` are the calls that can be taken, ``unfollowed`` those whose
    control sockets are refused with 503."""

    def __init__(self, engine: Serving) -> None:
        self._engine = engine
        self.ringing: set[str] = set()
        self.unfollowed: set[str] = set()
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._door.getsockname()[1]}/v1/realtime"

    def verbs(self, call_id: str) -> list[str]:
        return [verb for verb, about, _ in self.asked if about == call_id]

    def __enter__(self) -> CallFront:
        self._start(self._admit)
        return self

    def __exit__(self, *error: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for end in tuple(self._open):
            _hang_up(end)
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()

    def _start(self, work: Any, *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, name="front", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _admit(self) -> None:
        with contextlib.suppress(OSError):  # the door is closed
            while True:
                end, _ = self._door.accept()
                self._open.add(end)
                self._start(self._serve, end)

    def _serve(self, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head, body = _head(end)
            if match := ASKED.match(head):
                self._answer(end, match, head, body)
            elif any(f"call_id={call}".encode() in head for call in self.unfollowed):
                end.sendall(_answer(b"503 Service Unavailable"))
            elif head:
                self._pass_on(end, head, body)
        _hang_up(end)
        self._open.discard(end)

    def _answer(self, end: socket.socket, match: re.Match[bytes], head: bytes, body: bytes) -> None:
        call, verb = match[1].decode(), match[2].decode()
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while len(body) < int(found[1] if found else 0):
            body += end.recv(65536)
        self.asked.append((verb, call, json.loads(body or b"{}")))
        end.sendall(_answer(b"200 OK" if call in self.ringing else b"404 Not Found"))

    def _pass_on(self, end: socket.socket, head: bytes, body: bytes) -> None:
        if match := _HANGUP.match(head):
            self.asked.append(("hangup", match[1].decode(), {}))
        if b"\r\nupgrade:" not in head.lower():
            # One request a connection: each is looked at.
            head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
            head = head.removesuffix(b"\r\n\r\n") + b"\r\nConnection: close\r\n\r\n"
        far = socket.create_connection(("127.0.0.1", self._engine.port))
        self._open.add(far)
        far.sendall(head + body)
        self._start(_pump, end, far)
        _pump(far, end)
        self._open.discard(far)


def _answer(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _head(end: socket.socket) -> tuple[bytes, bytes]:
    """A request's head, its empty line included, and what came with it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = end.recv(65536)
        if not piece:
            return b"", b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def _pump(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            to.sendall(piece)
    _hang_up(to)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
