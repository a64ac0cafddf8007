"""How loud something is, as a needle shows it."""

from __future__ import annotations

from typing import Any

import numpy as np

#: What counts as nothing and as full, in dB below full scale.
FLOOR_DB, TOP_DB = -60.0, -6.0
#: The needle falls by so much of the scale a second, and rises at once.
FALL = 1.2


def loudness(samples: np.ndarray[Any, np.dtype[np.int16]]) -> float:
    """Of PCM16, 0.0 (silence) to 1.0 (as loud as speech gets), linear in dB."""
    if not len(samples):
        return 0.0
    mean = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    if mean < 1.0:
        return 0.0
    level = 20 * np.log10(mean / 32768)
    return float(np.clip((level - FLOOR_DB) / (TOP_DB - FLOOR_DB), 0.0, 1.0))


class Needle:
    """Rises at once, falls slowly. ``now`` is any clock in seconds."""

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def show(self, level: float, now: float) -> float:
        """Take the newest loudness; gives where the needle stands."""
        fallen = self._level - FALL * max(0.0, now - self._at)
        self._level, self._at = max(level, fallen, 0.0), now
        return self._level
