"""Twilio's end of a Media Stream on our server: read until it begins, then by the transport."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketState

from runner.codec import loads

#: Until the stream has begun; Twilio says so at once.
START_SECONDS = 10.0
#: Twilio sends a frame each 20 ms, though not always when nobody speaks: a stream on which
#: nothing at all comes for so long is dead.
QUIET_SECONDS = 30.0
#: Before ``start`` comes ``connected`` alone.
MOST_BEFORE_START = 4


class FarEnd:
    """A FarSocket. ``close`` leaves the socket open: Twilio goes on with its TwiML when it closes,
    and it may have to be told something else first. ``end`` closes it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._read: deque[str] = deque()

    async def started(self) -> Mapping[str, Any]:
        """Twilio's ``start``; what was read for it is read again. EOFError in words when this is
        no stream."""
        try:
            async with asyncio.timeout(START_SECONDS):
                for _ in range(MOST_BEFORE_START):
                    text = await self._next()
                    self._read.append(text)
                    try:
                        message = loads(text)
                    except ValueError:
                        raise EOFError("what came is no JSON") from None
                    if isinstance(message, dict) and message.get("event") == "start":
                        start = message.get("start")
                        return start if isinstance(start, dict) else {}
        except TimeoutError:
            raise EOFError(f"no stream began within {START_SECONDS:.0f} s") from None
        raise EOFError("what came is no stream")

    async def receive(self) -> str:
        if self._read:
            return self._read.popleft()
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                return await self._next()
        except TimeoutError:
            raise EOFError(f"nothing came from Twilio for {QUIET_SECONDS:.0f} s") from None

    async def _next(self) -> str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise EOFError("Twilio closed the stream")
        text = message.get("text")
        if not isinstance(text, str):
            raise EOFError("what came is no text")
        return text

    async def send(self, text: str) -> None:
        await self._socket.send_text(text)

    async def close(self) -> None:
        return

    async def end(self, code: int = 1000) -> None:
        if WebSocketState.DISCONNECTED not in (
            self._socket.client_state,
            self._socket.application_state,
        ):
            await self._socket.close(code)
