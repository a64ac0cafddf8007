"""One open page: what it is told, in order, over one WebSocket.

A page that reads slowly holds nothing up. What it has not read of the wire is dropped, oldest
first, and counted (``lost``); if it falls behind with anything else, it gets all of it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.codec import dumps, loads
from runner.serve.console.meter import Meter
from runner.serve.verbs import Stream
from runner.tasks import Supervisor

#: Messages that wait for a page, and their characters in all.
MOST_MESSAGES = 2000
MOST_TEXT = 8 * 1024 * 1024
#: Between two looks at the levels.
LEVEL_SECONDS = 0.1

Watch = Callable[[str], Awaitable[Stream | None]]


class Page:
    """``whole()`` is the message that says everything; ``watch(session)`` gives the wire of a call
    that is on the line; ``meter(session)`` its levels."""

    def __init__(
        self,
        socket: WebSocket,
        whole: Callable[[], str],
        watch: Watch,
        meter: Callable[[str], Meter | None],
        tasks: Supervisor,
    ) -> None:
        self.id = ""
        self.session: str | None = None
        self._socket = socket
        self._whole = whole
        self._watch = watch
        self._meter = meter
        self._tasks = tasks
        self._waiting: deque[str] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def put(self, message: str) -> None:
        self._waiting.append(message)
        self._size += len(message)
        if len(self._waiting) > MOST_MESSAGES or self._size > MOST_TEXT:
            self._waiting.clear()
            self._waiting.append(self._whole())
            self._size = len(self._waiting[0])
        self._wake.set()

    async def run(self) -> None:
        """Until the page or the process has gone."""
        self.put(self._whole())
        telling = self._tasks.spawn(self._tell(), "a page of the console")
        levels = self._tasks.spawn(self._levels(), "levels of a page")
        try:
            while True:
                self._asked(await self._socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            return
        finally:
            self._stop_watching()
            telling.cancel()
            levels.cancel()

    def _asked(self, text: str) -> None:
        """``{"watch": SESSION | null}``: whose wire and levels it wants."""
        try:
            said: Any = loads(text)
        except ValueError:
            return
        session = said.get("watch") if isinstance(said, dict) else None
        self.session = session if isinstance(session, str) else None
        self._stop_watching()
        if self.session is not None:
            self._watching = self._tasks.spawn(self._wire(self.session), "the wire of a page")

    def _stop_watching(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()

    async def _tell(self) -> None:
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                self._size -= len(message)
                await self._send(message)
            self._wake.clear()
            await self._wake.wait()

    async def _wire(self, session: str) -> None:
        stream = await self._watch(session)
        if stream is None:
            return
        try:
            async with contextlib.aclosing(stream.lines) as lines:
                async for line in lines:
                    await self._send(f'{{"is":"raw","session":{dumps(session)},"row":{line}}}')
        finally:
            stream.close()

    async def _levels(self) -> None:
        told: tuple[float, float] | None = None
        while True:
            await asyncio.sleep(LEVEL_SECONDS)
            meter = self._meter(self.session) if self.session is not None else None
            now = None if meter is None else meter.levels()
            if now is not None and now != told:
                row = {"is": "level", "session": self.session, "in": now[0], "out": now[1]}
                await self._send(dumps(row))
            told = now

    async def _send(self, text: str) -> None:
        async with self._lock:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.send_text(text)
