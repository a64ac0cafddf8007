"""A port of ours: the socket, and uvicorn on it beside whatever else the loop does."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

import uvicorn

from runner.errors import InputError


def listen(
    host: str, port: int, hint: str = "Choose another --port; 0 takes a free one."
) -> socket.socket:
    """A listening socket. InputError, in one sentence, when there is none to be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without the protocol's number asyncio takes what is accepted for no TCP, and leaves Nagle's
    # algorithm on: small events would wait 40 ms for the acknowledgement of the ones before.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if hasattr(socket, "SO_REUSEADDR") and socket.SO_REUSEADDR:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot listen on {host}:{port}: {why}", hint) from None
    listener.setblocking(False)
    return listener


class Server(uvicorn.Server):
    """Tells when it accepts, and leaves the process's signals to the command."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        logging.getLogger("uvicorn.error").addFilter(_worth_telling)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await self._serve(sockets)

    def leave(self) -> None:
        self.should_exit = True

    def let_go(self) -> None:
        """Close the port, also when its own end was cut short: on a busy machine it takes long."""
        for server in getattr(self, "servers", ()):
            server.close()


def _worth_telling(record: logging.LogRecord) -> bool:
    """uvicorn tells of each WebSocket that was refused with an answer as of an error: it looks
    for a handshake, and there is none."""
    return record.msg != "ASGI callable returned without completing handshake."
