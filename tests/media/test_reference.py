"""What was played is found by the time at which it sounded, whatever the clocks do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.media.reference import RATE, Reference

pytestmark = pytest.mark.quick

BLOCK = RATE // 50
FRAME = RATE // 100


def numbered(seconds: float) -> np.ndarray:
    """Each sample's value is its place, modulo 2 ** 16."""
    return np.arange(int(seconds * RATE)).astype(np.int16)


def off(found: np.ndarray, at: int) -> int:
    """By how many samples ``found`` lies beside the place ``at``."""
    return int(
        np.array((int(found[len(found) // 2]) - at - len(found) // 2) & 0xFFFF).astype(np.int16)
    )


def test_the_block_that_sounds_then() -> None:
    reference, sound = Reference(), numbered(1.0)
    for at in range(0, len(sound), BLOCK):
        reference.write(sound[at : at + BLOCK], 100 + at / RATE)
    for at in range(0, len(sound), FRAME):
        assert (reference.read(FRAME, 100 + at / RATE) == sound[at : at + FRAME]).all()
    assert not reference.read(FRAME, 105.0).any(), "nothing was written for then"
    assert not reference.read(FRAME, 99.0).any()


def test_a_device_that_paused_keeps_what_was_before_in_its_place() -> None:
    reference, sound = Reference(), numbered(1.0)
    half = RATE // 2
    for at in range(0, len(sound), BLOCK):
        late = 0.3 if at >= half else 0.0
        reference.write(sound[at : at + BLOCK], 50 + late + at / RATE)
    assert off(reference.read(FRAME, 50.4), round(0.4 * RATE)) == 0
    assert not reference.read(FRAME, 50.65).any(), "the pause is silence"
    assert abs(off(reference.read(FRAME, 50.9), round(0.6 * RATE))) <= 1


@settings(max_examples=30, deadline=None)
@given(
    ppm=st.integers(-300, 300),
    jitter=st.lists(st.floats(-0.004, 0.004), min_size=20, max_size=20),
    late=st.integers(0, BLOCK),
)
def test_clocks_that_drift_apart_are_followed(ppm: int, jitter: list[float], late: int) -> None:
    reference, sound = Reference(), numbered(30.0)
    speed = 1 + ppm / 1e6
    reading, furthest = 0.5 + late / RATE, 0
    mean = sum(jitter) / len(jitter)
    for number, at in enumerate(range(0, len(sound), BLOCK)):
        # The speaker's clock runs by its own second, its times are told with jitter.
        sounds = at / RATE * speed
        reference.write(sound[at : at + BLOCK], sounds + jitter[number % 20] - mean)
        while reading < sounds - 0.1:
            found = reference.read(FRAME, reading)
            if reading > 8:  # a first time that is off has been forgotten
                furthest = max(furthest, abs(off(found, round(reading / speed * RATE))))
            reading += FRAME / RATE
    assert reference.jumps == 0
    assert furthest < RATE // 333, "3 ms; without being followed it would be 6.6"
