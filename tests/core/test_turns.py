"""The time to first audio, and which turn it belongs to."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Playbook,
    done,
    function_call,
    output_item,
    speech_started,
    speech_stopped,
    text_delta,
    text_done,
    view,
)

from runner.core.events import AgentEnd, AgentStart, SessionError, TurnEnd
from runner.core.turns import CUT, OVER, RUNNING, SOUNDING, TABLE, Response, Turns

pytestmark = pytest.mark.quick


def vad(kind: str, **fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": {"type": kind, **fields}}}}


def ask_aloud(play: Playbook, *, heard: float, end: float) -> Playbook:
    """The caller's audio is handed over in real time, ``heard`` ms of it; the server finds the
    end of speech at ``end``."""
    for _ in range(int(heard / 20)):
        play.now += 0.02
        play.core.audio_in(20, play.now)
    play >> speech_started("u1", 100)
    return play >> speech_stopped("u1", int(end))


def first_audio(play: Playbook, response: str = "r1") -> float | None:
    play.speak(response, f"a_{response}")
    play.drained()
    return play.ever_told(TurnEnd)[-1].first_audio_ms


def test_server_vad_counts_its_silence_into_the_end_of_speech() -> None:
    play = Playbook(view(over=vad("server_vad", silence_duration_ms=300))).open()
    ask_aloud(play, heard=2000, end=1800)  # the words ended at 1500, 500 ms ago
    play.begin("r1", ours=False).pass_time(0.25)
    assert first_audio(play) == pytest.approx(750)


def test_the_effective_silence_counts_when_ours_was_left_out() -> None:
    play = Playbook(view(over=vad("server_vad"))).open()
    play >> play.echo(
        audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 400}}}
    )
    ask_aloud(play, heard=1000, end=1000)
    play.begin("r1", ours=False)
    assert first_audio(play) == pytest.approx(400)


def test_semantic_vad_names_the_end_itself() -> None:
    play = Playbook(view(over=vad("semantic_vad"))).open()
    ask_aloud(play, heard=2000, end=1500)
    play.begin("r1", ours=False).pass_time(0.25)
    assert first_audio(play) == pytest.approx(750)


def test_without_audio_of_our_own_the_event_is_the_clock() -> None:
    play = Playbook(view(over=vad("server_vad", silence_duration_ms=300))).open()
    play >> speech_started() >> speech_stopped("u1", 5000)
    play.begin("r1", ours=False).pass_time(0.5)
    assert first_audio(play) == pytest.approx(800)


def test_push_to_talk_counts_from_the_last_audio() -> None:
    play = Playbook(view(over={"audio": {"input": {"turn_detection": None}}})).open()
    play.core.audio_in(500, play.now)
    play.pass_time(0.1) >> {"type": "input_audio_buffer.committed", "item_id": "u1"}
    play.do(play.core.create_response, None).begin("r1").pass_time(0.3)
    assert first_audio(play) == pytest.approx(400)


def test_a_message_counts_from_its_sending() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello")
    play.pass_time(0.4).begin("r1").pass_time(0.1)
    assert first_audio(play) == pytest.approx(500)


def test_a_greeting_answers_nobody() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Hello, how can I help?", purpose="greeting").begin("r1")
    assert first_audio(play) is None


def test_a_tool_call_in_between_is_the_same_turn() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "any slots?").pass_time(0.2).begin("r1")
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots")) >> done("r1")
    assert not play.ever_told(TurnEnd)  # it only called a tool
    play.pass_time(0.3).do(play.core.tool_finished, "c1", "nine")
    play.begin("r2").pass_time(0.1)
    assert first_audio(play, "r2") == pytest.approx(600)


def test_the_answer_after_a_filler_has_no_time_of_its_own() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "any slots?").begin("r1").pass_time(0.1)
    play >> output_item("done", "r1", function_call("f1", "c1", "find_slots"))
    assert first_audio(play, "r1") == pytest.approx(100)
    play.do(play.core.tool_finished, "c1", "nine").begin("r2").pass_time(0.1)
    assert first_audio(play, "r2") is None


def test_an_answer_that_goes_on_answers_the_old_question() -> None:
    over = vad("semantic_vad", interrupt_response=False)
    play = Playbook(view(over=over)).open()
    play.do(play.core.send_message, "one").begin("r1").pass_time(0.1)
    play >> speech_started() >> speech_stopped()
    play.pass_time(0.1).speak("r1", "a1").drained()
    assert play.ever_told(TurnEnd)[-1].first_audio_ms == pytest.approx(200)
    play.begin("r2", ours=False).pass_time(0.2)
    assert first_audio(play, "r2") == pytest.approx(300)


def test_a_written_answer_ends_with_response_done() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play >> text_delta("r1", "a1", "Hi") >> text_done("r1", "a1", "Hi.")
    play >> done("r1")
    assert play.told(TurnEnd) == [TurnEnd("r1", None, 0.0)]


def test_agent_end_has_the_last_text_and_the_usage() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    assert play.told(AgentStart) == [AgentStart("desk", "r1")]
    output = [
        {"type": "message", "content": [{"type": "output_audio", "transcript": "One moment."}]},
        {"type": "function_call", "name": "x"},
    ]
    play >> done("r1", output=output, usage={"total_tokens": 7})
    (end,) = play.told(AgentEnd)
    assert (end.text, end.status, end.usage) == ("One moment.", "completed", {"total_tokens": 7})


def test_a_failed_response_is_told() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play >> done(
        "r1",
        "failed",
        status_details={"type": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}},
    )
    assert [(e.code, e.message) for e in play.told(SessionError)] == [("rate_limit_exceeded", "x")]
    assert [e.status for e in play.told(AgentEnd)] == ["failed"]


def test_a_lost_line_ends_what_was_running() -> None:
    play = Playbook().open()
    play.begin("r1", ours=False)
    play.audio("r1", "a1", 100)
    play.do(play.core.disconnected, reason="reset")
    assert [(e.status, e.reason) for e in play.told(AgentEnd)] == [("failed", "disconnected")]
    play.drained()
    assert len(play.told(TurnEnd)) == 1


def test_the_table_names_only_states_it_has() -> None:
    assert set(TABLE.values()) | {s for s, _ in TABLE} <= {RUNNING, CUT, SOUNDING, OVER}


def test_finished_responses_are_remembered_in_bounds() -> None:
    turns = Turns()
    for n in range(1000):
        response = Response(f"r{n}", view())
        turns.begin(response)
        turns.end(response)
    assert turns.is_over("r999")
    assert not turns.is_over("r0")
    assert not turns.open
