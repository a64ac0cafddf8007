"""The doors of a conversation: connecting, speaking, messages, what it says about itself."""

from __future__ import annotations

import pytest
from support.playbook import (
    Playbook,
    done,
    error,
    item,
    message,
    speech_started,
    speech_stopped,
    user_audio,
    user_text,
)

from runner.core.conversation import SAY
from runner.core.effects import Wake
from runner.core.events import Connection, IdleTimeout, RateLimits, SessionError, SpeechStopped

pytestmark = pytest.mark.quick


def test_say_asks_for_the_words_and_nothing_else() -> None:
    play = Playbook().open()
    play.do(play.core.say, "One moment.", purpose="filler")
    wire = play.sent("response.create")[0]["response"]
    assert wire["instructions"] == SAY + "One moment."
    assert wire["instructions"].split("\n\n", 1)[1] == "One moment."
    assert wire["tool_choice"] == "none"
    assert (wire["metadata"]["rtrun"], wire["metadata"]["purpose"]) == ("say", "filler")


def test_a_message_is_an_item_and_a_request() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    assert [e["type"] for e in play.sent()] == ["conversation.item.create", "response.create"]
    assert play.sent()[0]["item"] == {
        "id": "rtrun_item_2",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "hello"}],
    }


def test_a_message_may_want_no_answer_have_parts_or_another_role() -> None:
    play = Playbook().open()
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    play.do(play.core.send_message, [image], respond=False)
    assert [e["type"] for e in play.sent()] == ["conversation.item.create"]
    assert play.sent()[0]["item"]["content"] == [image]
    play.do(play.core.send_message, "Hi.", respond=False, role="assistant")
    assert play.sent()[0]["item"]["content"] == [{"type": "output_text", "text": "Hi."}]
    play.do(play.core.send_message, "Be brief.", respond=False, role="system")
    assert play.sent()[0]["item"]["role"] == "system"


def test_every_event_has_a_name_of_its_own() -> None:
    play = Playbook(prefix="leg2").open()
    play.do(play.core.send_message, "a").do(play.core.send_message, "b").do(play.core.say, "c")
    names = [e["event_id"] for e in play.all_sent]
    assert len(set(names)) == len(names)
    assert all(n.startswith("leg2_") for n in names)


def test_lines_come_and_go() -> None:
    play = Playbook()
    play.do(play.core.disconnected, reason="never was")
    assert not play.effects
    play.open().do(play.core.disconnected, reason="reset by peer")
    assert play.told(Connection) == [Connection("disconnected", "reset by peer", lost=True)]
    assert not play.core.ready
    play.open()
    assert play.ever_sent("session.update")[1]["session"]["instructions"] == "You are desk."


def test_an_error_of_nobody_is_told() -> None:
    play = Playbook().open()
    play >> error("unknown_parameter", "somebody", message="what?")
    assert play.told(SessionError) == [
        SessionError("unknown_parameter", "what?", False, "somebody")
    ]


@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key"])
def test_some_errors_end_the_session(code: str) -> None:
    play = Playbook().open()
    play >> error(code)
    assert play.told(SessionError)[0].fatal


def test_an_error_with_little_in_it_is_told_too() -> None:
    play = Playbook().open()
    play >> {"type": "error", "error": {}}
    assert [(e.code, e.message) for e in play.told(SessionError)] == [("error", "error")]


def test_limits_timeouts_and_speech_are_passed_on() -> None:
    play = Playbook().open()
    play >> {"type": "rate_limits.updated", "rate_limits": [{"name": "tokens", "remaining": 1}]}
    assert play.told(RateLimits) == [RateLimits(({"name": "tokens", "remaining": 1},))]
    play >> {"type": "input_audio_buffer.timeout_triggered", "item_id": "u1"}
    assert play.told(IdleTimeout) == [IdleTimeout("u1")]
    play >> speech_started()
    assert play.core.caller_speaking
    play >> speech_stopped("u1", 500)
    assert play.told(SpeechStopped) == [SpeechStopped("u1", 500)]
    assert not play.core.caller_speaking


@pytest.mark.parametrize("kind", ["cleared", "committed"])
def test_a_buffer_that_is_cleared_or_committed_ends_the_speech(kind: str) -> None:
    play = Playbook().open()
    play >> speech_started() >> {"type": f"input_audio_buffer.{kind}", "item_id": "u1"}
    assert not play.core.caller_speaking
    assert not play.core.busy


def test_busy_means_a_turn_is_running() -> None:
    play = Playbook().open()
    assert not play.core.busy
    play.do(play.core.send_message, "hello")
    assert play.core.busy
    play.begin("r1").speak()
    assert play.core.busy
    assert play.core.speaking
    play.drained()
    assert not play.core.busy
    assert not play.core.speaking


def test_an_answer_is_owed_after_speech_unless_the_server_makes_none() -> None:
    play = Playbook().open()
    play >> speech_started() >> speech_stopped()
    assert play.core.busy
    play.begin("r1", ours=False) >> done("r1")
    assert not play.core.busy
    play >> play.echo(audio={"input": {"turn_detection": {"create_response": False}}})
    play >> speech_started() >> speech_stopped()
    assert not play.core.busy


def test_a_wake_is_told_when_it_changes_and_taken_back() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    assert play.wake == play.now + 10
    play >> {"type": "rate_limits.updated", "rate_limits": []}
    assert not [e for e in play.last if isinstance(e, Wake)]
    play.begin("r1") >> done("r1")
    assert play.last[-1] == Wake(None)


def test_a_tick_too_early_asks_to_be_woken_again() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    at = play.wake
    play.wait(1)
    assert play.wake == at


def test_update_history_is_delete_and_create_in_place() -> None:
    play = Playbook().open()
    play >> item("added", user_text("a", "1"), previous_item_id=None)
    play >> item("added", user_text("b", "2"), previous_item_id="a")
    play >> item("added", user_text("c", "3"), previous_item_id="b")
    history = play.core.history
    from dataclasses import replace

    play.do(play.core.update_history, [history[0], replace(history[1], text="two")])
    assert [(e["type"].split(".")[-1], e.get("item_id")) for e in play.sent()] == [
        ("delete", "c"),
        ("delete", "b"),
        ("create", None),
    ]
    assert play.sent()[2]["previous_item_id"] == "a"
    assert play.core.history is history  # until the server confirms
    play.do(play.core.delete_item, "a")
    assert [(e["type"], e["item_id"]) for e in play.sent()] == [("conversation.item.delete", "a")]


def test_a_spoken_conversation_from_end_to_end() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Northwind Dental.", purpose="greeting").begin("r0")
    play.speak("r0", "a0", text="Northwind Dental.").drained()
    play >> speech_started("u1", 1000) >> speech_stopped("u1", 2500)
    play >> {"type": "input_audio_buffer.committed", "item_id": "u1", "previous_item_id": "a0"}
    play >> item("added", user_audio("u1"), previous_item_id="a0")
    play >> item("done", user_audio("u1"), previous_item_id="a0")
    play.begin("r1", ours=False)
    play >> item("added", message("a1"), previous_item_id="u1")
    play.speak("r1", "a1", text="We open at nine.").drained()
    assert [(i.role, i.status, i.text) for i in play.core.history] == [
        ("assistant", "completed", "Northwind Dental."),
        ("user", "completed", None),
        ("assistant", "completed", "We open at nine."),
    ]
    assert not play.ever_told(SessionError)
    assert len(play.ever_sent("response.create")) == 1
