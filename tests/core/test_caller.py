"""Positions in the caller's audio as times of our own clock."""

from __future__ import annotations

import pytest

from runner.core.caller import SILENCE_MS, Caller

pytestmark = pytest.mark.quick


def test_a_position_is_the_time_it_was_handed_over() -> None:
    caller = Caller()
    for n in range(1, 101):
        caller.audio(20, 50 + n * 0.02)
    assert caller.time_of(2000, 60) == pytest.approx(52)
    assert caller.time_of(1000, 60) == pytest.approx(51)


def test_a_position_to_come_is_now() -> None:
    caller = Caller()
    caller.audio(1000, 50)
    assert caller.time_of(99_000, 51) == 51


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ({"type": "server_vad", "silence_duration_ms": 700}, 49.3),
        ({"type": "server_vad"}, 50 - SILENCE_MS / 1000),
        ({"type": "server_vad", "silence_duration_ms": None}, 50 - SILENCE_MS / 1000),
        ({"type": "semantic_vad"}, 50.0),
        (None, 50.0),
    ],
)
def test_only_server_vad_includes_its_silence(detection: object, expected: float) -> None:
    caller = Caller()
    caller.audio(1000, 50)
    assert caller.end_of_speech(1000, detection, 50) == pytest.approx(expected)


def test_an_end_that_overtakes_its_beginning_counts() -> None:
    caller = Caller()
    caller.stopped("u1")
    caller.started("u1")
    assert not caller.speaking
    caller.started("u2")
    assert caller.speaking
    for n in range(100):
        caller.stopped(f"x{n}")
    caller.started("u1")  # forgotten by now
    assert caller.speaking
