"""A Realtime server that loses its lines on purpose: a real WebSocket, numbered connections.

It takes settings and items as the service does and says nothing by itself. ``refuse`` is the HTTP
status for the next handshakes, ``kick`` the close code for the next lines once they are open.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from support.until import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.model.settings import merge

Event = dict[str, Any]


class Lines:
    def __init__(self) -> None:
        #: What each connection was sent by the client.
        self.heard: list[list[Event]] = []
        self.sessions: list[Event] = []
        self.connections: list[ServerConnection] = []
        self.keys: list[str | None] = []
        self.refuse: deque[int] = deque()
        self.kick: deque[int] = deque()
        #: Instructions that hold this word are refused.
        self.poison = ""
        #: A line that keeps silent takes no settings.
        self.silent = False
        self.port = 0
        self._items = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.keys.append(request.headers.get("Authorization"))
        if not self.refuse:
            return None
        status = HTTPStatus(self.refuse.popleft())
        body = json.dumps({"error": {"message": f"no, {status.phrase.lower()}"}}).encode()
        headers = Headers({"Content-Length": str(len(body))})
        return Response(status, status.phrase, headers, body)

    async def _serve(self, connection: ServerConnection) -> None:
        number = len(self.sessions)
        self.sessions.append({"id": f"sess_{number}", "type": "realtime"})
        self.heard.append([])
        self.connections.append(connection)
        try:
            if self.kick:
                await connection.close(self.kick.popleft(), "kicked")
                return
            await self.send(number, {"type": "session.created", "session": self.sessions[number]})
            async for text in connection:
                event = json.loads(text)
                self.heard[number].append(event)
                await self._take(number, event)
        except ConnectionClosed:
            return

    async def _take(self, number: int, event: Event) -> None:
        if event["type"] == "session.update" and not self.silent:
            if self.poison and self.poison in event["session"].get("instructions", ""):
                body = {"type": "invalid_request_error", "code": "invalid_value",
                        "message": "no poison here", "event_id": event["event_id"]}  # fmt: skip
                await self.send(number, {"type": "error", "error": body})
                return
            self.sessions[number] = merge(self.sessions[number], event["session"])
            echo = {"type": "session.updated", "session": self.sessions[number]}
            await self.send(number, echo)
        elif event["type"] == "conversation.item.create":
            self._items += 1
            item = {"id": f"item_{self._items}", **event["item"], "status": "completed"}
            for stage in ("added", "done"):
                await self.send(number, {"type": f"conversation.item.{stage}", "item": item})

    async def send(self, number: int, *events: Event) -> None:
        for event in events:
            await self.connections[number].send(json.dumps(event))

    def reset(self, number: int = -1) -> None:
        """Break it off without a word."""
        self.connections[number].transport.abort()

    def of(self, number: int, kind: str) -> list[Event]:
        return [e for e in self.heard[number] if e["type"] == kind]

    def items(self, number: int) -> list[Event]:
        return [e["item"] for e in self.of(number, "conversation.item.create")]

    def audio(self, number: int) -> bytes:
        appended = self.of(number, "input_audio_buffer.append")
        return b"".join(base64.b64decode(e["audio"]) for e in appended)

    async def line(self, number: int) -> None:
        """This connection has taken the session's settings."""
        await until(lambda: len(self.sessions) > number and self.of(number, "session.update"))


@asynccontextmanager
async def lines(
    refuse: Iterable[int] = (), kick: Iterable[int] = (), port: int = 0
) -> AsyncIterator[Lines]:
    server = Lines()
    async with serve(
        server._serve,
        "127.0.0.1",
        port,
        compression=None,
        close_timeout=0.1,
        ping_interval=None,
        process_request=server._answer,
    ) as listener:
        server.port = next(iter(listener.sockets)).getsockname()[1]
        server.refuse.extend(refuse)
        server.kick.extend(kick)
        yield server
        for connection in server.connections:
            connection.transport.abort()
        await asyncio.sleep(0)
