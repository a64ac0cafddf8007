"""Realtime models that OpenAI has announced to shut down.

Source: OpenAI's list of deprecations (developers.openai.com/api/docs/deprecations) as quoted by
others until 2026-11; ``GET /v1/models`` tells the date of each model to whoever has a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")


@dataclass(frozen=True, slots=True)
class Shutdown:
    """``day``: from then on no session begins. ``successor`` is the model that OpenAI names."""

    day: date
    successor: str


_MAY_2026 = date(2026, 5, 7)
_JULY_2026 = date(2026, 7, 23)
_JANUARY_2027 = date(2027, 1, 20)

SHUTDOWNS: Mapping[str, Shutdown] = {
    "gpt-4o-realtime-preview": Shutdown(_MAY_2026, "gpt-realtime-1.5"),
    "gpt-4o-mini-realtime-preview": Shutdown(_MAY_2026, "gpt-realtime-mini"),
    "gpt-4o-mini-realtime-preview-2024-12-17": Shutdown(_JULY_2026, "gpt-realtime-mini"),
    "gpt-realtime-mini-2025-10-06": Shutdown(_JULY_2026, "gpt-realtime-mini"),
    "gpt-realtime": Shutdown(_JANUARY_2027, "gpt-realtime-2.1"),
    "gpt-realtime-mini": Shutdown(_JANUARY_2027, "gpt-realtime-2.1-mini"),
}


def shutdown(model: str) -> Shutdown | None:
    """When a model, or the model of a snapshot, ends; None when nothing is announced. The model
    that follows is one that has no such day itself."""
    found = SHUTDOWNS.get(model) or SHUTDOWNS.get(_DATED.sub("", model))
    if found is None:
        return None
    after = shutdown(found.successor)
    return found if after is None else Shutdown(found.day, after.successor)
