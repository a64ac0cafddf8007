"""A whole session on a scripted line: what the server gets, what the application is told.

async def story(on: OnALine) -> None:
    on.calls("price", '{"item": "pen"}')
    assert await on.output("call_1") == "3"

on_a_line(story, agent, tool_error_formatter=...)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.until import until

from runner import RealtimeAgent, RealtimeSession
from runner.testing import Call, ScriptedTransport, server

Event = dict[str, Any]
Story = Callable[["OnALine"], Awaitable[None]]


class OnALine:
    def __init__(self, session: RealtimeSession, line: ScriptedTransport) -> None:
        self.session = session
        self.line = line
        self.seen: list[Any] = []
        self._answered = 0
        session.on("*", self.seen.append)

    async def connect(self, **options: Any) -> Event:
        """Connect, with the server's part of it; the settings that the session began with."""
        serving = asyncio.ensure_future(self._accept())
        await self.session.connect(**options)
        self._follow()
        return await serving

    async def _accept(self) -> Event:
        for call in self.line.calls:  # what came before, such as mute()
            await self.line.expect(call.method)
        return await self.line.accept()

    def _follow(self) -> None:
        """From now on each session.update is echoed and each item confirmed, as the service
        does it, on this connection and the next ones."""
        self._answered = len(self.line.sent)
        send = self.line.send_event

        def send_event(event: Any) -> None:
            send(event)
            soon = asyncio.get_running_loop().call_soon
            if event["type"] == "session.update":
                soon(self._echo, event["session"])
            elif event["type"] == "conversation.item.create" and "id" in event["item"]:
                soon(self._confirm, event["item"])

        self.line.send_event = send_event  # type: ignore[method-assign]

    def _echo(self, session: Event) -> None:
        if self.line.status == "connected":
            self.line.emit(server.session_updated({**self.session.effective, **session}))

    def _confirm(self, item: Event) -> None:
        if self.line.status == "connected":
            for stage in ("added", "done"):
                self.line.emit({"type": f"conversation.item.{stage}", "item": item})

    # -- the server ------------------------------------------------------------------------
    def emit(self, *events: Event) -> None:
        self.line.emit(*events)

    def calls(self, name: str, arguments: str = "{}", call_id: str = "call_1", **at: Any) -> None:
        """A whole answer that calls one tool."""
        at.setdefault("response_id", f"resp_{call_id}")
        at.setdefault("item_id", f"item_{call_id}")
        self.emit(*server.tool_call(name, arguments, call_id=call_id, **at))

    def again(self, name: str, arguments: str = "{}", call_id: str = "call_1") -> None:
        """The server says the finished call once more."""
        item = {"id": f"item_{call_id}", "type": "function_call", "name": name}
        item |= {"call_id": call_id, "arguments": arguments, "status": "completed"}
        done = {"type": "response.output_item.done", "response_id": f"resp_{call_id}"}
        self.emit({**done, "output_index": 0, "item": item})

    # -- what it got -----------------------------------------------------------------------
    def sent(self, kind: str) -> list[Event]:
        """Client events of this type since the beginning was over."""
        return [e for e in self.line.sent[self._answered :] if e["type"] == kind]

    def items(self, kind: str) -> list[Event]:
        created = self.sent("conversation.item.create")
        return [e["item"] for e in created if e["item"]["type"] == kind]

    def outputs(self, call_id: str = "call_1") -> list[str]:
        found = self.items("function_call_output")
        return [item["output"] for item in found if item["call_id"] == call_id]

    async def output(self, call_id: str = "call_1") -> str:
        """The one output of a call, when it is there and nothing more comes."""
        await until(lambda: self.outputs(call_id))
        await settled()
        [text] = self.outputs(call_id)
        return text

    @property
    def asked(self) -> int:
        """How many answers were asked for."""
        return len(self.sent("response.create"))

    @property
    def request(self) -> Call:
        """The last call that asked for an answer: ``to=`` of what the server says to it."""
        asks = [c for c in self.line.calls if c.method == "send_event"]
        return [c for c in asks if c.event["type"] == "response.create"][-1]

    # -- what was told ---------------------------------------------------------------------
    def of(self, kind: str) -> list[Any]:
        return [event for event in self.seen if event.type == kind]

    def errors(self) -> list[str]:
        return [event.code for event in self.of("error")]

    async def told(self, kind: str) -> Any:
        """The first event of this type."""
        await until(lambda: self.of(kind))
        return self.of(kind)[0]


async def while_closing(on: OnALine, say: Callable[[], None]) -> None:
    """End the session; the server, who does not know of it yet, says something meanwhile. The
    session needs a tool ``lingers`` (:func:`lingering`), whose end it waits for."""
    on.calls("lingers", call_id="lingers")
    await on.told("agent_tool_start")
    closing = asyncio.ensure_future(on.session.close())
    await settled()
    assert on.line.status == "connected"
    assert not closing.done()
    on.seen.clear()
    say()
    await closing
    await settled()


def lingering() -> Callable[[], Awaitable[str]]:
    """A tool that does not end at once when it is cancelled."""

    async def lingers() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.1)
        return ""

    return lingers


async def settled() -> None:
    """Let everything that is ready run: nothing here waits for a clock."""
    for _ in range(20):
        await asyncio.sleep(0)


def on_a_line(
    story: Story,
    agent: RealtimeAgent | None = None,
    connect: Any = None,
    line: ScriptedTransport | None = None,
    **options: Any,
) -> None:
    """Run ``story`` on a connected session, and end it."""

    async def main() -> None:
        transport = line or ScriptedTransport()
        desk = agent or RealtimeAgent("desk", "Be kind.")
        session = RealtimeSession(desk, transport=transport, **options)
        on = OnALine(session, transport)
        await on.connect(**(connect or {}))
        try:
            async with asyncio.timeout(30):
                await story(on)
        finally:
            await session.close()

    asyncio.run(main())
