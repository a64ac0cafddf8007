"""A recorded call gives the same effects again."""

from __future__ import annotations

import json

import pytest
from support.playbook import Playbook, function_call, output_item, speech_started, view

from runner.core.conversation import Conversation
from runner.core.events import Item
from runner.core.record import Recorder, replay

pytestmark = pytest.mark.quick


def recorded() -> tuple[Recorder, list[object]]:
    """A call with everything in it, and the effects it had."""
    play = Playbook()
    recorder = Recorder(play.core)
    play.core = recorder  # type: ignore[assignment]
    seen: list[object] = []
    step = play._step

    def keep(effects: object) -> Playbook:
        seen.append(effects)
        return step(effects)  # type: ignore[arg-type]

    play._step = keep  # type: ignore[method-assign,assignment]
    play.open()
    recorder.audio_in(20.0, play.now)
    play.do(recorder.say, "Hello.", purpose="greeting").begin("r0").speak("r0", "a0").drained()
    play.do(recorder.send_message, "slots?", respond=True).begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots"))
    play.do(recorder.tool_finished, "c1", "nine", respond=False)
    play >> output_item("done", "r1", function_call("f2", "c2", "transfer_to_billing"))
    play.do(recorder.agent_ready, view("billing"), "c2")
    play >> play.echo()
    play.speak("r1", "a1").heard("a1", 300) >> speech_started()
    play.do(recorder.apply, view("billing", {"instructions": "x"}), 3, between_turns=True)
    play.do(recorder.update_history, iter([Item("n1", "message", "user", text="hi")]))
    play.wait(20).do(recorder.interrupt).do(recorder.disconnected, reason="end")
    return recorder, seen


def test_the_same_rows_give_the_same_effects_through_json() -> None:
    recorder, seen = recorded()
    rows = json.loads(json.dumps(recorder.rows))
    fresh = Conversation(view())
    effects = replay(rows, fresh)
    returned = [e for row, e in zip(rows, effects, strict=True) if row["call"] not in SILENT]
    assert returned == seen
    assert any(returned)
    assert fresh.history == recorder.history


SILENT = {"audio_in", "audio_out", "heard"}


def test_a_row_is_a_call_with_its_time() -> None:
    play = Playbook().open()
    recorder = Recorder(play.core)
    event = {"type": "x"}
    recorder.receive(event, 5.0)
    recorder.apply(view(), 7, now=6.0, between_turns=False)
    recorder.say("Hi", 7.0, "greeting")
    event["type"] = "changed later"
    assert recorder.rows[0] == {"call": "receive", "args": [{"type": "x"}], "now": 5.0}
    assert recorder.rows[1]["now"] == 6.0
    assert recorder.rows[1]["kwargs"] == {"between_turns": False}
    assert recorder.rows[2]["kwargs"] == {"purpose": "greeting"}


def test_what_only_reads_is_not_recorded() -> None:
    recorder = Recorder(Playbook().open().core)
    assert recorder.agent == "desk"
    assert not recorder.busy
    assert recorder.rows == []


def test_rows_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="no call"):
        replay([{"call": "__init__", "args": []}], Conversation(view()))


def test_a_call_that_cannot_be_written_down_is_refused() -> None:
    recorder = Recorder(Playbook().open().core)
    with pytest.raises(TypeError, match="by position"):
        recorder.receive(event={"type": "x"}, now=1.0)
