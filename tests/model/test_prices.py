"""What a call costs, computed by hand beside it."""

from __future__ import annotations

import pytest

from runner.core.usage import UsageSum
from runner.model.prices import PRICES, cost

pytestmark = pytest.mark.quick

#: A response.done of the service, as the GA reference shows one, with a cached part.
WIRE = {
    "total_tokens": 3000,
    "input_tokens": 2000,
    "output_tokens": 1000,
    "input_token_details": {
        "text_tokens": 1200,
        "audio_tokens": 800,
        "image_tokens": 0,
        "cached_tokens": 700,
        "cached_tokens_details": {"text_tokens": 600, "audio_tokens": 100},
    },
    "output_token_details": {"text_tokens": 200, "audio_tokens": 800},
}


def total() -> dict[str, int]:
    summed = UsageSum()
    summed.add(WIRE)
    return summed.total()


@pytest.mark.parametrize(
    ("model", "dollars"),
    [
        # 600 x 4 + 600 x 0.40 + 700 x 32 + 100 x 0.40 + 200 x 24 + 800 x 64 = 81080
        ("gpt-realtime-2.1", 0.081080),
        ("gpt-realtime-2", 0.081080),
        # ... + 200 x 16 instead of 200 x 24 = 79480
        ("gpt-realtime-1.5", 0.079480),
        ("gpt-realtime", 0.079480),
        ("gpt-realtime-2025-08-28", 0.079480),
        # 600 x 0.60 + 600 x 0.06 + 700 x 10 + 100 x 0.30 + 200 x 2.40 + 800 x 20 = 23906
        ("gpt-realtime-2.1-mini", 0.023906),
        ("gpt-realtime-mini", 0.023906),
        ("gpt-realtime-mini-2025-10-06", 0.023906),
        # 600 x 0.60 + 600 x 0.30 + 700 x 10 + 100 x 0.30 + 200 x 2.40 + 800 x 20 = 24050
        ("gpt-4o-mini-realtime-preview", 0.024050),
        ("gpt-4o-mini-realtime-preview-2024-12-17", 0.024050),
    ],
)
def test_cached_tokens_are_part_of_what_was_read(model: str, dollars: float) -> None:
    assert cost(model, total()) == pytest.approx(dollars, abs=1e-9)


def test_pictures() -> None:
    # 1000 x 5 + 500 x 0.50 = 5250; the mini: 1000 x 0.80 + 500 x 0.08 = 840
    usage = {"input_tokens": 1500, "input_image": 1500, "cached_image": 500}
    assert cost("gpt-realtime-2.1", usage) == pytest.approx(0.005250, abs=1e-9)
    assert cost("gpt-realtime-mini", usage) == pytest.approx(0.000840, abs=1e-9)
    assert cost("gpt-4o-mini-realtime-preview", usage) is None, "it sees no pictures"


@pytest.mark.parametrize(
    "model",
    [
        "",
        "local",
        "gpt-realtime-3",
        "gpt-realtime-2.1-nano",
        "gpt-realtime-25-08-28",
        "my-gpt-realtime",
        "2025-08-28",
    ],
)
def test_no_guess_for_other_names(model: str) -> None:
    assert cost(model, total()) is None


def test_no_guess_when_the_numbers_do_not_add_up() -> None:
    assert cost("gpt-realtime", {"input_tokens": 10, "output_tokens": 0}) is None
    assert cost("gpt-realtime", {**total(), "output_tokens": 1001}) is None
    assert cost("gpt-realtime", {"output_image": 5}) is None


def test_more_cached_than_read_is_no_gift() -> None:
    usage = {"input_tokens": 100, "input_text": 100, "cached_text": 900}
    assert cost("gpt-realtime", usage) == pytest.approx(100 * 0.40 / 1e6)


def test_nothing_costs_nothing() -> None:
    assert cost("gpt-realtime", UsageSum().total()) == 0.0


def test_cached_is_never_dearer() -> None:
    for model, prices in PRICES.items():
        assert all(rate.cached <= rate.into for rate in prices.values()), model
