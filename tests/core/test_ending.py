"""The end of a call by the agent: the farewell is played out, and the caller may still answer."""

from __future__ import annotations

import pytest
from support.playbook import (
    Playbook,
    done,
    function_call,
    message,
    output_item,
    speech_started,
    speech_stopped,
    transcribed,
    view,
)

from runner.core.calls import ENDING, GOODBYE
from runner.core.effects import HangUp, RunTool
from runner.core.ending import FAREWELL_SECONDS, GRACE_SECONDS, Ending
from runner.core.events import ToolEnd, ToolStart
from runner.core.view import AgentView, Rules

pytestmark = pytest.mark.quick


def call_that_ends(*, spoke: bool) -> Playbook:
    """The model calls end_call, alone or beside its goodbye."""
    tools = [{"type": "function", "name": "end_call"}]
    plain = view(over={"tools": tools})
    play = Playbook(AgentView("desk", plain.settings, {}, Rules(end_call="end_call"))).open()
    play.do(play.core.send_message, "bye").begin("r1")
    if spoke:
        play >> output_item("added", "r1", message("a1"))
        play.audio("r1", "a1", 1000)
    call = function_call("f1", "c1", "end_call")
    return play >> output_item("done", "r1", call)


def hung_up(play: Playbook) -> list[str]:
    return [e.reason for e in play.last if isinstance(e, HangUp)]


def test_a_call_without_a_goodbye_has_one_said_first() -> None:
    play = call_that_ends(spoke=False)
    assert not [e for e in play.last if isinstance(e, RunTool)]
    assert [e["item"]["output"] for e in play.sent("conversation.item.create")] == [GOODBYE]
    assert play.told(ToolStart)
    assert play.told(ToolEnd) == [ToolEnd("desk", "end_call", "c1", GOODBYE)]
    play >> done("r1")
    assert len(play.sent("response.create")) == 1
    play.begin("r2").speak("r2", "a2", text="Goodbye.")
    play.wait(5)
    assert not hung_up(play)  # it still sounds
    play.heard("a2", 1000).drained()
    assert play.wake == play.now + GRACE_SECONDS
    play.wait(GRACE_SECONDS)
    assert hung_up(play) == ["the agent ended the call"]


def test_a_goodbye_beside_the_call_is_not_said_twice() -> None:
    play = call_that_ends(spoke=True)
    assert [e["item"]["output"] for e in play.sent("conversation.item.create")] == [ENDING]
    play >> done("r1")
    assert not play.sent("response.create")
    play.drained().wait(GRACE_SECONDS)
    assert hung_up(play)


def test_a_caller_who_answers_calls_it_off() -> None:
    play = call_that_ends(spoke=True) >> done("r1")
    play.drained().wait(GRACE_SECONDS / 2)
    play >> speech_started("u2") >> speech_stopped("u2") >> transcribed("u2", "One more thing.")
    play.begin("r2", ours=False).speak("r2", "a2").drained()
    play.wait(FAREWELL_SECONDS * 2)
    assert not hung_up(play)


def test_a_typed_answer_calls_it_off_too() -> None:
    play = call_that_ends(spoke=True) >> done("r1")
    play.drained().do(play.core.send_message, "One more thing.")
    play.begin("r2").speak("r2", "a2").drained()
    play.wait(FAREWELL_SECONDS * 2)
    assert not hung_up(play)


def test_a_farewell_that_does_not_end_is_bounded() -> None:
    play = call_that_ends(spoke=False) >> done("r1")
    play.begin("r2")
    play.audio("r2", "a2", 60_000)
    play.wait(FAREWELL_SECONDS - 0.1)
    assert not hung_up(play)
    play.wait(0.1)
    assert hung_up(play) == ["the agent ended the call"]


def test_the_program_may_end_it_in_the_same_way() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Goodbye.", purpose="farewell").begin("r1")
    play.do(play.core.hang_up, reason="closing time")
    play.speak("r1", "a1", text="Goodbye.")
    assert not hung_up(play)
    play.drained().wait(GRACE_SECONDS)
    assert hung_up(play) == ["closing time"]


def test_the_first_reason_stands() -> None:
    ending = Ending()
    ending.ask("one", 0)
    ending.ask("two", 10)
    assert ending.pump(GRACE_SECONDS, quiet=True) is None
    assert ending.pump(GRACE_SECONDS * 2, quiet=True) == "one"
    assert not ending.asked
    assert ending.call_off() is False


def test_without_a_line_the_call_ends_all_the_same() -> None:
    play = call_that_ends(spoke=True) >> done("r1")
    play.do(play.core.disconnected, reason="broke", away=True)
    play.drained()
    assert play.wake == play.now + GRACE_SECONDS
    play.wait(GRACE_SECONDS)
    assert hung_up(play) == ["the agent ended the call"]
    assert play.wake is None


def test_a_line_that_breaks_in_the_farewell_does_not_keep_the_call_alive() -> None:
    play = call_that_ends(spoke=True) >> done("r1")
    play.do(play.core.disconnected, reason="broke", away=True)
    play.do(play.core.connected)
    play >> play.echo()
    play.drained().wait(GRACE_SECONDS)
    assert hung_up(play) == ["the agent ended the call"]
