"""Function calls: one output each whatever happens, one new response for all of a response."""

from __future__ import annotations

import pytest
from support.playbook import (
    Playbook,
    arguments_done,
    cancelled,
    done,
    error,
    function_call,
    output_item,
    view,
)

from runner.core.effects import PrepareAgent, RunTool
from runner.core.events import Handoff, SessionError, ToolEnd, ToolStart
from runner.core.settings import ANSWER_WITHIN
from runner.core.tools import whole

pytestmark = pytest.mark.quick


def calling(*names: str, finish: bool = True) -> Playbook:
    """A response that called these functions (c1, c2 ...), done unless told otherwise."""
    play = Playbook().open()
    play.do(play.core.send_message, "please").begin("r1")
    play.all_sent.clear()
    for n, name in enumerate(names, 1):
        play >> output_item("done", "r1", function_call(f"f{n}", f"c{n}", name, "{}"))
    return (play >> done("r1")) if finish else play


def outputs(play: Playbook) -> list[tuple[str, str]]:
    items = [e["item"] for e in play.ever_sent("conversation.item.create")]
    return [(i["call_id"], i["output"]) for i in items if i["type"] == "function_call_output"]


def creates(play: Playbook) -> int:
    return len(play.ever_sent("response.create"))


def test_a_call_runs_and_its_output_goes_before_the_next_response() -> None:
    play = calling("find_slots", finish=False)
    assert [e for e in play.last if isinstance(e, RunTool)] == [
        RunTool("c1", "find_slots", "{}", "r1", "desk")
    ]
    assert play.told(ToolStart) == [ToolStart("desk", "find_slots", "c1", "{}")]
    play >> done("r1")
    assert creates(play) == 0
    play.do(play.core.tool_finished, "c1", "nine o'clock")
    assert [e["type"] for e in play.sent()] == ["conversation.item.create", "response.create"]
    assert outputs(play) == [("c1", "nine o'clock")]
    assert play.told(ToolEnd) == [ToolEnd("desk", "find_slots", "c1", "nine o'clock")]


def test_the_response_waits_for_response_done() -> None:
    play = calling("find_slots", finish=False)
    play.do(play.core.tool_finished, "c1", "x")
    assert outputs(play) == [("c1", "x")]
    assert creates(play) == 0
    play >> done("r1")
    assert creates(play) == 1


def test_siblings_share_one_response_after_the_last_output() -> None:
    play = calling("find_slots", "book_slot")
    play.do(play.core.tool_finished, "c2", "b")
    assert outputs(play) == [("c2", "b")]  # outputs go as they come
    assert creates(play) == 0
    play.do(play.core.tool_finished, "c1", "a")
    assert creates(play) == 1


@pytest.mark.parametrize(("responds", "expected"), [((False, False), 0), ((False, True), 1)])
def test_no_response_only_if_every_sibling_wants_none(
    responds: tuple[bool, bool], expected: int
) -> None:
    play = calling("find_slots", "book_slot")
    play.do(play.core.tool_finished, "c1", "a", respond=responds[0])
    play.do(play.core.tool_finished, "c2", "b", respond=responds[1])
    assert creates(play) == expected
    assert not play.core._ledger.outstanding


def test_a_call_is_taken_once_whichever_event_comes_first() -> None:
    play = calling(finish=False)
    play >> arguments_done("r1", "f1", "c1", "find_slots", '{"day":"Tue"}')
    assert [e.arguments for e in play.last if isinstance(e, RunTool)] == ['{"day":"Tue"}']
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots", '{"day":"Tue"}'))
    assert not [e for e in play.last if isinstance(e, RunTool)]
    play.do(play.core.tool_finished, "c1", "a")
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots", '{"day":"Tue"}'))
    assert not play.effects


def test_a_second_finish_is_ignored() -> None:
    play = calling("find_slots")
    play.do(play.core.tool_finished, "c1", "a").do(play.core.tool_finished, "c1", "b")
    play.do(play.core.tool_finished, "nobody", "c")
    assert outputs(play) == [("c1", "a")]
    assert creates(play) == 1


def test_an_unknown_tool_gets_an_output_and_an_error() -> None:
    play = calling("make_coffee")
    assert outputs(play) == [("c1", "Tool make_coffee not found")]
    assert [e.message for e in play.ever_told(SessionError)] == ["Tool make_coffee not found"]
    assert creates(play) == 1


def test_tools_of_the_request_and_of_the_effective_session_are_known() -> None:
    play = Playbook().open()
    own = [{"type": "function", "name": "classify"}]
    play.do(play.core.create_response, {"tools": own}).begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "classify"))
    assert [e.name for e in play.last if isinstance(e, RunTool)] == ["classify"]
    play >> play.echo(tools=[{"type": "function", "name": "raw"}])
    play >> output_item("done", "r1", function_call("f2", "c2", "raw"))
    assert [e.name for e in play.last if isinstance(e, RunTool)] == ["raw"]


def test_half_of_a_call_does_not_run() -> None:
    play = calling(finish=False)
    play >> output_item("added", "r1", function_call("f1", "c1", "find_slots", "", "in_progress"))
    play >> arguments_done("r1", "f1", "c1", "find_slots", '{"day": "Tu')
    play >> output_item(
        "done", "r1", function_call("f1", "c1", "find_slots", '{"day": "Tu', "incomplete")
    )
    play >> cancelled("r1")
    assert not play.ever_told(ToolStart)
    assert not outputs(play)
    assert not play.core._ledger.outstanding


def test_a_whole_call_of_a_cancelled_response_gets_its_output_and_no_answer() -> None:
    play = calling("find_slots", finish=False)
    play >> cancelled("r1")
    play.do(play.core.tool_finished, "c1", "a")
    assert outputs(play) == [("c1", "a")]
    assert creates(play) == 0


def test_a_call_after_response_done_is_answered_too() -> None:
    play = calling()
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots"))
    play.do(play.core.tool_finished, "c1", "a")
    assert outputs(play) == [("c1", "a")]
    assert creates(play) == 1


def test_a_call_without_call_id_goes_by_its_item() -> None:
    play = calling(finish=False)
    call = function_call("f1", "c1", "find_slots")
    del call["call_id"]
    play >> output_item("done", "r1", call)
    play.do(play.core.tool_finished, "f1", "a")
    assert outputs(play) == [("f1", "a")]


def test_calls_of_an_out_of_band_response_are_left_to_the_program() -> None:
    play = Playbook().open()
    play.do(play.core.create_response, {"conversation": "none"}).begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots"))
    play >> arguments_done("r1", "f1", "c1", "find_slots", "{}")
    assert not play.ever_told(ToolStart)
    assert not play.core.history


def test_outputs_after_the_line_is_gone_reach_only_the_history() -> None:
    play = calling("find_slots")
    play.do(play.core.disconnected, reason="reset")
    play.do(play.core.tool_finished, "c1", "a")
    assert not play.sent()
    assert play.told(ToolEnd)
    assert play.core.history[-1].output == "a"
    assert not play.core.busy


# -- handoffs ------------------------------------------------------------------------------
def test_a_handoff_sends_settings_then_output_then_waits_for_the_echo() -> None:
    play = calling("transfer_to_billing")
    play.do(play.core.agent_ready, view("billing"), "c1")
    assert [e["type"] for e in play.sent()] == ["session.update", "conversation.item.create"]
    assert play.sent("session.update")[0]["session"] == {
        "type": "realtime",
        "instructions": "You are billing.",
    }
    assert outputs(play) == [("c1", '{"assistant":"billing"}')]
    assert play.told(Handoff) == [Handoff("desk", "billing")]
    assert play.core.agent == "billing"
    assert creates(play) == 0
    play >> play.echo()
    assert creates(play) == 1


def test_prepare_agent_names_the_agent_behind_the_tool() -> None:
    play = calling("transfer_to_billing", finish=False)
    assert [e for e in play.last if isinstance(e, PrepareAgent)] == [
        PrepareAgent("billing", "c1", "transfer_to_billing", "{}")
    ]
    assert not play.ever_told(ToolStart)


def test_the_echo_alone_is_not_enough_while_the_response_runs() -> None:
    play = calling("transfer_to_billing", finish=False)
    play.do(play.core.agent_ready, view("billing"), "c1")
    play >> play.echo()
    assert creates(play) == 0
    play >> done("r1")
    assert creates(play) == 1


def test_a_handoff_whose_echo_never_comes_answers_all_the_same() -> None:
    play = calling("transfer_to_billing")
    play.do(play.core.agent_ready, view("billing"), "c1")
    play.wait(ANSWER_WITHIN)
    assert creates(play) == 1
    assert play.core.agent == "billing"
    assert [e.code for e in play.told(SessionError)] == ["timeout"]


def test_a_refused_handoff_goes_back_to_the_agent_the_server_has() -> None:
    play = calling("transfer_to_billing")
    play.do(play.core.agent_ready, view("billing"), "c1")
    play >> error("invalid_value", play.sent("session.update")[0]["event_id"])
    assert play.core.agent == "desk"
    assert play.told(Handoff) == [Handoff("billing", "desk")]
    assert [e.code for e in play.told(SessionError)] == ["invalid_value"]
    assert creates(play) == 1


def test_a_failed_handoff_is_answered_and_told() -> None:
    play = calling("transfer_to_billing")
    play.do(play.core.agent_failed, "c1", "billing is not there")
    assert outputs(play) == [("c1", "billing is not there")]
    assert [e.code for e in play.told(SessionError)] == ["handoff_failed"]
    assert creates(play) == 1
    play.do(play.core.agent_ready, view("billing"), "c1")
    assert play.core.agent == "desk"


def test_the_same_target_twice_is_one_handoff() -> None:
    play = calling("transfer_to_billing", "transfer_to_billing")
    assert sum(isinstance(e, PrepareAgent) for e in play.last) == 0
    play.do(play.core.agent_ready, view("billing"), "c1")
    play.do(play.core.agent_ready, view("billing"), "c2")
    assert sorted(outputs(play)) == [
        ("c1", '{"assistant":"billing"}'),
        ("c2", '{"assistant":"billing"}'),
    ]
    assert len(play.ever_told(Handoff)) == 1
    play >> play.echo()
    assert creates(play) == 1


def test_of_two_targets_the_first_wins() -> None:
    play = calling("transfer_to_sales", "transfer_to_billing")
    assert outputs(play) == [("c2", "Already transferring to sales")]
    play.do(play.core.agent_ready, view("sales"), "c1")
    play >> play.echo()
    assert play.core.agent == "sales"
    assert creates(play) == 1


def test_tools_of_an_old_response_belong_to_the_old_agent() -> None:
    play = calling("transfer_to_billing", finish=False)
    play.do(play.core.agent_ready, view("billing"), "c1")
    play >> output_item("done", "r1", function_call("f2", "c2", "find_slots"))
    assert [e.agent for e in play.last if isinstance(e, RunTool)] == ["desk"]


def test_a_handoff_waits_for_an_update_on_the_wire() -> None:
    play = calling("transfer_to_billing")
    play.do(play.core.apply, view("desk", {"instructions": "new"}), 7, between_turns=False)
    first = play.echo()
    play.do(play.core.agent_ready, view("billing"), "c1")
    assert not play.sent()
    play >> first
    assert [e["type"] for e in play.sent()] == ["session.update", "conversation.item.create"]
    assert play.core.agent == "billing"
    play >> play.echo()
    assert creates(play) == 1


def test_the_name_of_an_agent_is_a_json_string() -> None:
    odd = 'the "boss"\n\\'
    play = Playbook(view(handoffs={"transfer_to_billing": odd})).open()
    play.do(play.core.send_message, "x").begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "transfer_to_billing"))
    play.do(play.core.agent_ready, view(odd), "c1")
    import json

    assert json.loads(outputs(play)[0][1]) == {"assistant": odd}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", True),
        (' {"a": {"b": [1, "}"]}} ', True),
        ('{"a": "\\"}"}', True),
        ("", False),
        ("null", False),
        ('{"a": "', False),
        ('{"a": [1', False),
        ('{"a": "x}', False),
    ],
)
def test_whole_knows_the_end_of_an_object(text: str, expected: bool) -> None:
    assert whole(text) is expected
