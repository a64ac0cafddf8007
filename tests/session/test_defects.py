"""What OpenAI's SDK does wrong and a session here does right, whole and in order.

Those that need an engine, a telephone, tools or handoffs are beside these: ``grep "Defect 7"``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from support.lines import lines
from support.onaline import OnALine, on_a_line, settled
from support.until import until

from runner import RealtimeAgent, RealtimeSession
from runner.errors import UserError
from runner.testing import ScriptedTransport, server

pytestmark = pytest.mark.quick


def said(item_id: str, text: str, after: str | None = None) -> dict[str, Any]:
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed"}
    content = [{"type": "input_text", "text": text}]
    event = {"type": "conversation.item.done", "item": {**item, "content": content}}
    return {**event, "previous_item_id": after}


def test_an_answer_that_lost_the_race_is_asked_for_again() -> None:
    """Defect 1: while our request is under way the server begins an answer by itself. Its
    response.created is not ours, and the refusal of ours is no end of it."""

    async def story(on: OnALine) -> None:
        on.session.send_message("And the price?")
        ours = on.request.event
        on.emit(server.response_created("vad"))
        on.emit(server.error("conversation_already_has_active_response", event_id=ours["event_id"]))
        await settled()
        assert on.asked == 1
        assert on.errors() == []
        on.emit(server.response_done("vad"))
        await until(lambda: on.asked == 2)
        on.emit(*server.written("Three euros.", to=on.request))
        await settled()
        assert on.asked == 2
        assert [item.text for item in on.session.history][-1] == "Three euros."

    on_a_line(story)


def test_a_lost_line_is_told_and_its_history_kept() -> None:
    """Defect 4: the session says that it lost its line, finds another and forgets nothing."""

    async def main() -> None:
        async with asyncio.timeout(30), lines() as far:
            session = RealtimeSession(RealtimeAgent("desk", "Be kind."))
            states: list[str] = []
            session.on("connection_change", lambda event: states.append(event.status))
            await session.connect(api_key="key", url=far.url)
            session.send_message("My number is 17.", respond=False)
            await until(lambda: session.history)
            far.reset(0)
            await far.line(1)
            await until(lambda: states[2:] == ["reconnecting", "connected"])
            assert [item.text for item in session.history] == ["My number is 17."]
            assert far.items(1)[0]["content"] == [
                {"type": "input_text", "text": "My number is 17."}
            ]
            await session.close()
            again = ["reconnecting", "connected"]
            assert states == ["connecting", "connected", *again, "disconnected"]

    asyncio.run(main())


def test_the_program_cuts_what_is_made_already_and_still_sounds() -> None:
    """Defect 5: generation is over long before the audio is; there is nothing to cancel then,
    and something to truncate."""

    async def story(on: OnALine) -> None:
        second = b"\1\0" * 24_000
        on.emit(*server.spoken("A long story.", second * 20, response_id="r", item_id="a"))
        await until(lambda: on.of("audio_start"))
        on.session.interrupt()
        [cut] = on.sent("conversation.item.truncate")
        assert (cut["item_id"], cut["content_index"]) == ("a", 0)
        assert 0 <= cut["audio_end_ms"] < 20_000
        assert on.sent("response.cancel") == []
        assert [event.item_id for event in on.of("audio_interrupted")] == ["a"]

    on_a_line(story)


def test_old_and_new_names_of_settings_side_by_side() -> None:
    """Defect 8: neither hides the other, and what contradicts itself is not sent."""
    both = {
        "turnDetection": {"type": "server_vad", "silenceDurationMs": 300},
        "audio": {"output": {"voice": "cedar"}},
    }

    async def story(on: OnALine) -> None:
        audio = on.session.effective["audio"]
        assert audio["input"]["turn_detection"]["silence_duration_ms"] == 300
        assert audio["output"]["voice"] == "cedar"

    on_a_line(story, config=both)
    with pytest.raises(UserError, match=r"two things about audio\.output\.voice"):
        RealtimeSession(RealtimeAgent("desk"), config={**both, "voice": "ash"})


def test_an_edited_item_keeps_its_place() -> None:
    """Defect 9: the one in the middle is made anew in the middle, not at the end."""

    async def story(on: OnALine) -> None:
        on.emit(said("u1", "One"), said("u2", "Two", "u1"), said("u3", "Three", "u2"))
        first, second, third = on.session.history
        content = ({"type": "input_text", "text": "Two and a half"},)
        on.session.update_history([first, replace(second, content=content), third])
        assert [e["item_id"] for e in on.sent("conversation.item.delete")] == ["u2"]
        [made] = on.sent("conversation.item.create")
        assert made["previous_item_id"] == "u1"
        assert made["item"]["content"] == list(content)

    on_a_line(story)


def test_a_caller_who_was_muted_before_the_call_is_not_heard() -> None:
    """Defect 10: mute() counts before connect(), on a real line."""

    async def main() -> None:
        async with asyncio.timeout(30), lines() as far:
            session = RealtimeSession(RealtimeAgent("desk", "Be kind."))
            session.mute(True)
            await session.connect(api_key="key", url=far.url, model="gpt-realtime-mini")
            assert session.muted
            session.send_audio(b"\1\0" * 240)
            session.mute(False)
            session.send_audio(b"\2\0" * 240)
            await until(lambda: far.audio(0))
            assert far.audio(0) == b"\2\0" * 240
            await session.close()

    asyncio.run(main())


def test_what_is_named_at_connect_is_asked_for() -> None:
    """Defect 10: connect(model=...) counts above the option, and for the settings too."""
    line = ScriptedTransport()

    async def main() -> None:
        session = RealtimeSession(RealtimeAgent("desk"), transport=line, model="gpt-realtime")
        on = OnALine(session, line)
        await on.connect(model="gpt-realtime-mini")
        assert line.calls[0].values["model"] == "gpt-realtime-mini"
        assert session.model == "gpt-realtime-mini"
        config = await session.initial_session_config()
        assert config["model"] == "gpt-realtime-mini"
        await session.close()

    asyncio.run(main())


def test_the_voice_of_each_agent_counts() -> None:
    """Defect 11: the agent's own where the session names none; a session that names one keeps
    it."""
    agent = RealtimeAgent("desk", voice="ash")
    next_one = RealtimeAgent("billing", voice="cedar")

    def voices(**options: Any) -> list[str]:
        heard: list[str] = []

        async def story(on: OnALine) -> None:
            heard.append(on.session.effective["audio"]["output"]["voice"])
            await on.session.update_agent(next_one)
            await settled()
            heard.append(on.session.effective["audio"]["output"]["voice"])

        on_a_line(story, agent, **options)
        return heard

    assert voices() == ["ash", "cedar"]
    assert voices(config={"voice": "marin"}) == ["marin", "marin"]
