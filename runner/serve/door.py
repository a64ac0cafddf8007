"""A public port: one HTTP listener for every deployment that names its address.

Whoever is called from outside (webhooks, media sockets) adds a path. Behind it stands uvicorn,
with bounds for strangers: a request's head, and each body that is read by :func:`body_of`, have
to be there in seconds and in kilobytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Router
from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.listening import Server, listen
from runner.tasks import OnFailure, Supervisor

#: Until the head of a request is there, from its connection or from the answer before.
HEAD_SECONDS = 10.0
HEAD_BYTES = 16 * 1024
BODY_SECONDS = 5.0
#: A message of a socket: 20 ms of a telephone's sound are 300 bytes.
MESSAGE_BYTES = 64 * 1024
#: Connections at one time; more are told to come back.
MOST = 512

Handler = Callable[[Request], Awaitable[Response]]


class Impatient(H11Protocol):
    """Closes a connection on which no request comes together; uvicorn itself would wait for ever
    for one that is sent a byte at a time."""

    _head: asyncio.TimerHandle | None = None
    #: It is a socket now, and its requests are over.
    _upgraded = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._upgraded:
            return
        if self.cycle is None or self.cycle.response_complete:
            self._wait_for_head()
        else:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._upgraded = True
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self._head is None and not self.transport.is_closing():
            self._head = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class Door:
    """``url`` once it is open; ``add`` may come before and after."""

    def __init__(self, host: str, port: int, on_failure: OnFailure) -> None:
        self.host, self.port = host, port
        self.url = ""
        self._router = Router(default=_nothing)
        self._tasks = Supervisor(on_failure)
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None

    def add(self, route: BaseRoute) -> None:
        self._router.routes.append(route)

    async def open(self) -> None:
        """InputError when the port is not to be had."""
        hint = "another process has it, or listen: names no address of this machine"
        listener = listen(self.host, self.port, hint)
        config = uvicorn.Config(
            self._router,
            interface="asgi3",
            http=Impatient,
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=MOST,
            timeout_keep_alive=int(HEAD_SECONDS),
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        ready = asyncio.Event()
        self._server = Server(config, ready.set)
        self._serving = self._tasks.spawn(self._server.serve([listener]), "the public port")
        await ready.wait()
        name, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{name}]' if ':' in name else name}:{port}"

    async def close(self) -> None:
        """Answers that are under way get a second. Idempotent."""
        if self._server is not None and self._serving is not None:
            self._server.leave()
            await asyncio.wait({self._serving}, timeout=2)
            self._server.let_go()
        await self._tasks.close()


async def body_of(request: Request, most: int) -> bytes | Response:
    """The body of a request, or the answer to one that is too large (413) or too slow (408)."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    # What is still to come is not read: the connection cannot be used again.
                    return plain(413, f"at most {most} bytes", {"Connection": "close"})
    except TimeoutError:
        return plain(408, "too slow", {"Connection": "close"})
    except ClientDisconnect:
        return plain(400, "gone")
    return bytes(body)


def plain(status: int, words: str = "", headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(words, status, {"Cache-Control": "no-store", **(headers or {})})


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    await plain(404, "nothing is here")(scope, receive, send)
