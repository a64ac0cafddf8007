"""Levels of both sides, as they are heard."""

from __future__ import annotations

import numpy as np
import pytest

from runner.audio.formats import PCM16, PCMU
from runner.serve.console import meter as m

pytestmark = pytest.mark.quick


class Clock:
    now = 10.0

    def __call__(self) -> float:
        return self.now


def tone(ms: int, peak: int) -> bytes:
    at = np.arange(24 * ms) / 24_000
    return (np.sin(2 * np.pi * 440 * at) * peak).astype("<i2").tobytes()


def test_a_level_is_in_decibels_below_full_scale() -> None:
    assert m.level(tone(100, 32767)) == -3
    assert m.level(tone(100, 3277)) == -23
    assert m.level(bytes(4800)) == m.SILENCE
    assert m.level(b"") == m.level(b"\1") == m.SILENCE


def test_a_caller_from_whom_nothing_comes_is_silent() -> None:
    clock = Clock()
    meter = m.Meter(clock)
    assert meter.levels() == (m.SILENCE, m.SILENCE)
    meter.caller(tone(20, 3277), PCM16)
    assert meter.levels() == (-23, m.SILENCE)
    clock.now += 0.4
    assert meter.levels()[0] == m.SILENCE
    meter.caller(PCMU.silence * 160, PCMU)
    assert meter.levels()[0] == m.SILENCE


def test_an_answer_that_came_at_once_is_shown_while_it_is_heard() -> None:
    clock = Clock()
    meter = m.Meter(clock)
    meter.agent(tone(100, 32767) + tone(100, 3277), PCM16)
    meter.agent(tone(100, 32767), PCM16)
    seen = []
    for _ in range(5):
        seen.append(meter.levels()[1])
        clock.now += 0.1
    assert seen == [-3, -23, -3, -3, m.SILENCE], "each for a tenth of a second at least"


def test_a_cut_answer_is_silent_at_once() -> None:
    clock = Clock()
    meter = m.Meter(clock)
    meter.agent(tone(1000, 32767), PCM16)
    assert meter.levels()[1] == -3
    meter.flush()
    clock.now += 0.05
    assert meter.levels()[1] == m.SILENCE
