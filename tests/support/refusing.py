"""A Realtime server that takes settings by its own rules: a real WebSocket, a scripted mind.

It echoes each session.update merged into its session, as the service does, and refuses one whose
instructions hold ``poison`` on connections numbered in ``refusing`` (from 0), or keeps silent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from runner.model.settings import merge


class RefusingServer:
    def __init__(self, refusing: frozenset[int] = frozenset()) -> None:
        self.refusing = refusing
        #: Everything that each connection was sent, and its session.update alone.
        self.heard: list[list[dict[str, Any]]] = []
        self.updates: list[list[dict[str, Any]]] = []
        self.sessions: list[dict[str, Any]] = []
        self.connections: list[ServerConnection] = []
        #: The model that each connection asked for; models that this server does not have.
        self.models: list[str] = []
        self.unknown: set[str] = set()
        #: Nobody is taken for now.
        self.away = False
        #: Those who knock wait until it is set.
        self.open = asyncio.Event()
        self.open.set()
        self.url = ""
        #: Connections whose updates are taken without a word; words that no server hears.
        self.silent: set[int] = set()
        self.deaf_to = ""
        #: Connections that take poison and nothing else any more.
        self.stubborn: frozenset[int] = frozenset()

    async def _serve(self, connection: ServerConnection) -> None:
        number = len(self.sessions)
        self.sessions.append({"id": f"sess_{number}", "type": "realtime"})
        assert connection.request is not None
        self.models.append(_model(connection.request))
        self.updates.append([])
        self.heard.append([])
        self.connections.append(connection)
        await self.send(number, {"type": "session.created", "session": self.sessions[number]})
        async for text in connection:
            event = json.loads(text)
            self.heard[number].append(event)
            if event["type"] == "session.update":
                await self._update(number, event)
            else:
                await self._hear(number, event)

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        await self.open.wait()
        if self.away:
            return connection.respond(503, "not now\n")
        if _model(request) in self.unknown:
            return connection.respond(404, "no such model\n")
        return None

    async def _hear(self, number: int, event: dict[str, Any]) -> None:
        """Everything else: nothing comes of it here."""

    async def _update(self, number: int, event: dict[str, Any]) -> None:
        self.updates[number].append(event["session"])
        words = event["session"].get("instructions", "")
        if self.deaf_to and self.deaf_to in words:
            return
        stubborn = number in self.stubborn and "poison" not in words
        if stubborn or (number in self.refusing and "poison" in words):
            error = {
                "type": "invalid_request_error",
                "code": "invalid_value",
                "message": "not back" if stubborn else "no poison here",
                "event_id": event.get("event_id"),
            }
            await self.send(number, {"type": "error", "error": error})
            return
        self.sessions[number] = merge(self.sessions[number], event["session"])
        if number not in self.silent:
            await self.echo(number)

    async def echo(self, number: int) -> None:
        await self.send(number, {"type": "session.updated", "session": self.sessions[number]})

    async def send(self, number: int, event: dict[str, Any]) -> None:
        await self.connections[number].send(json.dumps(event))


def _model(request: Request) -> str:
    # Who attaches to a call names none.
    return parse_qs(urlsplit(request.path).query).get("model", [""])[0]


@asynccontextmanager
async def refusing_server(refusing: frozenset[int] = frozenset()) -> AsyncIterator[RefusingServer]:
    server = RefusingServer(refusing)
    async with serve(server._serve, "127.0.0.1", 0, process_request=server._request) as listener:
        port = listener.sockets[0].getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}/v1/realtime"
        yield server
