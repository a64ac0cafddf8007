"""The websockets library's connection, taking frames where the library would queue them."""

from __future__ import annotations

from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from runner.transports.frames import Splitter

MAX_MESSAGE = 16 * 1024 * 1024

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class Owner(Protocol):
    """Whom a connection tells. It is taken off a connection that no longer counts."""

    def message(self, data: bytes) -> None: ...

    def gone(self, code: int | None, reason: str | None) -> None: ...


class Connect(connect):
    """Follows no redirect: the key is for the address that was given, and for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection(ClientConnection):
    """Hands whole messages to its owner instead of the library's queue."""

    owner: Owner | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._splitter = Splitter(self._whole, super().data_received, MAX_MESSAGE)
        self._parts: list[bytes] = []

    @property
    def unanswered(self) -> bool:
        """Did it end because no ping was answered?"""
        ours, theirs = self.protocol.close_sent, self.protocol.close_rcvd
        return theirs is None and ours is not None and ours.reason == "keepalive ping timeout"

    def data_received(self, data: bytes) -> None:
        self._splitter.feed(data)

    def _whole(self, message: bytes) -> None:
        if self.owner is not None:
            self.owner.message(message)

    def process_event(self, event: Event) -> None:
        """What came through the library: control frames, and messages in fragments."""
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
            return
        if event.opcode is not Opcode.CONT:
            self._parts = []
        self._parts.append(bytes(event.data))
        if event.fin:
            message, self._parts = b"".join(self._parts), []
            self._whole(message)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.owner is not None:
            self.owner.gone(self.protocol.close_code, self.protocol.close_reason)
