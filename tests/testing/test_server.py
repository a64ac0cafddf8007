"""The server's usual words: a session takes them for what they are."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import Playbook

from runner.core.events import AgentEnd, SessionError, Transcript
from runner.testing import server
from runner.testing.calls import Call

pytestmark = pytest.mark.quick


def feed(play: Playbook, events: list[dict[str, Any]]) -> Playbook:
    for event in events:
        if event["type"] != "response.output_audio.delta":
            play >> event
    return play


def request(play: Playbook) -> Call:
    play.do(play.core.create_response, None)
    return Call(0, "send_event", {"event": play.ever_sent("response.create")[-1]})


@pytest.mark.parametrize("make", [server.spoken, server.written])
def test_a_whole_answer(make: Any) -> None:
    play = Playbook().open()
    feed(play, make("We are open.", to=request(play), response_id="r1", item_id="a1"))
    assert [(e.response_id, e.text) for e in play.ever_told(AgentEnd)] == [("r1", "We are open.")]
    assert [t.text for t in play.ever_told(Transcript)] == ["We are open."]
    assert not play.core.busy


def test_a_call_of_a_tool() -> None:
    play = Playbook().open()
    feed(play, server.tool_call("find_slots", {"day": "Tue"}, to=request(play), call_id="c1"))
    play.do(play.core.tool_finished, "c1", "nine")
    outputs = [e["item"] for e in play.ever_sent("conversation.item.create")]
    assert [(o["call_id"], o["output"]) for o in outputs] == [("c1", "nine")]
    assert len(play.ever_sent("response.create")) == 2


def test_a_caller_who_is_heard() -> None:
    play = Playbook().open()
    play >> server.speech_started("u1")
    feed(play, server.heard("Hello?", "u1"))
    assert [(t.role, t.text) for t in play.ever_told(Transcript)] == [("user", "Hello?")]


def test_an_error_and_an_unasked_answer() -> None:
    play = Playbook().open()
    play >> server.error("rate_limited", "slower")
    assert [(e.code, e.message) for e in play.ever_told(SessionError)] == [
        ("rate_limited", "slower")
    ]
    feed(play, server.written("By the way."))
    assert [e.text for e in play.ever_told(AgentEnd)] == ["By the way."]
    assert server.session_created()["session"]["id"] == "sess_1"
