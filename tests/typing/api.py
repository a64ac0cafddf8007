"""What an editor knows of the API, held by mypy (`mypy` checks this file, nobody runs it).

Each ignored error has to be one: mypy --strict refuses an ignore that is not needed.
"""

from __future__ import annotations

from typing import Any, assert_type

from runner import (
    Item,
    RealtimeAgent,
    RealtimeSession,
    SessionOptions,
    ToolContext,
    guardrail,
    handoff,
    tool,
)
from runner.core.events import Audio, Connection, GuardrailTripped, SessionEvent, ToolApproval
from runner.guardrails import GuardrailArgs
from runner.tools.base import FunctionTool


@tool
def price(item: str, context: ToolContext) -> str:
    return f"{item} for {context.agent}"


@tool(timeout=3.0, needs_approval=True, while_waiting="One moment.")
async def book(day: str) -> dict[str, str]:
    return {"day": day}


assert_type(price, FunctionTool)
assert_type(book, FunctionTool)


def kind(args: GuardrailArgs) -> bool:
    return "stupid" in args.text


agent = RealtimeAgent("desk", "Be kind.", tools=[price, book], guardrails=[guardrail(kind)])
boss = RealtimeAgent("boss", handoffs=[handoff(agent, when="It is about a price.")])

session = RealtimeSession(boss, model="gpt-realtime", history_store_audio=True)
RealtimeSession(boss, SessionOptions(model="gpt-realtime"))
RealtimeSession(boss, {"apiKey": "key"})
RealtimeSession(boss, modle="gpt-realtime")  # type: ignore[call-arg]
RealtimeSession(boss, reconnect="yes")  # type: ignore[arg-type]


def on_audio(event: Audio) -> None:
    assert_type(event.data, bytes)


def on_item(item: Item) -> None:
    assert_type(item.heard_ms, int | None)


async def on_history(items: tuple[Item, ...]) -> None:
    assert_type(items[0], Item)


def on_connection(event: Connection) -> None:
    assert_type(event.lost, bool)


def on_any(event: SessionEvent) -> None:
    if isinstance(event, GuardrailTripped):
        assert_type(event.name, str)


def on_raw(event: dict[str, Any]) -> None: ...


session.on("audio", on_audio)
session.on("audio", on_item)  # type: ignore[call-overload]
session.on("history_added", on_item)
session.on("history_updated", on_history)
session.once("connection_change", on_connection)
session.on("*", on_any)
session.on("transport_event", on_raw)
session.on("odio", on_audio)  # type: ignore[call-overload]


async def call(approval: ToolApproval) -> None:
    await session.connect(api_key="key", model="gpt-realtime")
    await session.send_audio(b"", commit=True)
    session.send_message("hello", respond=False)
    session.approve(approval, always=True)
    await session.reject("call_1", message="no")
    session.update_history(lambda items: items[1:])
    async for event in session:
        assert_type(event, SessionEvent)
