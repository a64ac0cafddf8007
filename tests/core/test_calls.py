"""Words while a tool takes its time, and calls that come again saying something else."""

from __future__ import annotations

import pytest
from support.playbook import Playbook, done, function_call, output_item, spoken_done, view

from runner.core.calls import FILLER_AFTER
from runner.core.effects import RunTool
from runner.core.events import SessionError, ToolEnd
from runner.core.view import AgentView, Rules

pytestmark = pytest.mark.quick

WAIT = "One moment, please."


def calling(arguments: str = "{}", *, finish: bool = True) -> Playbook:
    """An answer that calls find_slots, which has words for the time it takes."""
    plain = view()
    rules = Rules(fillers={"find_slots": WAIT})
    play = Playbook(AgentView("desk", plain.settings, plain.handoffs, rules)).open()
    play.do(play.core.send_message, "please").begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots", arguments))
    return (play >> done("r1")) if finish else play


def said(play: Playbook) -> list[str]:
    asked = [e["response"] for e in play.ever_sent("response.create")]
    return [r["instructions"] for r in asked if "instructions" in r]


def test_the_caller_is_told_to_wait_once_a_tool_takes_a_moment() -> None:
    play = calling()
    assert play.wait(FILLER_AFTER - 0.01).effects == []
    play.wait(0.02)
    assert [text.endswith(WAIT) for text in said(play)] == [True]
    play.wait(60)
    assert len(said(play)) == 1


def test_nothing_is_said_when_the_tool_was_quick() -> None:
    play = calling()
    play.wait(FILLER_AFTER - 0.01).do(play.core.tool_finished, "c1", "nine")
    play.wait(0.02).wait(60)
    assert said(play) == []


def test_nothing_is_said_when_the_output_came_before_the_words_could_be() -> None:
    """They were due while the answer that called went on, and the tool ended with it."""
    play = calling(finish=False)
    play.wait(FILLER_AFTER + 0.1).do(play.core.tool_finished, "c1", "nine")
    play >> done("r1")
    assert said(play) == []
    assert len(play.ever_sent("response.create")) == 2


def test_nothing_is_said_beside_an_answer_that_spoke() -> None:
    play = calling(finish=False)
    play >> spoken_done("r1", "a1", "Let me look.")
    play >> output_item("done", "r1", function_call("f2", "c2", "find_slots"))
    play >> done("r1")
    play.do(play.core.tool_finished, "c1", "nine")
    play.wait(FILLER_AFTER + 0.1)
    assert said(play) == []


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments", "changed"),
    [
        ("find_slots", '{"day":"Tue"}', False),
        ("find_slots", "", False),
        ("find_slots", '{"day":"Fri"}', True),
        ("book_slot", '{"day":"Tue"}', True),
    ],
    ids=["the same", "without arguments", "other arguments", "another tool"],
)
def test_a_call_that_comes_again_is_run_once_and_a_changed_one_is_told(
    answered: bool, name: str, arguments: str, changed: bool
) -> None:
    """SE63, SE64, SE68, SE71: one output, whatever the server says under the same id."""
    play = calling('{"day":"Tue"}')
    if answered:
        play.do(play.core.tool_finished, "c1", "nine")
    play >> output_item("done", "r1", function_call("f1", "c1", name, arguments))
    assert [e for e in play.last if isinstance(e, RunTool)] == []
    assert [e.code for e in play.told(SessionError)] == ["call_changed"] * changed
    play.do(play.core.tool_finished, "c1", "ten")
    assert [e.output for e in play.ever_told(ToolEnd)] == ["nine" if answered else "ten"]
