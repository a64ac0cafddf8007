"""The silent caller: asked once, hung up on in the end; only words end the count."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Event,
    Playbook,
    done,
    function_call,
    item,
    output_item,
    speech_started,
    speech_stopped,
    transcribed,
    user_text,
    view,
)

from runner.core.effects import HangUp
from runner.core.view import AgentView, Rules

pytestmark = pytest.mark.quick

ASK = "Are you still there?"


def quiet_call(**rules: Any) -> Playbook:
    """An answer was played to its end; from now on the caller is silent."""
    plain = view()
    given = {"ask_after": 15.0, "ask": ASK, "hang_up_after": 45.0, **rules}
    play = Playbook(AgentView("desk", plain.settings, plain.handoffs, Rules(**given))).open()
    play.do(play.core.send_message, "hello").begin("r1")
    name = play.ever_sent("conversation.item.create")[0]["item"]["id"]
    play >> item("done", user_text(name, "hello"))
    return play.speak("r1", "a1").pass_time(1.0).heard("a1", 1000).drained()


def asked(play: Playbook) -> list[Event]:
    return [
        e
        for e in play.sent("response.create")
        if e["response"]["metadata"].get("purpose") == "silence"
    ]


def hung_up(play: Playbook) -> list[str]:
    return [e.reason for e in play.last if isinstance(e, HangUp)]


def our_question(play: Playbook, response: str = "q1") -> Playbook:
    """The question is spoken and played."""
    play.begin(response).speak(response, f"i{response}", text=ASK)
    return play.pass_time(1.0).heard(f"i{response}", 1000).drained()


def test_the_caller_is_asked_in_the_words_of_the_rule() -> None:
    play = quiet_call()
    assert play.wake == play.now + 15
    play.wait(14.9)
    assert not asked(play)
    play.wait(0.1)
    (question,) = asked(play)
    assert question["response"]["instructions"].endswith(ASK)
    assert question["response"]["tool_choice"] == "none"


def test_the_caller_is_asked_once_and_then_hung_up_on() -> None:
    play = quiet_call()
    play.wait(15)
    our_question(play)
    play.wait(15)
    assert not asked(play)
    play.wait(13.9)  # 44.9 s since the answer, the question's second among them
    assert not hung_up(play)
    play.wait(0.1)
    assert hung_up(play) == ["the caller was silent"]
    play.wait(100)
    assert not hung_up(play)


def test_words_end_the_count() -> None:
    play = quiet_call()
    play.wait(15)
    our_question(play)
    play >> speech_started("u2") >> speech_stopped("u2") >> transcribed("u2", "Yes, I am.")
    play.begin("r2", ours=False).speak("r2", "a2").drained()
    play.wait(14)
    assert not asked(play)
    play.wait(1)
    assert asked(play)


def test_a_typed_turn_ends_it_too() -> None:
    play = quiet_call()
    play.wait(10)
    play.do(play.core.send_message, "hello?").begin("r2")
    name = play.ever_sent("conversation.item.create")[-1]["item"]["id"]
    play >> item("done", user_text(name, "hello?"))
    play.speak("r2", "a2").drained()
    play.wait(14)
    assert not asked(play)


def test_noise_does_not_begin_it_anew() -> None:
    """The server takes breath for speech and even answers it; there were no words."""
    play = quiet_call()
    play.wait(10)
    play >> speech_started("u2") >> speech_stopped("u2") >> transcribed("u2", "")
    play.begin("r2", ours=False).speak("r2", "a2", ms=100).drained()
    play.wait(5)
    assert asked(play)


def test_nobody_is_asked_while_they_speak() -> None:
    play = quiet_call()
    play.wait(14) >> speech_started("u2")
    play.wait(5)
    assert not asked(play)
    play >> speech_stopped("u2") >> transcribed("u2", "")
    play.wait(2.0)  # no answer came
    assert asked(play)


def test_the_count_begins_when_the_answer_was_played_not_when_it_was_made() -> None:
    plain = view()
    rules = Rules(ask_after=15, ask=ASK)
    play = Playbook(AgentView("desk", plain.settings, {}, rules)).open()
    play.do(play.core.send_message, "hello").begin("r1").speak("r1", "a1", ms=20_000)
    play.wait(16)
    assert not asked(play)
    play.pass_time(4).heard("a1", 20_000).drained()
    play.wait(14.9)
    assert not asked(play)
    play.wait(0.2)
    assert asked(play)


def test_it_rests_while_a_tool_runs() -> None:
    play = quiet_call()
    play.do(play.core.send_message, "slots?").begin("r2")
    call = function_call("f1", "c1", "find_slots")
    play >> output_item("done", "r2", call) >> done("r2", output=[call])
    play.wait(60)
    assert not asked(play)
    assert not hung_up(play)
    play.do(play.core.tool_finished, "c1", output="nine").begin("r3")
    play.speak("r3", "a3").drained()
    play.wait(14.9)
    assert not asked(play)
    play.wait(0.1)
    assert asked(play)


def test_it_counts_from_the_open_line_when_nobody_speaks_first() -> None:
    plain = view()
    play = Playbook(AgentView("desk", plain.settings, {}, Rules(ask_after=15, ask=ASK))).open()
    play.wait(15)
    assert asked(play)


def test_it_does_not_run_without_a_line() -> None:
    play = quiet_call()
    play.do(play.core.disconnected, reason="broke", away=True)
    assert play.wake is None
    play.wait(20)
    assert not play.sent()
    play.do(play.core.connected)
    play >> play.echo()
    assert not hung_up(play)


@pytest.mark.parametrize("rules", [{"ask_after": None}, {"hang_up_after": None}])
def test_each_half_may_be_left_out(rules: dict[str, Any]) -> None:
    play = quiet_call(**rules)
    play.wait(15)
    assert bool(asked(play)) is ("ask_after" not in rules)
    if asked(play):
        our_question(play)
    play.wait(60)
    assert bool(hung_up(play)) is ("ask_after" in rules)


def test_without_a_rule_nothing_is_counted() -> None:
    play = quiet_call(ask_after=None, hang_up_after=None)
    assert play.wake is None
    play.wait(1000)
    assert not play.sent()
