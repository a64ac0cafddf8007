"""The caller's audio that has to wait, and what is kept of what went out."""

from __future__ import annotations

import pytest

from runner.audio.formats import PCM16, PCMU, AudioFormat
from runner.held import HOLD_MS, STEP_MS, TURN_MS, Held

pytestmark = pytest.mark.quick


def frame(number: int, ms: float = 20.0, audio: AudioFormat = PCM16) -> bytes:
    return bytes([number]) * audio.nbytes(ms)


def everything(held: Held) -> bytes:
    out = b""
    while held.holding:
        step = list(held.step())
        out += b"".join(data for data, _ in step)
    return out


def test_what_was_held_comes_out_in_order_and_then_nothing_is_held() -> None:
    held = Held(PCM16)
    held.hold()
    frames = [frame(n) for n in range(30)]
    for data in frames:
        held.keep(data, False)
    first = list(held.step())
    assert len(first) == STEP_MS / 20
    assert held.holding
    held.keep(frame(99), False)  # what is said meanwhile stands behind
    rest = everything(held)
    assert b"".join(d for d, _ in first) + rest == b"".join(frames) + frame(99)
    assert not held.holding


def test_nothing_held_is_over_at_once() -> None:
    held = Held(PCM16)
    held.hold()
    assert list(held.step()) == []
    assert not held.holding


def test_the_oldest_is_dropped_when_too_much_waits() -> None:
    held = Held(PCM16)
    held.hold()
    for n in range(3):
        held.keep(frame(n, HOLD_MS / 2), False)
    assert held.dropped_ms == HOLD_MS / 2
    assert everything(held) == frame(1, HOLD_MS / 2) + frame(2, HOLD_MS / 2)


def test_one_long_piece_is_not_dropped_whole() -> None:
    held = Held(PCM16)
    held.hold()
    held.keep(frame(1, HOLD_MS * 2), False)
    assert everything(held) == frame(1, HOLD_MS * 2)


@pytest.mark.parametrize("audio", [PCM16, PCMU])
def test_of_what_went_out_so_much_comes_again_and_no_more(audio: AudioFormat) -> None:
    held = Held(audio)
    for n in range(100):
        held.sent(frame(n, audio=audio), False, again_ms=1000)
    held.lost(130)
    held.keep(frame(200, audio=audio), False)
    again = b"".join(frame(n, audio=audio) for n in range(93, 100))
    assert everything(held) == again[-audio.nbytes(130) :] + frame(200, audio=audio)


def test_what_was_understood_does_not_come_again() -> None:
    held = Held(PCM16)
    held.sent(frame(1, 500), True, again_ms=500)
    held.lost(0)
    assert everything(held) == b""


def test_it_stands_before_what_waits_already() -> None:
    held = Held(PCM16)
    held.sent(frame(1), False, again_ms=300)
    held.hold()  # words sound that may not be cut off
    held.keep(frame(2), False)
    held.lost(300)
    held.keep(frame(3), False)
    assert everything(held) == frame(1) + frame(2) + frame(3)


def test_no_more_is_kept_than_a_long_turn() -> None:
    held = Held(PCM16)
    for n in range(40):
        held.sent(frame(n, 1000), False, again_ms=1e9)
    held.lost(1e9)
    assert len(everything(held)) == PCM16.nbytes(TURN_MS)


def test_the_end_of_a_turn_goes_with_its_audio() -> None:
    held = Held(PCM16)
    held.sent(frame(1), True, again_ms=20)
    held.lost(20)
    assert held.turn_waits
    assert list(held.step()) == [(frame(1), True)]
    assert not held.turn_waits
