"""What was heard decides: truncation, interruption, and the end of a turn."""

from __future__ import annotations

from typing import Any

import pytest
from support.playbook import (
    Playbook,
    audio_done,
    cancelled,
    created,
    done,
    error,
    message,
    output_item,
    speech_started,
    spoken_delta,
    spoken_done,
    view,
)

from runner.core.effects import FlushAudio, Notify, Send
from runner.core.events import (
    AudioStart,
    AudioStopped,
    Interrupted,
    SessionError,
    SpeechStarted,
    Transcript,
    TurnEnd,
)
from runner.core.playback import Playback, rate_of

pytestmark = pytest.mark.quick


def answering(over: dict[str, Any] | None = None, **options: Any) -> Playbook:
    """An answer of 2 s, all received and done, nothing heard yet."""
    play = Playbook(view(over=over), **options).open()
    play.do(play.core.send_message, "hello").begin("r1").speak(ms=2000)
    play.all_sent.clear()
    return play


def with_detection(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": {"turn_detection": {"type": "server_vad", **fields}}}}


def test_barge_in_silences_truncates_and_tells_in_this_order() -> None:
    play = answering().heard("a1", 700)
    play >> speech_started("u2", 5000)
    truncate = play.sent("conversation.item.truncate")[0]
    play << [
        Notify(SpeechStarted("u2", 5000)),
        FlushAudio("a1"),
        Send(truncate),
        Notify(Interrupted("desk", "a1", 700)),
        Notify(TurnEnd("r1", 0.0, 700.0)),
    ]
    assert truncate == {
        "type": "conversation.item.truncate",
        "event_id": truncate["event_id"],
        "item_id": "a1",
        "content_index": 0,
        "audio_end_ms": 700,
    }
    assert play.core.history[-1].heard_ms == 700
    assert not play.ever_sent("response.cancel")


def test_audio_that_comes_after_the_cut_is_refused() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    assert play.audio("r1", "a1", 500)
    play.heard("a1", 200) >> speech_started()
    assert play.audio("r1", "a1", 500) is False
    assert play.audio("r1", "a2", 500) is False
    assert [t["audio_end_ms"] for t in play.ever_sent("conversation.item.truncate")] == [200]
    play >> cancelled("r1")
    assert play.audio("r1", "a1", 500) is False
    play.begin("r2", ours=False)
    assert play.audio("r2", "a3", 500) is True


def test_the_turn_ends_with_response_done_when_it_was_cut() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 500)
    play.heard("a1", 200) >> speech_started()
    assert not play.told(TurnEnd)
    play >> cancelled("r1")
    assert play.told(TurnEnd) == [TurnEnd("r1", 0.0, 200.0)]


def test_truncation_is_never_beyond_what_was_received() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 300)
    play.heard("a1", 900) >> speech_started()
    assert [t["audio_end_ms"] for t in play.ever_sent("conversation.item.truncate")] == [300]


def test_what_was_heard_whole_is_not_truncated() -> None:
    play = answering().heard("a1", 2000)
    play >> speech_started()
    assert not play.sent()
    assert not play.told(Interrupted)


def test_what_nobody_heard_is_truncated_to_nothing() -> None:
    play = answering()
    play >> speech_started()
    assert [t["audio_end_ms"] for t in play.sent("conversation.item.truncate")] == [0]
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 0)]


def test_an_answer_that_is_only_being_made_is_cut_too() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play >> speech_started()
    assert play.told(Interrupted) == [Interrupted("desk", "", 0)]
    assert not play.sent()
    assert play.audio("r1", "a1", 100) is False
    play >> cancelled("r1")
    assert not play.ever_told(TurnEnd)  # it gave nothing to hear


def test_speech_over_silence_is_no_interruption() -> None:
    play = Playbook().open()
    play >> speech_started("u1", 10)
    play << [Notify(SpeechStarted("u1", 10))]


def test_a_second_speech_start_does_not_cut_twice() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 500)
    play >> speech_started() >> speech_started()
    assert len(play.ever_told(Interrupted)) == 1
    assert len(play.ever_sent("conversation.item.truncate")) == 1


def test_with_interrupt_response_off_the_answer_goes_on() -> None:
    play = answering(with_detection(interrupt_response=False)).heard("a1", 700)
    play >> speech_started("u2", 9)
    play << [Notify(SpeechStarted("u2", 9))]
    assert play.core.speaking


def test_the_effective_turn_detection_decides_not_the_wanted_one() -> None:
    play = Playbook(view(over=with_detection())).open()
    play >> play.echo(audio={"input": {"turn_detection": {"interrupt_response": False}}})
    play.do(play.core.send_message, "hello").begin("r1").speak()
    play >> speech_started()
    assert not play.told(Interrupted)


def test_two_queued_items_are_both_truncated_and_one_interruption_is_told() -> None:
    play = answering()
    play.begin("r2", ours=False).speak("r2", "a2", ms=1000)
    play.heard("a1", 1500) >> speech_started()
    ends = [(t["item_id"], t["audio_end_ms"]) for t in play.sent("conversation.item.truncate")]
    assert ends == [("a1", 1500), ("a2", 0)]
    assert [e.item_id for e in play.last if isinstance(e, FlushAudio)] == ["a1", "a2"]
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 1500)]
    assert [t.response_id for t in play.told(TurnEnd)] == ["r1", "r2"]


def test_interrupt_by_the_program_cancels_too() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 500)
    play.heard("a1", 100).do(play.core.interrupt)
    assert [e["type"] for e in play.sent()] == ["response.cancel", "conversation.item.truncate"]
    assert play.sent("response.cancel")[0]["response_id"] == "r1"
    play.do(play.core.interrupt)
    assert not play.effects


def test_interrupt_after_response_done_truncates_only() -> None:
    play = answering().heard("a1", 100)
    play.do(play.core.interrupt)
    assert [e["type"] for e in play.sent()] == ["conversation.item.truncate"]


@pytest.mark.parametrize("what", ["conversation.item.truncate", "response.cancel"])
def test_being_too_late_is_no_error(what: str) -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 500)
    play.do(play.core.interrupt)
    play >> error("invalid_value", play.ever_sent(what)[0]["event_id"])
    assert not play.told(SessionError)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": "response_cancel_not_active"},
        {"code": "other", "message": "Cancellation failed: no active response found"},
    ],
)
def test_a_cancel_without_response_is_harmless(fields: dict[str, str]) -> None:
    play = Playbook().open()
    play >> error(**fields)
    assert not play.told(SessionError)


def test_the_turn_ends_when_its_audio_was_played() -> None:
    play = answering()
    assert play.core.busy
    assert not play.ever_told(TurnEnd)
    play.pass_time(2.0).heard("a1", 2000).drained()
    assert play.told(TurnEnd) == [TurnEnd("r1", 0.0, 2000.0)]
    assert not play.core.busy


def test_an_empty_sink_in_the_middle_of_an_answer_ends_nothing() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play.audio("r1", "a1", 500)
    play.drained()
    assert not play.ever_told(TurnEnd)
    play.audio("r1", "a1", 500)
    play >> done("r1")
    assert not play.ever_told(TurnEnd)
    play.drained()
    assert [t.played_ms for t in play.told(TurnEnd)] == [1000.0]


def test_the_first_audio_is_told_once_per_response() -> None:
    """SE103: audio_start comes once."""
    play = Playbook().open()
    play.begin("r1", ours=False)
    play.audio("r1", "a1", 20)
    assert play.effects == [Notify(AudioStart("desk", "r1", "a1"))]
    play.audio("r1", "a1", 20)
    assert not play.core.fresh
    play.audio("r1", "a2", 20)
    assert not play.effects
    play >> audio_done("r1", "a1")
    assert play.effects == [Notify(AudioStopped("r1"))]


def test_the_transcript_of_a_cut_answer_is_what_was_generated() -> None:
    play = Playbook().open()
    play.do(play.core.send_message, "hello").begin("r1")
    play >> output_item("added", "r1", message("a1"))
    play >> spoken_delta("r1", "a1", "We are ")
    play.audio("r1", "a1", 500)
    play >> speech_started()
    play >> spoken_done("r1", "a1", "We are ")
    play >> output_item("done", "r1", message("a1", "incomplete", "We are "))
    play >> cancelled("r1")
    assert play.ever_told(Transcript) == [Transcript("assistant", "a1", "We are ")]
    (entry,) = [i for i in play.core.history if i.item_id == "a1"]
    assert (entry.status, entry.text, entry.heard_ms) == ("incomplete", "We are ", 0)


def test_audio_of_a_response_nobody_announced_plays_and_leaves_nothing_behind() -> None:
    play = Playbook().open()
    assert play.audio("r9", "a9", 100)
    assert play.core.speaking
    play.drained()
    assert not play.core.speaking
    assert not play.core._playback.tracks


def test_positions_of_finished_turns_are_forgotten() -> None:
    play = answering().drained()
    assert not play.core._playback.tracks
    assert not play.core._turns.open
    assert play.audio("r1", "a1", 100) is False


@pytest.mark.parametrize(
    ("wire", "rate"),
    [
        ({"type": "audio/pcm", "rate": 24000}, 24000),
        ({"type": "audio/pcm", "rate": 16000}, 16000),
        ({"type": "audio/pcmu"}, 8000),
        ({"type": "audio/pcma"}, 8000),
        ("g711_ulaw", 8000),
        (None, 24000),
        ({"type": "audio/new"}, 24000),
    ],
)
def test_positions_count_in_the_rate_of_the_format(wire: object, rate: int) -> None:
    assert rate_of(wire) == rate


def test_telephone_audio_is_truncated_by_its_own_clock() -> None:
    play = answering({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}).heard("a1", 700)
    assert play.core.output_rate == 8000
    play >> speech_started()
    assert [t["audio_end_ms"] for t in play.sent("conversation.item.truncate")] == [700]


def test_a_response_may_have_a_format_of_its_own() -> None:
    play = Playbook().open()
    audio = {"output": {"format": {"type": "audio/pcmu"}}}
    play >> created("r1", audio=audio)
    assert play.core.audio_out("r1", "a1", 0, 8000, play.now)
    play >> done("r1")
    play.drained()
    assert [t.played_ms for t in play.told(TurnEnd)] == [1000.0]


# -- the server owns the playback ----------------------------------------------------------
def buffer(kind: str, response: str = "r1") -> dict[str, Any]:
    return {"type": f"output_audio_buffer.{kind}", "response_id": response}


def server_side() -> Playbook:
    play = Playbook(playback="server").open()
    play.do(play.core.send_message, "hello").begin("r1")
    play >> output_item("added", "r1", message("a1"))
    play.pass_time(0.3)
    return play >> buffer("started")


def test_server_playback_ends_the_turn_when_its_buffer_is_empty() -> None:
    play = server_side()
    assert play.told(AudioStart)
    play >> done("r1")
    assert not play.told(TurnEnd)
    play.pass_time(1.0) >> buffer("stopped")
    (end,) = play.told(TurnEnd)
    assert end.first_audio_ms == pytest.approx(300)
    assert end.played_ms == pytest.approx(1000)


def test_server_playback_is_never_truncated_by_us() -> None:
    play = server_side() >> done("r1")
    play.pass_time(0.5) >> speech_started()
    assert not play.sent()
    assert not play.told(Interrupted)
    play >> buffer("cleared")
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 500)]
    assert len(play.told(TurnEnd)) == 1


def test_the_servers_own_truncation_is_exact() -> None:
    play = server_side() >> done("r1")
    play.pass_time(0.5)
    play >> {
        "type": "conversation.item.truncated", "item_id": "a1", "content_index": 0,
        "audio_end_ms": 460,
    }  # fmt: skip
    play >> buffer("cleared")
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 460)]


def test_interrupt_clears_the_servers_buffer() -> None:
    play = server_side()
    play.do(play.core.interrupt)
    assert [e["type"] for e in play.sent()] == ["response.cancel", "output_audio_buffer.clear"]
    play >> buffer("cleared")
    assert len(play.told(Interrupted)) == 1


def test_when_the_response_is_done_the_buffer_alone_is_cleared() -> None:
    """RT4: there is nothing left to cancel, and what was made still sounds."""
    play = server_side() >> audio_done("r1", "a1") >> done("r1")
    play.do(play.core.interrupt)
    assert [e["type"] for e in play.sent()] == ["output_audio_buffer.clear"]


def test_a_message_after_an_interruption_waits_for_the_end_of_what_was_cut() -> None:
    """RT5: the message goes at once, its response.create after response.done."""
    play = server_side()
    play.do(play.core.interrupt).do(play.core.send_message, "no, wait")
    assert [e["type"] for e in play.sent()] == ["conversation.item.create"]
    play >> buffer("cleared") >> cancelled("r1", "client_cancelled")
    assert len(play.sent("response.create")) == 1


def test_what_sounds_before_its_response_is_known_is_cut_with_it() -> None:
    play = Playbook().open()
    play >> created("r1")
    play.audio("r1", "a1", 400)
    play >> done("r1")
    play.heard("a1", 100) >> speech_started()
    assert [t["audio_end_ms"] for t in play.sent("conversation.item.truncate")] == [100]
    assert not play.sent("response.cancel")  # it is done: there is nothing to cancel


def test_a_program_that_interrupts_in_silence_sends_nothing() -> None:
    play = Playbook().open()
    play.do(play.core.interrupt)
    assert not play.effects


def test_words_that_may_not_be_cut_off_stand_against_the_caller_and_not_the_program() -> None:
    play = Playbook().open()
    play.do(play.core.say, "Welcome.", interruptible=False).begin("r1")
    play.audio("r1", "a1", 500)
    play.heard("a1", 100) >> speech_started()
    assert not play.sent()
    assert play.core.speaking
    assert play.core.holding
    play.do(play.core.interrupt)
    assert play.told(Interrupted) == [Interrupted("desk", "a1", 100)]
    play >> cancelled("r1", "client_cancelled")
    assert not play.core.holding


def test_cut_keeps_to_what_is_still_to_be_heard() -> None:
    playback = Playback()
    old, new = playback.open("r1", "a1", 0, 24000), playback.open("r2", "a2", 0, 24000)
    old.received = old.heard = 100
    new.received = 100
    assert playback.cut({}) == [new]
    assert not playback.refuses("r1")
    assert playback.refuses("r2")
    playback.heard("a2", 0, 100)
    assert new.heard == 0
