"""Handoffs in a session: when the other agent has the line, and what the model is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from support.onaline import OnALine, on_a_line, settled
from support.until import until

from runner import RealtimeAgent, errands, handoff, tool
from runner.errors import NotConnectedError, UserError
from runner.testing import server

pytestmark = pytest.mark.quick


def which(agent: str) -> Any:
    @tool(name="which")
    def which() -> str:
        return agent

    return which


BILLING = RealtimeAgent("billing", "Money.", tools=[which("billing")])


def desk(**more: Any) -> RealtimeAgent:
    return RealtimeAgent("desk", "Be kind.", tools=[which("desk")], handoffs=[BILLING], **more)


def order(on: OnALine) -> list[str]:
    """What was sent, in a word each."""
    told = []
    for event in on.line.sent[on._answered :]:
        item = event.get("item", {})
        told.append(item.get("output") or event["type"])
    return told


def test_settings_then_output_then_the_answer() -> None:
    """SE104, VC1: tools and prompt of the new agent are on the wire before the handoff's output,
    the formats stay, and the answer is asked for last."""
    mine: list[tuple[str, str]] = []
    agent = desk()
    agent.on("agent_handoff", lambda event: mine.append((event.from_agent, event.to_agent)))
    formats = {"audio": {"input": {"format": "g711_ulaw"}, "output": {"format": "g711_ulaw"}}}

    async def story(on: OnALine) -> None:
        on.calls("transfer_to_billing")
        assert await on.output() == '{"assistant":"billing"}'
        await until(lambda: on.asked)
        assert order(on) == ["session.update", '{"assistant":"billing"}', "response.create"]
        [update] = on.sent("session.update")
        assert update["session"]["instructions"] == "Money."
        assert [t["name"] for t in update["session"]["tools"]] == ["which"]
        assert on.session.effective["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert on.session.agent is BILLING
        [told] = on.of("agent_handoff")
        assert (told.from_agent, told.to_agent) == ("desk", "billing")
        assert mine == [("desk", "billing")]

    on_a_line(story, agent, config=formats)


def test_an_agent_without_tools_clears_them() -> None:
    """Defect 2: the tools of the agent before do not stay on the server."""
    plain = RealtimeAgent("plain", "Just talk.")

    async def story(on: OnALine) -> None:
        on.calls("transfer_to_plain")
        await on.output()
        assert on.session.effective["tools"] == []

    on_a_line(story, RealtimeAgent("desk", tools=[which("desk")], handoffs=[plain]))


def test_a_late_call_of_an_answer_runs_with_the_agent_that_gave_it() -> None:
    """SE5: the sibling of a handoff runs the old agent's tool. An event that does not say whose
    it is, is an error and nothing is sent."""

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))

        def done(name: str, **where: Any) -> dict[str, Any]:
            item = {"id": name, "type": "function_call", "call_id": name, "name": name}
            item |= {"arguments": "{}", "status": "completed"}
            return {"type": "response.output_item.done", "item": item, **where}

        on.emit(done("transfer_to_billing", response_id="r"))
        await on.told("agent_handoff")
        on.emit(done("which", response_id="r"), server.response_done("r"))
        assert await on.output("which") == "desk"
        on.emit(done("nobody"))
        await settled()
        assert on.errors() == ["bad_event"]
        assert on.outputs("nobody") == []

    on_a_line(story, desk())


def test_calls_for_the_same_agent_are_one_handoff() -> None:
    """SE79: the agent is prepared once; each call gets its output, a repetition nothing more."""
    prepared: list[str] = []

    def words(context: Any, agent: RealtimeAgent) -> str:
        prepared.append(agent.name)
        return "Money."

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))
        for call_id in ("one", "two", "one"):
            item = {"id": call_id, "type": "function_call", "call_id": call_id}
            item |= {"name": "transfer_to_billing", "arguments": "{}", "status": "completed"}
            done = {"type": "response.output_item.done", "response_id": "r", "item": item}
            on.emit(done)
        on.emit(server.response_done("r"))
        for call_id in ("one", "two"):
            assert await on.output(call_id) == '{"assistant":"billing"}'
        assert prepared == ["billing"]
        assert on.asked == 1
        assert len(on.of("agent_handoff")) == 1

    agent = RealtimeAgent("desk", handoffs=[RealtimeAgent("billing", words)])
    on_a_line(story, agent)


@dataclass
class Reason:
    reason: str
    urgent: bool = False


@pytest.mark.parametrize(
    ("arguments", "output", "taken"),
    [
        (
            '{"reason": "a bill", "urgent": true}',
            '{"assistant":"billing"}',
            [Reason("a bill", True)],
        ),
        ('{"urgent": true}', "the handoff's input does not fit", []),
        ("nonsense", "the handoff's input does not fit", []),
    ],
)
def test_a_handoff_with_an_input(arguments: str, output: str, taken: list[Reason]) -> None:
    """What the model fills in comes as the type that was asked for, before the agent changes."""
    seen: list[Any] = []

    async def begun(context: Any, given: Reason) -> None:
        seen.append(given)

    way = handoff(BILLING, input_type=Reason, on_handoff=begun, when="It is about money.")

    async def story(on: OnALine) -> None:
        [wire] = on.session.effective["tools"]
        assert set(wire["parameters"]["properties"]) == {"reason", "urgent"}
        assert "It is about money." in wire["description"]
        on.calls("transfer_to_billing", arguments)
        assert (await on.output()).startswith(output)
        assert seen == taken
        assert on.session.agent.name == ("billing" if taken else "desk")
        assert on.errors() == ([] if taken else ["handoff_failed"])

    on_a_line(story, RealtimeAgent("desk", handoffs=[way]))


def test_an_input_that_nobody_takes_is_refused_at_once() -> None:
    with pytest.raises(UserError, match="nobody to take it"):
        handoff(BILLING, input_type=Reason)


def test_an_agent_that_cannot_be_prepared_leaves_the_old_one() -> None:
    """The model is told why, and the call goes on."""

    def broken(context: Any, agent: RealtimeAgent) -> str:
        raise RuntimeError("no instructions today")

    agent = RealtimeAgent("desk", handoffs=[RealtimeAgent("billing", broken)])

    async def story(on: OnALine) -> None:
        on.calls("transfer_to_billing")
        assert "no instructions today" in await on.output()
        assert on.session.agent is agent
        assert on.errors() == ["handoff_failed"]

    on_a_line(story, agent)


async def cancelled(*args: Any) -> str:
    raise asyncio.CancelledError


async def endless(*args: Any) -> str:
    await asyncio.Event().wait()
    return ""


@pytest.mark.parametrize("fault", [cancelled, endless])
@pytest.mark.parametrize("where", ["on_handoff", "instructions", "is_enabled"])
def test_a_handoff_that_is_never_ready_is_answered(
    where: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defect 7: the model is told, the old agent stays, and the next handoff works."""
    monkeypatch.setattr(errands, "PREPARED_SECONDS", 0.05)
    asked: list[int] = []

    def once(context: Any, agent: RealtimeAgent) -> Any:
        asked.append(1)
        return True if len(asked) == 1 else fault()

    other = RealtimeAgent("other", fault if where == "instructions" else "")
    way = handoff(
        other,
        on_handoff=fault if where == "on_handoff" else None,
        is_enabled=once if where == "is_enabled" else True,
    )
    agent = RealtimeAgent("desk", "Be kind.", handoffs=[way, BILLING])

    async def story(on: OnALine) -> None:
        on.calls("transfer_to_other")
        assert (await on.output()).startswith("the handoff to other ")
        assert on.errors() == ["handoff_failed"]
        assert (on.asked, on.session.agent) == (1, agent)
        on.emit(*server.written("Sorry.", to=on.request))
        on.calls("transfer_to_billing", call_id="call_2")
        assert await on.output("call_2") == '{"assistant":"billing"}'

    on_a_line(story, agent)


def test_a_handoff_that_was_switched_off_meanwhile_is_not_made() -> None:
    """As a tool: the model may still know of it. Nothing of it is begun."""
    on_now, begun = [True], []
    agent = RealtimeAgent("desk", "Be kind.")
    seen: list[Any] = []

    def rule(context: Any, asking: RealtimeAgent) -> bool:
        seen.append((context, asking))
        return on_now[0]

    agent.handoffs = [handoff(BILLING, is_enabled=rule, on_handoff=begun.append)]

    async def story(on: OnALine) -> None:
        on_now[0] = False
        on.calls("transfer_to_billing")
        assert await on.output() == "Tool transfer_to_billing not found"
        assert (begun, on.session.agent, on.of("agent_handoff")) == ([], agent, [])
        assert seen == [("ctx", agent)] * 2

    on_a_line(story, agent, context="ctx")


@pytest.mark.parametrize("end", ["close", "close and connect"])
@pytest.mark.parametrize("how", ["update_agent", "reconfigure"])
def test_an_agent_that_is_ready_after_the_session_gets_no_line(how: str, end: str) -> None:
    """SE76: nor the next one; the program that waits for it is told."""
    gate = asyncio.Event()

    async def slow(context: Any, agent: RealtimeAgent) -> str:
        await gate.wait()
        return "Money."

    async def story(on: OnALine) -> None:
        session = on.session
        if how == "update_agent":
            work: Any = session.update_agent(RealtimeAgent("billing", slow))
        else:
            work = session.reconfigure({"desk": RealtimeAgent("desk", slow)}, session.settings, 1)
        waiting = asyncio.ensure_future(work)
        await settled()
        await session.close()
        if end != "close":
            await session.connect()
        gate.set()
        with pytest.raises(NotConnectedError, match="closed meanwhile"):
            await asyncio.wait_for(waiting, 10)
        assert on.of("agent_handoff") == []
        assert "Money." not in str(on.line.sent)

    on_a_line(story, RealtimeAgent("desk", "Be kind."))


@pytest.mark.parametrize("end", ["close", "close and connect"])
def test_a_handoff_that_ends_after_the_session_is_not_made(end: str) -> None:
    """SE76: nor into the next one."""
    gate = asyncio.Event()

    async def slow(context: Any, agent: RealtimeAgent) -> str:
        await gate.wait()
        return "Money."

    agent = RealtimeAgent("desk", "Be kind.", handoffs=[RealtimeAgent("billing", slow)])

    async def story(on: OnALine) -> None:
        on.calls("transfer_to_billing")
        await settled()
        await on.session.close()
        if end != "close":
            await on.session.connect()
        gate.set()
        await settled()
        assert on.session.agent is agent
        assert on.of("agent_handoff") == []
        assert "Money." not in str(on.line.sent)

    on_a_line(story, agent)


def test_each_agents_events_name_the_agent_that_owned_the_answer() -> None:
    """The end of the answer that handed over is still the old agent's."""

    async def story(on: OnALine) -> None:
        on.emit(server.response_created("r"))
        item = {"id": "t", "type": "function_call", "call_id": "t", "name": "transfer_to_billing"}
        item |= {"arguments": "{}", "status": "completed"}
        on.emit({"type": "response.output_item.done", "response_id": "r", "item": item})
        await on.told("agent_handoff")
        on.emit(server.response_done("r"))
        assert on.of("agent_end")[0].agent == "desk"
        await until(lambda: on.asked)
        on.emit(*server.written("Hello, billing.", to=on.request))
        assert on.of("agent_start")[-1].agent == "billing"

    on_a_line(story, desk())


def test_a_voice_that_was_heard_is_not_sent_again_and_that_is_said() -> None:
    """Defect 11: the agent's voice counts where the session names none, and only until it spoke."""
    agent = RealtimeAgent("desk", voice="ash", handoffs=[RealtimeAgent("billing", voice="cedar")])

    async def story(on: OnALine) -> None:
        assert on.session.effective["audio"]["output"]["voice"] == "ash"
        on.emit(*server.spoken("Hello.", b"\1\0" * 240, response_id="r1"))
        on.calls("transfer_to_billing")
        await on.output()
        [update] = on.sent("session.update")
        assert "voice" not in update["session"].get("audio", {}).get("output", {})
        assert on.errors() == ["voice_kept"]

    on_a_line(story, agent)


def test_update_agent_switches_at_once_without_an_output() -> None:
    """SE104: and the audio formats are kept."""

    async def story(on: OnALine) -> None:
        given = await on.session.update_agent(BILLING)
        assert given is BILLING
        await until(lambda: on.session.effective["instructions"] == "Money.")
        assert on.session.effective["audio"]["input"]["format"] == {"type": "audio/pcma"}
        assert on.items("function_call_output") == []
        assert on.asked == 0
        assert [(e.from_agent, e.to_agent) for e in on.of("agent_handoff")] == [("desk", "billing")]

    formats = {"audio": {"input": {"format": "g711_alaw"}}}
    on_a_line(story, desk(), config=formats)
