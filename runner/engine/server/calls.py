"""Calls whose media runs through the engine, and the sockets that follow and steer them.

A call has a session of its own, which lives as long as its line. Its events go to whoever is on
that line (a browser's data channel) and to every control socket attached by ``?call_id=``; the
audio of the agent never goes by event. Both may send events. While a server is attached it alone
decides on the session: what the caller's own program sends of that kind is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from runner import codec
from runner.engine.server.connection import Connection
from runner.engine.server.outbox import Outbox
from runner.engine.wire import WireError, events, new_id
from runner.tasks import Supervisor

#: Client events of a line that wait to be acted on; beyond, the sender is not read for a while.
WAITING = 1000
#: Only a server decides on these, while one is attached.
_OF_A_SERVER = ("session.update",)


class Line(Protocol):
    """What carries a call: WebRTC, a phone."""

    async def hang_up(self, reason: str) -> None: ...


class Call:
    """``connection`` is made by ``Calls.begin``; ``tell(text)`` hands an event to the line."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.id = "rtc_" + new_id("call").removeprefix("call_")
        self.line: Line | None = None
        self.connection: Connection | None = None
        self.ended = asyncio.Event()
        self._tell = tell
        self._controls: set[Outbox] = set()
        self._said: asyncio.Queue[str | bytes | None] = asyncio.Queue(WAITING)

    # -- the session's side ------------------------------------------------------------------
    async def send(self, text: str) -> None:
        """An event of the session, to everybody."""
        if self._tell is not None:
            self._tell(text)
        for control in tuple(self._controls):
            control.put_text(text)

    async def receive(self) -> str | bytes | None:
        return await self._said.get()

    # -- who speaks to it ----------------------------------------------------------------------
    async def said_on_the_line(self, message: str | bytes) -> None:
        """An event from the caller's own program."""
        refused = self._refusal(message) if self._controls else None
        if refused is None:
            await self._said.put(message)
        elif self._tell is not None:
            self._tell(codec.dumps(refused.event()))

    def _refusal(self, message: str | bytes) -> WireError | None:
        try:
            event = codec.loads(message)
        except ValueError:
            return None  # refused where events are read
        if not isinstance(event, dict):
            return None
        item = event.get("item")
        output = isinstance(item, dict) and item.get("type") == "function_call_output"
        if event.get("type") not in _OF_A_SERVER and not output:
            return None
        event_id = event.get("event_id")
        error = WireError(
            "A server is attached to this call: it alone updates the session and answers tools.",
            code="call_is_controlled",
            param="type",
        )
        return error.about(event_id if isinstance(event_id, str) else None)

    async def control(
        self,
        receive: Callable[[], Awaitable[str | bytes | None]],
        send: Callable[[str], Awaitable[None]],
        stall_seconds: float,
        tasks: Supervisor,
    ) -> None:
        """Serve one control socket until it or the call ends. DeadPeer."""
        outbox = Outbox(send, stall_seconds=stall_seconds)
        self._controls.add(outbox)
        if self.connection is not None:
            outbox.put(events.session_created(session=self.connection.effective()))
        reading = tasks.spawn(self._read(receive, outbox), f"a control socket of {self.id}")
        try:
            await outbox.run()
        finally:
            self._controls.discard(outbox)
            reading.cancel()

    async def _read(
        self, receive: Callable[[], Awaitable[str | bytes | None]], outbox: Outbox
    ) -> None:
        try:
            while (message := await receive()) is not None:
                await self._said.put(message)
        finally:
            outbox.close()

    # -- the end -------------------------------------------------------------------------------
    async def hang_up(self, reason: str) -> None:
        """End the line; the session follows."""
        if self.line is not None:
            await self.line.hang_up(reason)
        self.over()

    def over(self) -> None:
        """The line is gone: no event comes any more."""
        if not self.ended.is_set():
            self.ended.set()
            while self._said.full():
                self._said.get_nowait()
            self._said.put_nowait(None)

    def close_controls(self) -> None:
        """All events were told."""
        for control in self._controls:
            control.close()


class Calls:
    """The calls of one engine, by id."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def find(self, call_id: str) -> Call | None:
        """None as well for one that is over, while its last events are still being told."""
        call = self._calls.get(call_id)
        return None if call is None or call.ended.is_set() else call

    async def run(self, call: Call, make: Callable[[Call], Connection]) -> None:
        """Hold a call's session until its line is gone."""
        self._calls[call.id] = call
        try:
            call.connection = make(call)
            await call.connection.run(call.receive)
        finally:
            call.over()
            self._calls.pop(call.id, None)
            call.close_controls()
            if call.line is not None:
                await call.line.hang_up("the session is over")

    async def close(self) -> None:
        for call in tuple(self._calls.values()):
            await call.hang_up("the engine stops")
