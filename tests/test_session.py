"""RealtimeSession over a real WebSocket: what an application sees, and what the server gets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.refusing import RefusingServer, refusing_server
from support.until import until

from runner import RealtimeAgent, RealtimeSession, handoff, tool
from runner.errors import ConnectError, NotConnectedError, UserError

Test = Callable[[RealtimeSession, RefusingServer, list[Any]], Awaitable[None]]


def with_session(test: Test, agent: RealtimeAgent | None = None, **options: Any) -> None:
    async def main() -> None:
        async with refusing_server() as server:
            session = RealtimeSession(agent or RealtimeAgent("desk", "Be kind."), **options)
            seen: list[Any] = []
            session.on("*", seen.append)
            await session.connect(api_key="key", url=server.url)
            try:
                await test(session, server, seen)
            finally:
                await session.close()

    asyncio.run(main())


def call(name: str, arguments: str, call_id: str = "call_1") -> dict[str, Any]:
    item = {"id": f"item_{call_id}", "type": "function_call", "call_id": call_id, "name": name}
    return {
        "type": "response.output_item.done",
        "response_id": "resp_1",
        "output_index": 0,
        "item": {**item, "arguments": arguments, "status": "completed"},
    }


def created(response_id: str = "resp_1") -> dict[str, Any]:
    response = {"id": response_id, "object": "realtime.response", "status": "in_progress"}
    return {"type": "response.created", "response": response}


def done(response_id: str = "resp_1") -> dict[str, Any]:
    response = {"id": response_id, "object": "realtime.response", "status": "completed"}
    return {"type": "response.done", "response": {**response, "output": []}}


def audio(samples: int, item_id: str = "item_a", response_id: str = "resp_1") -> dict[str, Any]:
    return {
        "type": "response.output_audio.delta",
        "response_id": response_id,
        "item_id": item_id,
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(b"\1\0" * samples).decode(),
    }


def of(seen: list[Any], kind: str) -> list[Any]:
    return [event for event in seen if event.type == kind]


def sent(server: RefusingServer, kind: str) -> list[dict[str, Any]]:
    return [event for event in server.heard[0] if event["type"] == kind]


def test_the_first_update_holds_the_agent_and_the_defaults() -> None:
    @tool
    def price(item: str) -> str:
        """What an item costs."""
        return "one"

    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        [first] = server.updates[0]
        assert first["instructions"] == "Sell."
        assert [t["name"] for t in first["tools"]] == ["price", "transfer_to_boss"]
        assert first["audio"]["input"]["turn_detection"] == {"type": "semantic_vad"}
        assert first["audio"]["output"]["voice"] == "ash"
        assert session.connected

    boss = RealtimeAgent("boss")
    agent = RealtimeAgent("shop", "Sell.", tools=[price], handoffs=[handoff(boss)], voice="ash")
    with_session(test, agent)


def test_instructions_may_be_asked_for_at_connect() -> None:
    async def asked(context: Any, agent: RealtimeAgent) -> str:
        return f"{agent.name} for {context['who']}"

    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        assert server.updates[0][0]["instructions"] == "desk for Ada"

    with_session(test, RealtimeAgent("desk", asked), context={"who": "Ada"})


def test_a_refused_session_is_a_connect_error_with_the_servers_words() -> None:
    async def main() -> None:
        async with refusing_server(frozenset({0})) as server:
            session = RealtimeSession(RealtimeAgent("desk", "poison"))
            with pytest.raises(ConnectError, match="no poison here"):
                await session.connect(api_key="key", url=server.url)
            assert not session.connected

    asyncio.run(main())


def test_use_before_connect_is_said_clearly() -> None:
    session = RealtimeSession(RealtimeAgent("desk"))
    with pytest.raises(NotConnectedError, match="not connected"):
        session.send_message("hello")
    assert session.transport.status == "disconnected"
    assert session.history == ()


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ('{"item": "pen"}', "pen: 3"),
        ('{"item": "bomb"}', "An error occurred while running the tool. ValueError: no bombs"),
        ('{"item": ', "An error occurred while running the tool. the arguments are no JSON"),
        ("{}", "An error occurred while running the tool. missing argument: item"),
        (
            '{"item": "slow"}',
            "An error occurred while running the tool. Tool 'price' timed out after 100ms.",
        ),
    ],
)
def test_a_call_gets_exactly_one_output_whatever_happens(arguments: str, output: str) -> None:
    @tool(timeout=0.1)
    async def price(item: str) -> str:
        if item == "bomb":
            raise ValueError("no bombs")
        if item == "slow":
            await asyncio.Event().wait()
        return f"{item}: 3"

    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        await server.send(0, created())
        await server.send(0, call("price", arguments))
        await server.send(0, call("price", arguments))  # a repetition
        await server.send(0, done())
        await until(lambda: sent(server, "response.create"))
        outputs = [e["item"] for e in sent(server, "conversation.item.create")]
        assert [(o["call_id"], o["output"]) for o in outputs] == [("call_1", output)]
        assert len(sent(server, "response.create")) == 1

    with_session(test, RealtimeAgent("shop", tools=[price]))


def test_an_unknown_tool_is_answered_too() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        await server.send(0, created())
        await server.send(0, call("nothing", "{}"))
        await server.send(0, done())
        await until(lambda: sent(server, "conversation.item.create"))
        [event] = sent(server, "conversation.item.create")
        assert event["item"]["output"] == "Tool nothing not found"
        assert of(seen, "error")[0].code == "tool_not_found"

    with_session(test)


def test_a_handoff_updates_the_session_then_answers_then_asks() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        await server.send(0, created())
        await server.send(0, call("transfer_to_billing", "{}"))
        await server.send(0, done())
        await until(lambda: sent(server, "response.create"))
        order = [e["type"] for e in server.heard[0]][1:]
        assert order == ["session.update", "conversation.item.create", "response.create"]
        assert server.updates[0][1]["instructions"] == "Money."
        assert session.agent.name == "billing"
        assert [(e.from_agent, e.to_agent) for e in of(seen, "agent_handoff")] == [
            ("desk", "billing")
        ]

    billing = RealtimeAgent("billing", "Money.")
    with_session(test, RealtimeAgent("desk", "Hello.", handoffs=[billing]))


def test_an_agent_that_the_server_refuses_does_not_get_the_line() -> None:
    async def main() -> None:
        async with refusing_server(frozenset({0})) as server:
            seen: list[Any] = []
            billing = RealtimeAgent("billing", "poison")
            session = RealtimeSession(RealtimeAgent("desk", "Hello.", handoffs=[billing]))
            session.on("*", seen.append)
            await session.connect(api_key="key", url=server.url)
            await server.send(0, created())
            await server.send(0, call("transfer_to_billing", "{}"))
            await server.send(0, done())
            await until(lambda: sent(server, "response.create"))
            # The call has its output all the same, and the old agent goes on.
            assert len(sent(server, "conversation.item.create")) == 1
            assert session.agent.name == "desk"
            assert server.sessions[0]["instructions"] == "Hello."
            await session.close()

    asyncio.run(main())


def test_speech_over_the_answer_truncates_at_what_was_heard() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        await server.send(0, created())
        await server.send(0, audio(48_000))  # two seconds
        await until(lambda: of(seen, "audio"))
        started = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - started > 0.2)
        speech = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 1}
        await server.send(0, {**speech, "item_id": "item_u"})
        await server.send(0, audio(4800))  # was on its way already
        await until(lambda: sent(server, "conversation.item.truncate"))
        took = (asyncio.get_running_loop().time() - started) * 1000
        [cut] = of(seen, "audio_interrupted")
        [truncate] = sent(server, "conversation.item.truncate")
        assert cut.heard_ms == truncate["audio_end_ms"]
        assert 200 <= cut.heard_ms <= took + 20
        await server.send(0, done())
        await until(lambda: of(seen, "turn_end"))
        assert len(of(seen, "audio")) == 1, "audio after the cut must not reach the application"

    with_session(test)


def test_a_listener_that_raises_stops_nobody() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        told: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
        finished = asyncio.Event()

        def broken(event: Any) -> None:
            raise KeyError("mine")

        async def later(event: Any) -> None:
            finished.set()

        session.on("agent_start", broken)
        session.on("agent_start", later)
        await server.send(0, created())
        await asyncio.wait_for(finished.wait(), 5)
        assert isinstance(told[0], KeyError)
        assert session.connected

    with_session(test)


def test_an_event_that_causes_another_keeps_the_order_on_the_wire() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        session.once("agent_end", lambda event: session.send_message("and then?"))
        await server.send(0, created())
        await server.send(0, done())
        await until(lambda: sent(server, "response.create"))
        order = [e["type"] for e in server.heard[0]][1:]
        assert order == ["conversation.item.create", "response.create"]

    with_session(test)


def test_iteration_ends_with_the_line() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        async def collect() -> list[str]:
            return [event.type async for event in session]

        from runner.tasks import Supervisor

        work = Supervisor(lambda name, error: None).spawn(collect(), "iterate")
        await until(lambda: session.wants("agent_start") and session._events is not None)
        await server.send(0, created())
        await until(lambda: of(seen, "agent_start"))
        await server.connections[0].close(1008, "enough")
        types = await asyncio.wait_for(work, 5)
        assert "agent_start" in types
        last = of(seen, "connection_change")[-1]
        assert (last.status, last.reason) == ("disconnected", "enough")
        assert not session.connected

    with_session(test)


def test_send_audio_may_be_called_or_awaited() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        session.send_audio(b"\0\0" * 480)
        await session.send_audio(b"\1\0" * 480, commit=True)
        await until(lambda: sent(server, "input_audio_buffer.commit"))
        appended = [base64.b64decode(e["audio"]) for e in sent(server, "input_audio_buffer.append")]
        assert appended == [b"\0\0" * 480, b"\1\0" * 480]

    with_session(test)


def test_the_raw_events_and_any_event_of_ones_own() -> None:
    async def test(session: RealtimeSession, server: RefusingServer, seen: list[Any]) -> None:
        raw: list[Any] = []
        session.transport.on("*", raw.append)
        await server.send(0, {"type": "something.new", "with": ["anything"]})
        await until(lambda: raw)
        assert raw == [{"type": "something.new", "with": ["anything"]}]
        session.transport.send_event({"type": "response.create"})
        await until(lambda: sent(server, "response.create") == [{"type": "response.create"}])

    with_session(test)


@pytest.mark.quick
def test_an_agent_with_two_things_of_one_name_is_refused() -> None:
    def price() -> str:
        return ""

    async def main() -> None:
        agent = RealtimeAgent("shop", tools=[price, price])
        with pytest.raises(UserError, match="price: 2 function tools"):
            await RealtimeSession(agent).connect(url="ws://127.0.0.1:9/")

    asyncio.run(main())
