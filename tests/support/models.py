"""One copy of the real speech models for a whole test run: loading takes a second."""

from __future__ import annotations

import re

from runner.engine.speaking.models import LocalModels


def local_models() -> LocalModels:
    """Loaded, and the same copy that the tests' engines use."""
    from support.engine import speech_models

    return speech_models()


_DIGITS = "zero one two three four five six seven eight nine ten".split()  # noqa: SIM905


def words(text: str) -> list[str]:
    """Lower-case words without punctuation, small numbers as digits."""
    text = re.sub(r"[^\w\s]", " ", text.lower().replace("'", "").replace("-", " "))
    return [str(_DIGITS.index(w)) if w in _DIGITS else w for w in text.split()]


def word_errors(said: str, heard: str) -> int:
    """Words to change, insert or drop to come from one text to the other."""
    want, got = words(said), words(heard)
    row = list(range(len(got) + 1))
    for i, w in enumerate(want, 1):
        last, row[0] = row[0], i
        for j, g in enumerate(got, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (w != g))
    return row[-1]
