"""Turn detection on synthetic probabilities: every number here is in frames of 32 ms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.engine.hearing.turns import (
    FRAME_MS,
    Pause,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    TurnConfig,
    TurnDetector,
    TurnEvent,
)

pytestmark = pytest.mark.quick

SERVER = TurnConfig("server_vad", silence_duration_ms=500)
SEMANTIC = TurnConfig("semantic_vad")


def run(detector: TurnDetector, probability: float, frames: int) -> list[TurnEvent]:
    return [e for _ in range(frames) for e in detector.frame(probability)]


def until_stop(detector: TurnDetector, limit: int = 400) -> tuple[list[TurnEvent], int]:
    """Quiet frames until the turn ends: the events, and how many ms of quiet it took."""
    events: list[TurnEvent] = []
    for frames in range(1, limit):
        events += detector.frame(0.01)
        if any(isinstance(e, SpeechStopped) for e in events):
            return events, frames * FRAME_MS
    raise AssertionError("the turn never ended")


def spoken(config: TurnConfig, frames: int = 20, **more: object) -> TurnDetector:
    detector = TurnDetector(config, **more)  # type: ignore[arg-type]
    run(detector, 0.01, 30)
    run(detector, 0.95, frames)
    return detector


# -- the start


def test_speech_begins_after_two_voiced_frames_with_its_padding() -> None:
    detector = TurnDetector(replace(SERVER, prefix_padding_ms=200))
    assert run(detector, 0.01, 30) == []
    assert detector.frame(0.9) == []
    assert detector.frame(0.9) == [
        SpeechStarted(audio_start_ms=960 - 200, speech_start_ms=960, keep_from_ms=960 - 400)
    ]
    assert detector.speaking


def test_padding_over_300_ms_is_kept_too() -> None:
    detector = TurnDetector(replace(SERVER, prefix_padding_ms=800))
    run(detector, 0.01, 30)
    (started,) = run(detector, 0.9, 2)
    assert isinstance(started, SpeechStarted)
    assert started.audio_start_ms == started.keep_from_ms == 160


def test_speech_at_the_very_start_is_not_before_the_stream() -> None:
    (started,) = run(TurnDetector(SERVER), 0.9, 2)
    assert started == SpeechStarted(0, 0, 0)


def test_single_clicks_are_no_speech() -> None:
    detector = TurnDetector(SERVER)
    for _ in range(50):
        assert detector.frame(0.95) == []
        assert run(detector, 0.05, 3) == []


def test_a_soft_frame_between_two_loud_ones_does_not_start_over() -> None:
    detector = TurnDetector(SERVER)
    assert run(detector, 0.9, 1) + run(detector, 0.4, 1) == []
    assert detector.frame(0.9) == [SpeechStarted(0, 0, 0)]


@pytest.mark.parametrize(("threshold", "starts"), [(0.3, True), (0.5, True), (0.7, False)])
def test_the_threshold_is_obeyed(threshold: float, starts: bool) -> None:
    detector = TurnDetector(replace(SERVER, threshold=threshold))
    assert bool(run(detector, 0.6, 10)) is starts


# -- server_vad


@pytest.mark.parametrize("silence", [100, 200, 500, 1000, 1234])
def test_server_vad_waits_for_its_silence_and_no_longer(silence: int) -> None:
    detector = spoken(replace(SERVER, silence_duration_ms=silence))
    end = detector.position_ms
    events, waited = until_stop(detector)
    assert silence <= waited < silence + FRAME_MS
    # A Pause always comes before the stop, with the same revision.
    assert events == [Pause(1, end), SpeechStopped(end + silence, end, 1)]
    assert not detector.speaking


def test_server_vad_ends_whatever_the_words_are() -> None:
    detector = spoken(SERVER)
    (pause,) = run(detector, 0.01, 4)
    assert isinstance(pause, Pause)
    assert detector.transcript(pause.revision, "I would like to book an") == []
    assert until_stop(detector)[1] <= 512 - 4 * FRAME_MS


def test_hysteresis_a_softer_syllable_keeps_the_speech_alive() -> None:
    detector = spoken(SERVER)
    assert run(detector, 0.4, 60) == []
    assert detector.speaking


def test_once_quiet_only_real_speech_resumes() -> None:
    detector = spoken(SERVER)
    end = detector.position_ms
    run(detector, 0.2, 2)
    events = [*run(detector, 0.45, 2), *until_stop(detector)[0]]
    assert events[-1] == SpeechStopped(end + 500, end, 1)


def test_going_on_voids_the_work_and_the_next_pause_has_a_new_revision() -> None:
    detector = spoken(SERVER)
    assert isinstance(run(detector, 0.01, 6)[0], Pause)
    assert run(detector, 0.9, 4) == [Resumed(1)]
    end = detector.position_ms
    events, _ = until_stop(detector)
    assert events == [Pause(2, end), SpeechStopped(end + 500, end, 2)]


def test_a_click_in_the_pause_changes_nothing() -> None:
    detector = spoken(SERVER)
    end = detector.position_ms
    events = run(detector, 0.01, 8) + run(detector, 0.9, 1) + until_stop(detector)[0]
    assert events == [Pause(1, end), SpeechStopped(end + 500, end, 1)]
    # The click took its place in the silence: 500 ms are 16 frames with it.
    assert detector.position_ms == end + 16 * FRAME_MS


def test_a_gap_shorter_than_a_pause_is_not_reported() -> None:
    detector = spoken(SERVER)
    assert run(detector, 0.01, 3) + run(detector, 0.9, 5) == []


def test_the_next_turn_does_not_begin_inside_the_last() -> None:
    detector = spoken(replace(SERVER, silence_duration_ms=200))
    stopped = until_stop(detector)[0][-1]
    assert isinstance(stopped, SpeechStopped)
    (started,) = run(detector, 0.9, 2)
    assert isinstance(started, SpeechStarted)
    assert started.audio_start_ms == stopped.audio_end_ms
    assert started.keep_from_ms == max(stopped.speech_end_ms, started.speech_start_ms - 400)


# -- semantic_vad


def paused(config: TurnConfig, text: str, **more: object) -> tuple[TurnDetector, list[TurnEvent]]:
    detector = spoken(config, **more)
    (pause,) = run(detector, 0.01, 4)
    assert isinstance(pause, Pause)
    return detector, detector.transcript(pause.revision, text)


@pytest.mark.parametrize(("eagerness", "waits"), [("high", 160), ("auto", 224), ("low", 480)])
def test_finished_words_end_the_turn_after_a_short_quiet(eagerness: str, waits: int) -> None:
    config = replace(SEMANTIC, eagerness=eagerness)
    detector, events = paused(config, "What are your opening hours?")
    assert events == []
    events, more = until_stop(detector)
    assert 4 * FRAME_MS + more == waits
    (stopped,) = events
    assert isinstance(stopped, SpeechStopped)
    assert stopped.audio_end_ms == stopped.speech_end_ms == 50 * FRAME_MS


def test_words_that_come_late_end_the_turn_at_once() -> None:
    detector = spoken(SEMANTIC)
    run(detector, 0.01, 20)
    (stopped,) = detector.transcript(1, "Are you open on Saturday?")
    assert isinstance(stopped, SpeechStopped)


@pytest.mark.parametrize(("eagerness", "cap"), [("high", 2000), ("auto", 4000), ("medium", 4000),
                                                ("low", 8000)])  # fmt: skip
def test_unfinished_words_wait_for_the_cap(eagerness: str, cap: int) -> None:
    detector, events = paused(replace(SEMANTIC, eagerness=eagerness), "I would like to book an")
    assert events == []
    _, more = until_stop(detector)
    assert cap <= 4 * FRAME_MS + more < cap + FRAME_MS


def test_the_caller_who_thinks_and_goes_on_is_one_turn() -> None:
    detector, _ = paused(SEMANTIC, "I would like to come on")
    assert run(detector, 0.01, 60) == []
    assert run(detector, 0.9, 30) == [Resumed(1)]
    (pause,) = run(detector, 0.01, 8)
    assert pause == Pause(2, detector.position_ms - 8 * FRAME_MS)
    (stopped,) = detector.transcript(2, "I would like to come on Tuesday.")
    assert isinstance(stopped, SpeechStopped)
    assert stopped.revision == 2


def test_voice_without_words_ends_after_a_moderate_quiet() -> None:
    detector, _ = paused(SEMANTIC, "  ")
    assert 4 * FRAME_MS + until_stop(detector)[1] == 800


def test_no_words_at_all_end_at_the_cap() -> None:
    detector = spoken(replace(SEMANTIC, eagerness="high"))
    assert until_stop(detector)[1] == 2016


def test_words_of_a_void_revision_are_ignored() -> None:
    detector = spoken(SEMANTIC)
    run(detector, 0.01, 10)
    run(detector, 0.9, 3)
    assert detector.transcript(1, "What are your opening hours?") == []
    run(detector, 0.01, 10)
    assert detector.transcript(1, "What are your opening hours?") == []
    assert len(detector.transcript(2, "What are your opening hours?")) == 1
    assert detector.transcript(2, "What are your opening hours?") == []


class Votes:
    def __init__(self, value: float | None) -> None:
        self.value = value
        self.asked: list[tuple[str, bytes]] = []

    def vote(self, text: str, pcm16k_tail: bytes) -> float | None:
        self.asked.append((text, pcm16k_tail))
        return self.value


@pytest.mark.parametrize(
    ("text", "vote", "quiet"),
    [
        ("What are your opening hours?", 0.9, 224),
        ("What are your opening hours?", None, 224),
        ("What are your opening hours?", 0.1, 1024),
        ("I would like to book an", 0.9, 1024),
        ("I would like to book an", 0.1, 4000),
    ],
)
def test_a_model_may_vote_and_neither_is_the_only_judge(
    text: str, vote: float | None, quiet: int
) -> None:
    votes = Votes(vote)
    detector, _ = paused(SEMANTIC, text, vote=votes)
    waited = 4 * FRAME_MS + until_stop(detector)[1]
    assert quiet <= waited < quiet + FRAME_MS
    assert votes.asked == [(text, b"")]


def test_nobody_is_asked_about_silence_or_under_server_vad() -> None:
    votes = Votes(0.5)
    paused(SEMANTIC, "", vote=votes)
    paused(SERVER, "Hello.", vote=votes)
    assert votes.asked == []


# -- changes on the way


def test_a_change_of_rules_holds_for_the_speech_under_way() -> None:
    detector = spoken(SERVER)
    detector.configure(replace(SERVER, silence_duration_ms=1000))
    assert until_stop(detector)[1] == 1024
    detector = spoken(replace(SERVER, silence_duration_ms=2000))
    run(detector, 0.01, 20)
    detector.configure(replace(SEMANTIC, eagerness="high"))
    (stopped,) = detector.transcript(1, "Goodbye.")
    assert isinstance(stopped, SpeechStopped)
    assert stopped.audio_end_ms == stopped.speech_end_ms


def test_reset_forgets_the_speech_and_keeps_the_time() -> None:
    detector = spoken(SERVER)
    run(detector, 0.01, 5)
    at = detector.position_ms
    detector.reset()
    assert not detector.speaking
    assert detector.position_ms == at
    assert detector.transcript(1, "Hello.") == []
    assert run(detector, 0.01, 50) == []
    (started,) = run(detector, 0.9, 2)
    assert isinstance(started, SpeechStarted)
    assert started.speech_start_ms == at + 50 * FRAME_MS


def test_a_detector_may_begin_in_the_middle_of_a_stream() -> None:
    detector = TurnDetector(SERVER, position_ms=64_000)
    (started,) = run(detector, 0.9, 2)
    assert started == SpeechStarted(64_000, 64_000, 64_000)


steps = st.lists(
    st.one_of(
        st.tuples(st.floats(0, 1), st.integers(1, 25)),
        st.sampled_from(["", "Hello.", "and the", "reset", "server", "semantic"]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_the_order_of_events_holds_for_any_input(plan: list[object]) -> None:
    detector = TurnDetector(SEMANTIC)
    speaking = pausing = False
    revision = 0
    last_end = 0
    for step in plan:
        if isinstance(step, tuple):
            events = run(detector, step[0], step[1])
        elif step == "reset":
            detector.reset()
            speaking = pausing = False
            continue
        elif step in ("server", "semantic"):
            detector.configure(SERVER if step == "server" else SEMANTIC)
            continue
        else:
            events = detector.transcript(revision, str(step))
        for event in events:
            if isinstance(event, SpeechStarted):
                assert not speaking
                assert last_end <= event.audio_start_ms <= event.speech_start_ms
                assert event.keep_from_ms <= event.speech_start_ms
                speaking = True
            elif isinstance(event, Pause):
                assert speaking
                assert not pausing
                assert event.revision == revision + 1
                revision, pausing = event.revision, True
            elif isinstance(event, Resumed):
                assert pausing
                assert event.revision == revision
                pausing = False
            else:
                assert speaking
                assert pausing
                assert event.revision == revision
                assert event.speech_end_ms <= event.audio_end_ms <= detector.position_ms + 500
                last_end = event.audio_end_ms
                speaking = pausing = False
        assert detector.speaking is speaking
