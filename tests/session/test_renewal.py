"""The end of a line and the next one, against a server that breaks its lines as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.faults import Proxy
from support.lines import Lines, lines
from support.until import until

from runner import RealtimeAgent, RealtimeSession, renewal, tool
from runner.core.events import Connection, SettingsApplied, SettingsRefused
from runner.core.watch import UNAPPROVED
from runner.errors import ModelBehaviorError, NotConnectedError, UserError
from runner.model.settings import SessionSettings

Test = Callable[[RealtimeSession, Lines, list[Any]], Awaitable[None]]


def on_lines(
    test: Test, agent: RealtimeAgent | None = None, api_key: Any = "key", **options: Any
) -> None:
    async def main() -> None:
        async with lines() as server:
            session = RealtimeSession(agent or RealtimeAgent("desk", "Be kind."), **options)
            seen: list[Any] = []
            session.on("*", seen.append)
            await session.connect(api_key=api_key, url=server.url)
            try:
                async with asyncio.timeout(20):
                    await test(session, server, seen)
            finally:
                await session.close()

    asyncio.run(main())


def of(seen: list[Any], kind: str) -> list[Any]:
    return [e for e in seen if e.type == kind]


def changes(seen: list[Any]) -> list[str]:
    return [e.status for e in of(seen, "connection_change")]


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [i["content"][0]["text"] for i in items if i["type"] == "message"]


async def over(session: RealtimeSession, seen: list[Any]) -> Connection:
    """The session has ended by itself; its last word."""
    await until(lambda: not session.connected and changes(seen)[-1] == "disconnected")
    last: Connection = of(seen, "connection_change")[-1]
    assert last.lost
    return last


# -- which ends are ends ---------------------------------------------------------------------
@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
def test_after_an_accident_the_line_is_renewed(code: int) -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_message("hello")
        await until(lambda: session.history)
        await server.connections[0].close(code, "so sorry")
        await until(lambda: of(seen, "reconnected"))
        assert changes(seen) == ["connecting", "connected", "reconnecting", "connected"]
        assert of(seen, "connection_change")[2].reason == "so sorry"
        assert texts(server.items(1)) == ["hello"]
        assert server.of(1, "session.update")[0]["session"]["instructions"] == "Be kind."
        assert of(seen, "reconnected")[0].ms >= 0
        assert [i.text for i in session.history] == ["hello"]

    on_lines(test)


@pytest.mark.parametrize("code", [1000, 1008, 4000, 4001])
def test_after_a_goodbye_or_a_refusal_it_is_not(code: int) -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        await server.connections[0].close(code, "that was all")
        assert (await over(session, seen)).reason == "that was all"
        assert len(server.keys) == 1
        assert not of(seen, "reconnected")

    on_lines(test)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_that_will_not_pass_ends_the_call_with_its_reason(status: int) -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.refuse.append(status)
        server.reset()
        reason = (await over(session, seen)).reason
        assert f"HTTP {status}: no, " in reason
        assert len(server.keys) == 2

        def nobody() -> bool:  # the session hears of its end a step after its listeners
            try:
                session.send_message("hello")
            except NotConnectedError:
                return True
            return False

        await until(nobody)

    on_lines(test)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_refusal_that_may_pass_is_waited_out(status: int) -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.refuse.extend([status, status])
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        assert len(server.keys) == 4
        assert len(of(seen, "reconnected")) == 1

    on_lines(test)


def test_a_line_that_is_taken_and_refused_at_once_is_a_refusal() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.kick.append(1008)
        server.reset()
        assert "kicked" in (await over(session, seen)).reason
        assert len(server.connections) == 2

    on_lines(test)


def test_lines_that_are_taken_and_dropped_at_once_use_up_the_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewal, "BUDGET_SECONDS", 1.0)

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.kick.extend([1011] * 100)
        server.reset()
        await over(session, seen)
        assert len(server.connections) < 12

    on_lines(test)


def test_without_reconnect_a_lost_line_is_the_end() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_message("hello")
        await until(lambda: session.history)
        server.reset()
        await over(session, seen)
        assert len(server.keys) == 1
        assert [i.text for i in session.history] == ["hello"]  # to be read afterwards

    on_lines(test, reconnect=False)


def test_when_nobody_answers_the_call_ends_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(renewal, "BUDGET_SECONDS", 0.5)

    async def main() -> None:
        seen: list[Any] = []
        async with lines() as server:
            session = RealtimeSession(RealtimeAgent("desk"))
            session.on("*", seen.append)
            await session.connect(api_key="key", url=server.url)
        last = await over(session, seen)
        assert "cannot reach" in last.reason
        assert changes(seen) == ["connecting", "connected", "reconnecting", "disconnected"]

    asyncio.run(main())


@pytest.mark.parametrize("accident", ["rst", "fin"])
def test_a_socket_that_ends_without_a_goodbye_is_renewed(accident: str) -> None:
    async def main() -> None:
        seen: list[Any] = []
        async with lines() as server, Proxy(server.port) as proxy:
            session = RealtimeSession(RealtimeAgent("desk"))
            session.on("*", seen.append)
            await session.connect(api_key="k", url=f"ws://127.0.0.1:{proxy.port}/v1/realtime")
            session.send_message("hello")
            await until(lambda: session.history)
            getattr(proxy, accident)()
            await until(lambda: of(seen, "reconnected"))
            assert texts(server.items(1)) == ["hello"]
            await session.close()

    asyncio.run(main())


def test_a_dead_link_is_found_by_the_ping() -> None:
    """Nobody tells us, and nothing comes: 2 s to the ping, 2 s to its answer, half a second."""

    async def main() -> None:
        seen: list[Any] = []
        async with lines() as server, Proxy(server.port) as proxy:
            session = RealtimeSession(RealtimeAgent("desk"))
            session.on("*", seen.append)
            await session.connect(api_key="k", url=f"ws://127.0.0.1:{proxy.port}/v1/realtime")
            session.send_message("hello")
            await until(lambda: session.history)
            proxy.blackhole(new=False)
            await until(lambda: of(seen, "reconnected"), 15)
            assert texts(server.items(1)) == ["hello"]
            assert len(of(seen, "reconnected")) == 1
            await session.close()

    asyncio.run(main())


def test_the_key_is_asked_for_anew_and_may_fail_to_come() -> None:
    given: list[str] = []

    async def key() -> str:
        given.append(f"key {len(given)}")
        if len(given) == 2:
            raise RuntimeError("the vault is shut")
        return given[-1]

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        assert server.keys == ["Bearer key 0", "Bearer key 2"]

    on_lines(test, api_key=key)


# -- nobody waits for ever -------------------------------------------------------------------
def edited(instructions: str) -> tuple[dict[str, RealtimeAgent], SessionSettings]:
    return {"desk": RealtimeAgent("desk", instructions)}, SessionSettings()


def test_an_edit_made_without_a_line_is_answered_by_the_next_one() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.refuse.extend([503, 503])
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        outcome = await session.reconfigure(*edited("Be brief."), 1)
        assert outcome == SettingsApplied(1)
        assert server.of(1, "session.update")[0]["session"]["instructions"] == "Be brief."
        assert session.agent.instructions == "Be brief."

    on_lines(test)


def test_an_edit_that_was_on_its_way_is_answered_by_the_next_line() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.silent = True
        waiting = asyncio.ensure_future(session.reconfigure(*edited("Be brief."), 1))
        await until(lambda: len(server.of(0, "session.update")) == 2)
        server.silent = False
        server.reset()
        assert await waiting == SettingsApplied(1)

    on_lines(test)


def test_an_edit_that_the_next_line_refuses_is_undone_and_the_call_goes_on() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.poison = "poison"
        server.refuse.append(503)
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        outcome = await session.reconfigure(*edited("poison"), 1)
        assert isinstance(outcome, SettingsRefused)
        assert outcome.message == "no poison here"
        await until(lambda: of(seen, "reconnected"))
        assert server.sessions[-1]["instructions"] == "Be kind."
        assert session.agent.instructions == "Be kind."

    on_lines(test)


def test_an_edit_waited_for_when_the_call_ends_is_answered() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.refuse.extend([503, 401])
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        outcome = await session.reconfigure(*edited("Be brief."), 1)
        assert outcome == SettingsRefused(1, "disconnected", "the line is gone")
        await over(session, seen)

    on_lines(test)


def test_an_edit_waited_for_when_the_program_closes_fails() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.silent = True
        waiting = asyncio.ensure_future(session.reconfigure(*edited("Be brief."), 1))
        await until(lambda: len(server.of(0, "session.update")) == 2)
        await session.close()
        with pytest.raises(NotConnectedError):
            await waiting

    on_lines(test)


def test_close_does_not_wait_for_the_next_line() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        server.silent = True  # the next line never has its settings
        server.reset()
        await server.line(1)
        async with asyncio.timeout(2):
            await session.close()
        assert changes(seen)[-1] == "disconnected"
        assert not of(seen, "error")

    on_lines(test)


def test_close_does_not_wait_for_the_first_line_either() -> None:
    async def main() -> None:
        async with lines() as server:
            server.silent = True
            session = RealtimeSession(RealtimeAgent("desk"))
            connecting = asyncio.ensure_future(session.connect(api_key="k", url=server.url))
            await server.line(0)
            async with asyncio.timeout(2):
                await session.close()
            with pytest.raises(NotConnectedError):
                await connecting

    asyncio.run(main())


# -- what the program and the caller do meanwhile --------------------------------------------
def test_messages_sent_without_a_line_follow_in_order() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_message("one", respond=False)
        await until(lambda: session.history)
        server.refuse.append(503)
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        session.send_message("two")
        with pytest.raises(UserError):
            session.update_history([])
        await until(lambda: of(seen, "reconnected"))
        await until(lambda: len(session.history) == 2)
        assert texts(server.items(1)) == ["one", "two"]
        await until(lambda: server.of(1, "response.create"))
        server.reset()
        await until(lambda: len(of(seen, "reconnected")) == 2)
        assert texts(server.items(2)) == ["one", "two"]
        assert [i.text for i in session.history] == ["one", "two"]

    on_lines(test)


def test_the_callers_audio_of_the_gap_is_heard_afterwards_once_and_in_order() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        frames = [bytes([n, 0]) * 480 for n in range(1, 61)]  # 20 ms each
        for frame in frames[:10]:
            session.send_audio(frame)
        await until(lambda: len(server.audio(0)) == 10 * 960)
        started = {"type": "input_audio_buffer.speech_started", "item_id": "u1"}
        await server.send(0, {**started, "audio_start_ms": 100})
        await until(lambda: of(seen, "speech_started"))
        for frame in frames[10:20]:
            session.send_audio(frame)
        await until(lambda: len(server.audio(0)) == 20 * 960)
        server.refuse.append(503)
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        for frame in frames[20:40]:
            session.send_audio(frame)
        await until(lambda: of(seen, "reconnected"))
        for frame in frames[40:]:
            session.send_audio(frame)
        # From 300 ms before the words that nobody has understood.
        expected = b"".join(frames)
        await until(lambda: server.audio(1).endswith(frames[-1]))
        assert expected.endswith(server.audio(1))
        assert len(server.audio(1)) == len(expected)

    on_lines(test)


def test_what_was_understood_is_not_sent_again_nor_what_a_muted_caller_said() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_audio(bytes([1, 0]) * 24000)
        item = {"type": "input_audio_buffer.speech_started", "item_id": "u1", "audio_start_ms": 0}
        words = {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "u1", "content_index": 0, "transcript": "hello",
        }  # fmt: skip
        await server.send(0, item, {**item, "type": "input_audio_buffer.speech_stopped"}, words)
        await until(lambda: of(seen, "transcript"))
        server.refuse.append(503)
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        session.mute(True)
        session.send_audio(bytes([2, 0]) * 24000)
        session.mute(False)
        session.send_audio(bytes([3, 0]) * 480)
        await until(lambda: of(seen, "reconnected"))
        await until(lambda: server.audio(1).endswith(bytes([3, 0]) * 480))
        assert server.audio(1) == bytes([1, 0]) * 7200 + bytes([3, 0]) * 480

    on_lines(test)


def test_a_turn_of_push_to_talk_goes_before_the_answer_to_it() -> None:
    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        session.send_audio(bytes([1, 0]) * 4800)
        await until(lambda: server.audio(0))
        server.refuse.append(503)
        server.reset()
        await until(lambda: "reconnecting" in changes(seen))
        session.send_audio(bytes([2, 0]) * 4800, commit=True)
        session.respond()
        await until(lambda: server.of(1, "response.create") if len(server.heard) > 1 else False)
        kinds = [e["type"] for e in server.heard[1] if e["type"] != "session.update"]
        assert kinds == [
            "input_audio_buffer.append",
            "input_audio_buffer.append",
            "input_audio_buffer.commit",
            "response.create",
        ]
        assert server.audio(1) == bytes([1, 0]) * 4800 + bytes([2, 0]) * 4800

    on_lines(test, config={"audio": {"input": {"turn_detection": None}}})


def test_an_approval_of_the_old_line_is_refused_in_words() -> None:
    """SE42: neither a yes nor a no that was asked for on the old line counts on the next."""
    ran: list[str] = []

    @tool(needs_approval=True)
    async def pay(to: str) -> str:
        ran.append(to)
        return "paid"

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        call = {
            "id": "f1", "type": "function_call", "call_id": "c1", "name": "pay",
            "arguments": '{"to": "Ada"}', "status": "completed",
        }  # fmt: skip
        await server.send(
            0,
            {"type": "response.created", "response": {"id": "r1", "output": []}},
            {"type": "response.output_item.done", "response_id": "r1", "item": call},
        )
        await until(lambda: session.approvals)
        (request,) = session.approvals
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        outputs = [i for i in server.items(1) if i["type"] == "function_call_output"]
        assert [o["output"] for o in outputs] == [UNAPPROVED]
        await until(lambda: server.of(1, "response.create"))
        with pytest.raises(ModelBehaviorError):
            session.approve(request)
        with pytest.raises(ModelBehaviorError):
            session.reject(request)
        assert not ran

    on_lines(test, RealtimeAgent("desk", tools=[pay]))


def test_an_approval_for_a_hosted_server_of_the_old_line_is_nobodys() -> None:
    """SE100: the next line's server knows nothing of the request (approve and reject)."""

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        item = {
            "id": "m1", "type": "mcp_approval_request", "name": "pay", "arguments": "{}",
            "server_label": "bank",
        }  # fmt: skip
        await server.send(0, {"type": "conversation.item.done", "item": item})
        await until(lambda: session.approvals)
        (request,) = session.approvals
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        assert not session.approvals
        with pytest.raises(ModelBehaviorError):
            session.approve(request)
        with pytest.raises(ModelBehaviorError):
            session.reject(request)
        assert not server.items(1)

    on_lines(test)


def test_a_tool_that_ran_over_the_loss_is_not_run_again() -> None:
    ran: list[str] = []
    go_on = asyncio.Event()

    @tool
    async def find(what: str) -> str:
        ran.append(what)
        await go_on.wait()
        return "found"

    async def test(session: RealtimeSession, server: Lines, seen: list[Any]) -> None:
        call = {
            "id": "f1", "type": "function_call", "call_id": "c1", "name": "find",
            "arguments": '{"what": "it"}', "status": "completed",
        }  # fmt: skip
        await server.send(
            0,
            {"type": "response.created", "response": {"id": "r1", "output": []}},
            {"type": "response.output_item.done", "response_id": "r1", "item": call},
        )
        await until(lambda: ran)
        server.reset()
        await until(lambda: of(seen, "reconnected"))
        assert [i["type"] for i in server.items(1)] == ["function_call"]
        go_on.set()
        await until(lambda: server.of(1, "response.create"))
        assert [i["type"] for i in server.items(1)] == ["function_call", "function_call_output"]
        assert ran == ["it"]
        assert len(of(seen, "agent_tool_end")) == 1

    on_lines(test, RealtimeAgent("desk", tools=[find]))
