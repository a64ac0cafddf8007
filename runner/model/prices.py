"""What a call costs: the server's own token numbers times the list prices.

Source: OpenAI's model pages, as of 2026-11, in US dollars per million tokens. What is billed by
another count (the transcription of the caller's audio, a telephone line) is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000
#: A snapshot costs what its model costs: gpt-realtime-2025-08-28.
_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Rate:
    """Dollars per million tokens of one modality; ``out`` None: the model makes none."""

    into: float
    cached: float
    out: float | None = None


#: Modality -> rate.
Prices = Mapping[str, Rate]

_AUDIO = Rate(32.0, 0.40, 64.0)
_IMAGE = Rate(5.0, 0.50)
_WITH_THOUGHT: Prices = {"text": Rate(4.0, 0.40, 24.0), "audio": _AUDIO, "image": _IMAGE}
_PLAIN: Prices = {"text": Rate(4.0, 0.40, 16.0), "audio": _AUDIO, "image": _IMAGE}
_MINI: Prices = {
    "text": Rate(0.60, 0.06, 2.40),
    "audio": Rate(10.0, 0.30, 20.0),
    "image": Rate(0.80, 0.08),
}
_FIRST_MINI: Prices = {"text": Rate(0.60, 0.30, 2.40), "audio": Rate(10.0, 0.30, 20.0)}

PRICES: Mapping[str, Prices] = {
    "gpt-realtime-2.1": _WITH_THOUGHT,
    "gpt-realtime-2": _WITH_THOUGHT,
    "gpt-realtime-1.5": _PLAIN,
    "gpt-realtime": _PLAIN,
    "gpt-realtime-2.1-mini": _MINI,
    "gpt-realtime-mini": _MINI,
    "gpt-4o-mini-realtime-preview": _FIRST_MINI,
}


def rates(model: str) -> Prices | None:
    """The list prices of a model or of a snapshot of it, None when there are none here."""
    return PRICES.get(_DATED.sub("", model))


def cost(model: str, usage: Mapping[str, int]) -> float | None:
    """US dollars for ``usage``, the sum of events.Usage, on OpenAI's service.

    None for a model without a price here, and when the numbers leave something open: tokens of a
    modality that has no price, or more tokens than the modalities add up to. No guess is better
    than a wrong sum. Whoever calls an engine of another kind does not ask."""
    prices = rates(model)
    if prices is None:
        return None
    dollars, read, made = 0.0, 0, 0
    for modality in ("text", "audio", "image"):
        into, out = usage.get(f"input_{modality}", 0), usage.get(f"output_{modality}", 0)
        if not into and not out:
            continue
        rate = prices.get(modality)
        if rate is None or (out and rate.out is None):
            return None
        # The wire counts what came from the cache among what was read.
        cached = min(into, usage.get(f"cached_{modality}", 0))
        dollars += (into - cached) * rate.into + cached * rate.cached + out * (rate.out or 0.0)
        read, made = read + into, made + out
    if usage.get("input_tokens", read) > read or usage.get("output_tokens", made) > made:
        return None
    return dollars / MILLION
