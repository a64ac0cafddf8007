"""Durations as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config.units import duration, seconds

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0s"), (0.5, "500ms"), (1.5, "1.5s"), (4.0, "4s"), (90, "1m30s"), (5400, "1h30m"),
     (86400, "1d"), (90061.25, "1d1h1m1.25s")],
)  # fmt: skip
def test_a_duration_is_written_in_few_words(value: float, text: str) -> None:
    assert duration(value) == text


@given(st.integers(0, 40 * 86_400_000))
def test_what_is_written_is_read_again(ms: int) -> None:
    assert seconds(duration(ms / 1000)) == pytest.approx(ms / 1000)
