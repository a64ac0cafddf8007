from __future__ import annotations

import pytest

from runner.audio.playback import VirtualSpeaker

pytestmark = pytest.mark.quick

RATE = 24000


def test_heard_follows_the_clock_and_stops_at_the_end() -> None:
    speaker = VirtualSpeaker(RATE)
    assert speaker.play("a", 0, RATE, now=10.0) == 10.0
    assert speaker.heard("a", 0, now=10.0) == 0
    assert speaker.heard("a", 0, now=10.5) == RATE // 2
    assert speaker.heard_ms("a", 0, now=10.5) == 500
    assert speaker.heard("a", 0, now=99.0) == RATE


def test_chunks_given_ahead_play_one_after_the_other() -> None:
    speaker = VirtualSpeaker(RATE)
    for _ in range(50):
        speaker.play("a", 0, RATE // 50, now=0.0)
    assert speaker.play("b", 0, RATE, now=0.1) == pytest.approx(1.0)
    assert speaker.drained_at(0.1) == pytest.approx(2.0)
    assert speaker.heard("b", 0, now=0.99) == 0
    assert speaker.heard("a", 0, now=1.25) == RATE
    assert speaker.heard("b", 0, now=1.25) == RATE // 4
    assert speaker.playing(0.5 + 0.8) == ("b", 0)


def test_a_gap_is_not_heard() -> None:
    speaker = VirtualSpeaker(RATE)
    speaker.play("a", 0, RATE, now=0.0)
    assert speaker.playing(1.5) is None
    assert speaker.play("a", 0, RATE, now=2.0) == 2.0
    assert speaker.heard("a", 0, now=2.5) == RATE + RATE // 2
    assert speaker.drained_at(2.5) == 3.0


def test_flush_drops_the_rest_and_remembers_what_was_heard() -> None:
    speaker = VirtualSpeaker(RATE)
    speaker.play("a", 0, RATE, now=0.0)
    speaker.play("a", 1, RATE, now=0.0)
    assert speaker.flush(now=0.25) == RATE * 7 // 4
    assert speaker.heard("a", 0, now=5.0) == RATE // 4
    assert speaker.heard("a", 1, now=5.0) == 0
    assert speaker.drained_at(0.25) == 0.25
    assert speaker.flush(now=0.3) == 0


def test_what_comes_after_a_flush_plays_at_once() -> None:
    speaker = VirtualSpeaker(RATE)
    speaker.play("a", 0, RATE * 10, now=0.0)
    speaker.flush(now=1.0)
    assert speaker.play("b", 0, RATE, now=1.2) == 1.2
    assert speaker.heard("b", 0, now=1.7) == RATE // 2


def test_many_small_chunks_add_up_without_drift() -> None:
    speaker = VirtualSpeaker(RATE)
    for _ in range(10_000):
        speaker.play("a", 0, 163, now=0.0)
    end = speaker.drained_at(0.0)
    assert end == pytest.approx(10_000 * 163 / RATE, abs=1e-9)
    assert speaker.heard("a", 0, now=end) == 10_000 * 163


def test_memory_stays_bounded_over_a_long_call() -> None:
    speaker = VirtualSpeaker(RATE)
    for n in range(1000):
        speaker.play(f"item{n}", 0, RATE, now=n * 2.0)
    assert len(speaker._played) <= 64
    assert len(speaker._runs) <= 1
    assert speaker.heard("item998", 0, now=5000.0) == RATE


def test_nothing_was_heard_of_an_unknown_item() -> None:
    assert VirtualSpeaker(RATE).heard("x", 0, now=1.0) == 0
    assert VirtualSpeaker(RATE).drained_at(3.0) == 3.0
