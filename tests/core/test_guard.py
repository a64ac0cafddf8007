"""Guardrails, the part that decides: when words are looked at, and what a trip does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.playbook import (
    Playbook,
    cancelled,
    done,
    function_call,
    item,
    message,
    output_item,
    speech_started,
    speech_stopped,
    spoken_delta,
    spoken_done,
    text_delta,
    text_done,
    transcribed,
    user_text,
    view,
)

from runner.core.effects import CheckWords, FlushAudio, HangUp, PrepareAgent
from runner.core.events import GuardrailTripped, Interrupted
from runner.core.guard import Guard
from runner.core.view import AgentView, Rules

pytestmark = pytest.mark.quick


def guarded(over: dict[str, Any] | None = None, **rules: Any) -> Playbook:
    plain = view(over=over)
    given = Rules(**{"debounce": 10, **rules})
    return Playbook(AgentView("desk", plain.settings, plain.handoffs, given)).open()


def answering(play: Playbook, response: str = "r1", item_id: str = "a1") -> Playbook:
    play.do(play.core.send_message, "hello").begin(response)
    return play >> output_item("added", response, message(item_id))


def looks(play: Playbook) -> list[tuple[str, bool]]:
    return [(e.text, e.final) for e in play.last if isinstance(e, CheckWords)]


def tripped(check: str = "output", then: str = "interrupt", **fields: Any) -> GuardrailTripped:
    given = {"item_id": "a1", "response_id": "r1" if check == "output" else "", **fields}
    return GuardrailTripped("desk", "rule", check, then=then, **given)  # type: ignore[arg-type]


def trip(play: Playbook, event: GuardrailTripped, say: str = "", to: str = "") -> Playbook:
    return play.do(play.core.guardrail_tripped, event, say=say, to=to)


# -- when words are looked at ----------------------------------------------------------------
@pytest.mark.parametrize(
    ("debounce", "pieces", "seen"),
    [
        (10, ["12345", "67890", "1"], [None, "1234567890", None]),
        (10, ["12345678901234567890123456789012345"], ["12345678901234567890123456789012345"]),
        (10, ["123456789", "0", "123456789", "0"], [None, "1234567890", None, "1234567890" * 2]),
        (0, ["1", "2", "3"], ["1", None, None]),
        (-1, ["1", "2345678901234"], [None, None]),
    ],
)
def test_words_are_looked_at_each_time_so_many_more_are_known(
    debounce: int, pieces: list[str], seen: list[str | None]
) -> None:
    guard = Guard()
    assert [guard.delta("a1", piece, debounce) for piece in pieces] == seen


def test_each_item_is_counted_for_itself() -> None:
    """SE30: the next item begins at nothing."""
    play = answering(guarded())
    play >> spoken_delta("r1", "a1", "123456789")
    assert not looks(play)
    play >> output_item("added", "r1", message("a2")) >> spoken_delta("r1", "a2", "12")
    assert not looks(play)
    play >> spoken_delta("r1", "a2", "34567890")
    assert looks(play) == [("1234567890", False)]
    play >> spoken_delta("r1", "a1", "0")
    assert looks(play) == [("1234567890", False)]


def test_the_whole_answer_is_looked_at_in_the_end() -> None:
    play = answering(guarded(debounce=-1))
    play >> spoken_delta("r1", "a1", "We are open every day.")
    assert not looks(play)
    play >> spoken_done("r1", "a1", "We are open every day.")
    whole = message("a1", "completed", "We are open every day.")
    play >> output_item("done", "r1", whole) >> done("r1", output=[whole])
    assert looks(play) == [("We are open every day.", True)]


def test_a_written_answer_is_looked_at_too() -> None:
    play = answering(guarded())
    play >> text_delta("r1", "a1", "We are open")
    assert looks(play) == [("We are open", False)]
    play >> text_done("r1", "a1", "We are open.")
    play >> done("r1", output=[message("a1", "completed", "We are open.")])
    assert looks(play) == [("We are open.", True)]


def test_nobody_looks_when_no_rule_asks_for_it() -> None:
    play = answering(guarded(debounce=None))
    play >> spoken_delta("r1", "a1", "We are open every single day.")
    play >> done("r1", output=[message("a1", "completed", "We are open every single day.")])
    assert not looks(play)


def test_what_was_refused_once_is_not_looked_at_again() -> None:
    play = answering(guarded())
    play >> spoken_delta("r1", "a1", "1234567890")
    trip(play, tripped(then="log"))
    play >> spoken_delta("r1", "a1", "1234567890")
    assert not looks(play)
    play >> done("r1", output=[message("a1", "completed", "1" * 20)])
    assert not looks(play)


def test_the_callers_words_are_looked_at_when_a_rule_asks_for_it() -> None:
    play = guarded(checks_input=True)
    play >> speech_started() >> speech_stopped() >> transcribed("u1", "kill the cat")
    assert [(e.check, e.text) for e in play.last if isinstance(e, CheckWords)] == [
        ("input", "kill the cat")
    ]
    play >> item("done", user_text("u2", "typed"))
    assert [e.text for e in play.last if isinstance(e, CheckWords)] == ["typed"]
    play >> transcribed("u3", " ")
    assert not looks(play)
    other = guarded() >> transcribed("u1", "kill the cat")
    assert not looks(other)


# -- what a trip does ------------------------------------------------------------------------
def test_an_answer_is_cut_and_other_words_are_said() -> None:
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    play.heard("a1", 200)
    trip(play, tripped(), say="I may not say that.")
    assert play.told(GuardrailTripped) == [tripped()]
    kinds = [e["type"] for e in play.sent()]
    assert kinds == ["response.cancel", "conversation.item.truncate"]
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 200)]
    assert [e for e in play.last if isinstance(e, FlushAudio)]
    play >> cancelled("r1")
    (create,) = play.sent("response.create")
    assert create["response"]["instructions"].endswith("I may not say that.")
    assert create["response"]["metadata"]["purpose"] == "guardrail"


def test_it_cuts_also_when_a_caller_may_not() -> None:
    """The cut is forced, whatever interrupt_response says; a caller's speech cuts only with it."""
    detection = {"type": "server_vad", "interrupt_response": False}
    play = answering(guarded({"audio": {"input": {"turn_detection": detection}}}))
    play.audio("r1", "a1", 500)
    play >> speech_started()
    assert not play.told(Interrupted)
    trip(play, tripped())
    assert play.told(Interrupted)
    assert play.sent("response.cancel")


def test_the_model_is_told_and_tries_again() -> None:
    """SE22: the event with its item, one cut, and the words for the model as a message."""
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    trip(play, tripped(then="message"), say="That broke a rule.")
    assert play.told(GuardrailTripped)[0].item_id == "a1"
    assert len(play.told(Interrupted)) == 1
    made = play.sent("conversation.item.create")[0]["item"]
    assert (made["role"], made["content"][0]["text"]) == ("user", "That broke a rule.")
    play >> cancelled("r1")
    assert len(play.sent("response.create")) == 1
    trip(play, tripped(then="message"), say="Again.")
    assert not play.effects  # once for each response


@pytest.mark.parametrize(("then", "purpose"), [("say", "guardrail"), ("hang_up", "farewell")])
def test_words_that_must_be_said_are_said(then: str, purpose: str) -> None:
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    trip(play, tripped(then=then), say="Goodbye.")
    assert play.told(Interrupted)
    play >> cancelled("r1")
    assert play.sent("response.create")[0]["response"]["metadata"]["purpose"] == purpose


def test_the_call_ends_when_its_farewell_was_played() -> None:
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    trip(play, tripped(then="hang_up"), say="Goodbye.")
    play >> cancelled("r1")
    play.begin("r2").speak("r2", "a2", text="Goodbye.").drained()
    assert not [e for e in play.last if isinstance(e, HangUp)]
    play.wait(1.0)
    assert [e.reason for e in play.last if isinstance(e, HangUp)] == ["a guardrail ended the call"]


def test_the_line_is_given_to_another_agent() -> None:
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    trip(play, tripped(then="handoff"), to="billing")
    assert PrepareAgent("billing", "") in play.last
    assert play.told(Interrupted)


def test_a_trip_that_is_only_told_changes_nothing() -> None:
    play = answering(guarded())
    play.audio("r1", "a1", 500)
    trip(play, tripped(then="log"))
    assert play.told(GuardrailTripped)
    assert not play.sent()
    assert play.core.speaking


def test_a_response_in_writing_is_cancelled_by_its_id() -> None:
    """SE23: a text guardrail cancels by response id and has nothing to silence."""
    play = answering(guarded())
    play >> text_delta("r1", "a1", "We are open")
    trip(play, tripped(then="message"), say="No.")
    (cancel,) = play.sent("response.cancel")
    assert cancel["response_id"] == "r1"
    assert not play.sent("conversation.item.truncate")
    assert play.told(GuardrailTripped)[0].agent == "desk"


@pytest.mark.parametrize("then", ["message", "interrupt"])
def test_a_late_result_does_not_cut_a_newer_answer(then: str) -> None:
    """SE24: it is told, and that is all."""
    play = answering(guarded())
    play.speak("r1", "a1").drained()
    answering(play, "r2", "a2").audio("r2", "a2", 500)
    trip(play, tripped(then=then), say="No.")
    assert play.told(GuardrailTripped)
    assert not play.sent()
    assert play.core.speaking


def test_a_late_result_does_not_cut_a_newer_answer_while_the_old_one_sounds() -> None:
    play = answering(guarded())
    play.speak("r1", "a1")
    answering(play, "r2", "a2").audio("r2", "a2", 500)
    trip(play, tripped(then="message"), say="No.")
    assert play.told(GuardrailTripped)
    assert not play.sent()


def test_an_answer_that_was_made_and_still_sounds_is_cut() -> None:
    play = answering(guarded())
    play.speak("r1", "a1", ms=2000).heard("a1", 300)
    trip(play, tripped(), say="No.")
    assert [t["audio_end_ms"] for t in play.sent("conversation.item.truncate")] == [300]
    assert not play.sent("response.cancel")  # there is nothing to cancel
    assert len(play.sent("response.create")) == 1


def test_words_of_the_caller_stop_the_answer_to_them() -> None:
    play = guarded(checks_input=True)
    play >> speech_started() >> speech_stopped() >> transcribed("u1", "kill the cat")
    play.begin("r1", ours=False) >> output_item("added", "r1", message("a1"))
    play.audio("r1", "a1", 100)
    trip(play, tripped("input", item_id="u1"), say="Not that, please.")
    assert play.sent("response.cancel")[0]["response_id"] == "r1"
    play >> cancelled("r1")
    assert play.sent("response.create")
    trip(play, tripped("input", item_id="u1"), say="Again.")
    assert not play.effects  # once for each turn


def test_an_answer_that_only_calls_tools_has_no_words() -> None:
    play = guarded()
    play.do(play.core.send_message, "hello").begin("r1")
    call = function_call("f1", "c1", "find_slots")
    play >> output_item("done", "r1", call) >> done("r1", output=[call])
    assert not looks(play)


def test_where_the_server_plays_its_buffer_is_emptied() -> None:
    plain = view()
    agent = AgentView("desk", plain.settings, plain.handoffs, Rules(debounce=10))
    play = answering(Playbook(agent, playback="server").open())
    play >> {"type": "output_audio_buffer.started", "response_id": "r1"}
    trip(play, tripped())
    kinds = [e["type"] for e in play.sent()]
    assert kinds == ["response.cancel", "output_audio_buffer.clear"]


def test_the_rules_of_the_agent_that_spoke_count() -> None:
    play = answering(guarded())
    plain = view("billing")
    quiet = AgentView("billing", plain.settings, {}, replace(Rules(), debounce=None))
    play.do(play.core.update_agent, quiet)
    play >> done("r1", output=[message("a1", "completed", "We are open every day.")])
    assert [(e.agent, e.text) for e in play.last if isinstance(e, CheckWords)] == [
        ("desk", "We are open every day.")
    ]
