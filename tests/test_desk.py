"""The desk: a file made into agents, calls opened, limited and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.refusing import RefusingServer, refusing_server
from support.until import until

from runner.config.load import Loaded, load
from runner.core.view import Rules
from runner.desk import Address, Call, Desk, session_voice
from runner.errors import ConfigError, ConnectError
from runner.staff import Staff, build_agents
from runner.toolbox import load_tools

CLINIC = """\
transport: websocket
timezone: Europe/Berlin
agents:
  desk:
    instructions: You speak with ${call.from}.
    greeting: "Hello ${call.from}."
    voice: ash
    tools: [price]
    handoffs:
      - { to: billing, when: The caller wants to pay. }
  billing: { instructions: Money. }
tools:
  price: { python: "price.py:price" }
"""


def deployment(folder: Path, text: str = CLINIC) -> Loaded:
    file = folder / "clinic.yaml"
    file.write_text(text)
    (folder / "price.py").write_text("def price() -> str:\n    return 'one'\n")
    return load(file, env={})


def with_desk(
    loaded: Loaded, test: Callable[[Desk, RefusingServer, list[Any]], Awaitable[None]]
) -> None:
    async def main() -> None:
        seen: list[tuple[Call, Any]] = []
        async with refusing_server() as server:
            desk = Desk(
                loaded.deployment,
                load_tools(loaded),
                Address(server.url, "key"),
                lambda call, event: seen.append((call, event)),
            )
            try:
                await test(desk, server, seen)
            finally:
                await desk.close()

    asyncio.run(main())


@pytest.mark.quick
def test_agents_are_told_of_the_call_the_day_and_their_ways(tmp_path: Path) -> None:
    loaded = deployment(tmp_path)
    now = datetime(2026, 11, 22, 21, 51, tzinfo=UTC)
    about = {"id": "call_1", "from": "+49 30 ${vars.x}", "to": "us"}
    agents = build_agents(loaded.deployment, load_tools(loaded), about, now)
    desk = agents["desk"]
    assert isinstance(desk.instructions, str)
    told, today = desk.instructions.split("\n\n")
    # What a caller's number says is data: it is never expanded again.
    assert told == "You speak with +49 30 ${vars.x}."
    assert "Sunday, 22 November 2026" in today
    assert "22:51" in today
    assert desk.greeting == "Hello +49 30 ${vars.x}."
    [way] = desk.handoffs
    assert way.agent is agents["billing"]
    assert "wants to pay" in way.wire()["description"]


@pytest.mark.quick
def test_calls_that_are_told_the_same_have_the_same_agents(tmp_path: Path) -> None:
    loaded = deployment(tmp_path)
    staff = Staff(loaded.deployment, load_tools(loaded))
    now = datetime(2026, 11, 22, 21, 51, tzinfo=UTC)
    about = {"id": "call_1", "from": "Ada", "to": "us"}
    agents = staff.of(about, now)
    # The id is told to nobody in this file, the caller and the minute are.
    assert staff.of({**about, "id": "call_2"}, now.replace(second=59)) is agents
    assert staff.of({**about, "from": "Bob"}, now) is not agents
    later = staff.of(about, now.replace(minute=52))
    assert "22:52" in str(later["desk"].instructions)

    async def resolved() -> None:
        settings = loaded.deployment.session
        first = await agents["desk"].resolve(settings, rules=Rules(ask="Hello?"))
        assert await agents["desk"].resolve(settings, rules=Rules(ask="Hello?")) is first
        other = await agents["desk"].resolve(settings, rules=Rules(ask="Still there?"))
        assert (first.view.rules.ask, other.view.rules.ask) == ("Hello?", "Still there?")
        copy = await agents["desk"].clone(instructions="x").resolve(settings)
        assert copy.view.settings.get("instructions") == "x"

    asyncio.run(resolved())


@pytest.mark.quick
def test_tools_that_cannot_be_loaded_are_all_named_with_their_place(tmp_path: Path) -> None:
    loaded = deployment(tmp_path)
    (tmp_path / "price.py").write_text("import nothing_of_this_name\n")
    with pytest.raises(ConfigError) as raised:
        load_tools(loaded)
    [problem] = raised.value.problems
    assert problem.line == 13
    assert "nothing_of_this_name" in problem.message


@pytest.mark.quick
def test_the_sessions_voice_stands_above_the_agents(tmp_path: Path) -> None:
    assert not session_voice(deployment(tmp_path).deployment)
    named = CLINIC + "session: { audio: { output: { voice: cedar } } }\n"
    assert session_voice(deployment(tmp_path, named).deployment)


@pytest.mark.quick
def test_an_address_never_shows_its_key() -> None:
    assert "canary" not in repr(Address("ws://x", "canary", {"X-Key": "canary"}))


def test_a_call_is_greeted_and_ends_with_its_reason(tmp_path: Path) -> None:
    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open(about={"from": "Ada"})
        assert server.updates[0][0]["audio"]["output"]["voice"] == "ash"
        assert desk.calls == {call.id: call}
        await until(lambda: server.heard[0][-1]["type"] == "response.create")
        assert server.heard[0][-1]["response"]["instructions"].endswith("\n\nHello Ada.")
        await desk.hang_up(call, "enough")
        assert call.reason == "enough"
        assert call.ended.is_set()
        assert desk.calls == {}

    with_desk(deployment(tmp_path), test)


def test_a_call_ends_at_its_limit_also_when_that_was_edited_meanwhile(tmp_path: Path) -> None:
    loaded = deployment(tmp_path)
    shorter = deployment(tmp_path, CLINIC + "limits: { duration: 200ms }\n")

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        desk.deployment = shorter.deployment
        await asyncio.wait_for(call.ended.wait(), 5)
        assert call.reason == "duration limit"

    with_desk(loaded, test)


def test_a_call_that_grows_too_dear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By list prices, which hold for the service alone: a thousand tokens spoken are 6.4 cents."""
    loaded = deployment(tmp_path, CLINIC + "model: gpt-realtime\nlimits: { cost_per_call: 0.1 }\n")

    async def spoke(server: RefusingServer, number: int, response_id: str) -> None:
        tokens = {"text_tokens": 0, "audio_tokens": 1000}
        usage = {"input_tokens": 0, "output_tokens": 1000, "output_token_details": tokens}
        response = {"id": response_id, "status": "completed", "output": [], "usage": usage}
        await server.send(number, {"type": "response.created", "response": response})
        await server.send(number, {"type": "response.done", "response": response})

    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        free = await desk.open()  # an engine of one's own has no price
        for n in range(2):
            await spoke(server, 0, f"r{n}")
        await until(lambda: free.session.usage.get("output_audio") == 2000)
        assert desk.cost_of(free) is None
        monkeypatch.setattr(Address, "openai", True)
        await asyncio.wait_for(free.ended.wait(), 10)
        assert free.reason == "cost limit"
        dear = await desk.open()
        await spoke(server, 1, "r0")
        await until(lambda: desk.cost_of(dear) == pytest.approx(0.064))
        assert not dear.ended.is_set()
        await spoke(server, 1, "r1")
        await asyncio.wait_for(dear.ended.wait(), 10)
        assert (dear.reason, dear.lost) == ("cost limit", False)

    with_desk(loaded, test)


def test_a_line_that_is_refused_ends_the_call_and_leaves_the_table(tmp_path: Path) -> None:
    async def test(desk: Desk, server: RefusingServer, seen: list[Any]) -> None:
        call = await desk.open()
        await server.connections[0].close(1008, "enough of you")
        await asyncio.wait_for(call.ended.wait(), 5)
        assert call.reason
        assert desk.calls == {}

    with_desk(deployment(tmp_path), test)


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    async def main() -> None:
        loaded = deployment(tmp_path)
        address = Address("ws://127.0.0.1:9/v1/realtime", "key")
        desk = Desk(loaded.deployment, load_tools(loaded), address, lambda call, event: None)
        with pytest.raises(ConnectError, match="cannot reach"):
            await desk.open()
        assert desk.calls == {}
        await desk.close()

    asyncio.run(main())
