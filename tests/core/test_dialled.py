"""The telephone in a conversation: keys as turns and as a tool's digits, callers who leave."""

from __future__ import annotations

import pytest
from support.playbook import (
    Playbook,
    function_call,
    message,
    output_item,
    transcribed,
    view,
)

from runner.core.calls import ANNOUNCE
from runner.core.dialled import ANOTHER, NOTHING_PRESSED, SPOKE_INSTEAD, pressed, stays
from runner.core.effects import HangUp, RunTool, TransferCall
from runner.core.ending import GRACE_SECONDS
from runner.core.events import Dtmf, ToolEnd, Transfer
from runner.core.keys import GATHER_SECONDS, Keys, Wanted
from runner.core.view import AgentView, Rules

pytestmark = pytest.mark.quick

URI = "tel:+15550199"


def play() -> Playbook:
    tools = [{"type": "function", "name": name} for name in ("collect_digits", "to_desk")]
    rules = Rules(transfers={"to_desk": URI}, ask_after=5.0, ask="Still there?")
    agent = AgentView("desk", view(over={"tools": tools}).settings, {}, rules)
    return Playbook(agent, playback="server").open()


def key(sign: str) -> dict[str, object]:
    return {"type": "input_audio_buffer.dtmf_event_received", "event": sign, "received_at": 1}


def press(it: Playbook, keys: str) -> Playbook:
    for sign in keys:
        it >> key(sign)
    return it


def typed(it: Playbook) -> list[str]:
    items = [e["item"] for e in it.ever_sent("conversation.item.create")]
    return [i["content"][0]["text"] for i in items if i["type"] == "message"]


def called(it: Playbook, name: str, call: str = "c1", response: str = "r1") -> Playbook:
    it.do(it.core.create_response, None).begin(response)
    return it >> output_item("done", response, function_call(f"f{call}", call, name))


def outputs(it: Playbook) -> list[str]:
    items = [e["item"] for e in it.ever_sent("conversation.item.create")]
    return [i["output"] for i in items if i["type"] == "function_call_output"]


# -- keys ----------------------------------------------------------------------------------------
def test_keys_are_a_turn_when_no_other_follows() -> None:
    it = press(play(), "42")
    assert it.told(Dtmf) == [Dtmf("2")]
    assert typed(it) == []
    it.wait(GATHER_SECONDS)
    assert typed(it) == [pressed("42")]
    assert len(it.sent("response.create")) == 1


def test_the_hash_ends_them_at_once() -> None:
    it = press(play(), "42#")
    assert typed(it) == [pressed("42#")]


def test_a_key_cuts_the_answer() -> None:
    it = play()
    it.do(it.core.create_response, None).begin("r1")
    it >> output_item("added", "r1", message("a1"))
    it >> {"type": "output_audio_buffer.started", "response_id": "r1"}
    assert it.core.speaking
    it >> key("1")
    assert [e["type"] for e in it.sent()] == ["response.cancel", "output_audio_buffer.clear"]


def test_a_key_calls_a_farewell_off() -> None:
    it = play()
    it.do(it.core.hang_up, reason="bye") >> key("1")
    it.wait(GATHER_SECONDS).wait(20)
    assert not [e for e in it.last if isinstance(e, HangUp)]


@pytest.mark.parametrize(
    ("wanted", "keys", "output"),
    [
        ({"count": 3}, "4711", "471"),
        ({"count": 0}, "47#", "47"),
        ({"count": 9, "terminator": "*"}, "4#7*", "4#7"),
        ({"count": 2, "terminator": ""}, "#*", "#*"),
    ],
)
def test_a_tool_gets_digits(wanted: dict[str, object], keys: str, output: str) -> None:
    it = called(play(), "collect_digits")
    assert [e.name for e in it.last if isinstance(e, RunTool)] == ["collect_digits"]
    press(it.do(it.core.collect_digits, "c1", **wanted), keys)
    assert outputs(it) == [output]
    assert [e.output for e in it.ever_told(ToolEnd)] == [output]


def test_digits_that_were_pressed_ahead_count() -> None:
    it = called(press(play(), "47"), "collect_digits")
    it.do(it.core.collect_digits, "c1", count=4)
    assert outputs(it) == []
    press(it, "11")
    assert outputs(it) == ["4711"]
    assert typed(it) == []


def test_the_time_for_digits_counts_from_the_last_key() -> None:
    it = called(play(), "collect_digits")
    it.do(it.core.collect_digits, "c1", timeout=5.0)
    press(it.wait(4), "1").wait(4)
    assert outputs(it) == []
    it.wait(1)
    assert outputs(it) == ["1"]


def test_nothing_pressed() -> None:
    it = called(play(), "collect_digits")
    it.do(it.core.collect_digits, "c1", timeout=5.0).wait(5)
    assert outputs(it) == [NOTHING_PRESSED]


def test_a_caller_who_speaks_instead() -> None:
    """The server answers the words by itself: the output asks for nothing."""
    it = press(called(play(), "collect_digits"), "4")
    it.do(it.core.collect_digits, "c1") >> transcribed("u1", "I do not have it.")
    assert outputs(it) == [f"{SPOKE_INSTEAD} Before that: 4"]
    it.wait(30)
    assert outputs(it) == [f"{SPOKE_INSTEAD} Before that: 4"]


def test_a_second_tool_takes_the_digits_over() -> None:
    it = play()
    called(it, "collect_digits", "c1") >> output_item(
        "done", "r1", function_call("f2", "c2", "collect_digits")
    )
    it.do(it.core.collect_digits, "c1").do(it.core.collect_digits, "c2", count=1)
    press(it, "7")
    assert outputs(it) == [ANOTHER, "7"]


def test_no_machine_gathers_without_bound() -> None:
    keys = Keys()
    for _ in range(63):
        keys.press("1", 0.0)
    assert keys.due(0.0) is None
    keys.press("1", 0.0)
    assert keys.due(0.0) == "1" * 64
    keys.collect(Wanted("c", 0, "", 5.0), 1.0)
    keys.wait(3.0)  # pressed already: the caller has begun
    assert keys.deadline == 6.0


# -- put through -----------------------------------------------------------------------------------
def leaving() -> Playbook:
    it = called(play(), "to_desk")
    assert outputs(it) == [ANNOUNCE]
    it >> {"type": "response.done", "response": {"id": "r1", "status": "completed", "output": []}}
    it.begin("r2").do(it.core.tick)
    it >> {"type": "output_audio_buffer.started", "response_id": "r2"}
    it >> {"type": "response.done", "response": {"id": "r2", "status": "completed", "output": []}}
    it.wait(5)
    assert not [e for e in it.last if isinstance(e, TransferCall)]  # it still sounds
    it >> {"type": "output_audio_buffer.stopped", "response_id": "r2"}
    return it.wait(GRACE_SECONDS)


def test_the_caller_leaves_when_that_was_said() -> None:
    it = leaving()
    assert [e for e in it.last if isinstance(e, TransferCall)] == [TransferCall(URI)]
    assert it.told(Transfer) == [Transfer(URI)]
    it.wait(60)
    assert it.last == []  # nobody asks whether they are still there


def test_a_caller_who_could_not_leave() -> None:
    it = leaving()
    it.do(it.core.transfer_failed, "busy")
    assert it.told(Transfer) == [Transfer(URI, "busy")]
    assert typed(it) == [stays("busy")]
    assert len(it.sent("response.create")) == 1


def test_the_program_puts_a_caller_through() -> None:
    it = play()
    it.do(it.core.transfer, URI).wait(GRACE_SECONDS)
    assert [e for e in it.last if isinstance(e, TransferCall)] == [TransferCall(URI)]
