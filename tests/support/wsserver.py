"""A real WebSocket server whose every word a test decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any

from support.until import until
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        assert connection.request is not None
        self.path = connection.request.path
        self.headers = connection.request.headers
        #: What the client sent, as text, in order.
        self.received: list[str] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.received]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def send(self, *events: dict[str, Any] | str) -> None:
        """Events as JSON, text as it is."""
        for event in events:
            await self.connection.send(event if isinstance(event, str) else json.dumps(event))

    async def expect(self, count: int) -> list[dict[str, Any]]:
        """The first ``count`` client events, once they are there."""
        await until(lambda: len(self.received) >= count)
        return self.events[:count]


class Service:
    """``async with Service(script) as service``: the script is run for each connection, and what
    the client sends is kept in its :class:`Peer`.

    ``refuse`` is an HTTP status (and a body) for every handshake. ``reads`` False: the server
    never reads from an open connection.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        refuse: int | None = None,
        body: str = "",
        headers: dict[str, str] | None = None,
        reads: bool = True,
        **options: Any,
    ) -> None:
        self._script = script
        self._refuse = refuse
        self._body = body
        self._headers = headers or {}
        self._reads = reads
        self._options = {"close_timeout": 0.1, "ping_interval": None, "max_size": None} | options
        self._server: Server | None = None
        self.requests: list[Request] = []
        self.peers: list[Peer] = []

    async def __aenter__(self) -> Service:
        self._server = await serve(
            self._handle,
            "127.0.0.1",
            0,
            compression=None,
            process_request=self._answer,
            **self._options,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        for peer in self.peers:
            peer.connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    async def peer(self) -> Peer:
        """The newest connection, once there is one."""
        await until(lambda: self.peers)
        return self.peers[-1]

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        if self._refuse is None:
            return None
        headers = Headers({"Content-Length": str(len(self._body.encode())), **self._headers})
        phrase = HTTPStatus(self._refuse).phrase
        return Response(self._refuse, phrase, headers, self._body.encode())

    async def _handle(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        self.peers.append(peer)
        try:
            if self._script is not None:
                await self._script(peer)
            if not self._reads:
                await connection.wait_closed()
                return
            async for message in connection:
                assert isinstance(message, str)
                peer.received.append(message)
        except ConnectionClosed:
            return


async def no_script(peer: Peer) -> None:
    """Say nothing."""
    await asyncio.sleep(0)
