"""How loud both sides of a call are, in decibels below full scale, as they are heard."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from runner.audio.formats import AudioFormat
from runner.media.tape import to_pcm16

#: Nothing is quieter.
SILENCE = -60.0
#: The pieces in which an answer is measured: it comes faster than it is heard.
PIECE_MS = 50
#: A caller from whom nothing came for so long is silent.
_STALE = 0.3


class Meter:
    """Of one call whose sound passes through here."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in = (SILENCE, 0.0)
        self._out: deque[tuple[float, float]] = deque()
        self._ends = 0.0

    def caller(self, data: bytes, fmt: AudioFormat) -> None:
        self._in = (level(to_pcm16(fmt)(data)), self._clock())

    def agent(self, data: bytes, fmt: AudioFormat) -> None:
        """A piece of an answer: heard behind what was given before."""
        pcm = to_pcm16(fmt)(data)
        size = fmt.rate * PIECE_MS // 1000 * 2
        at = max(self._ends, self._clock())
        for start in range(0, len(pcm), size):
            piece = pcm[start : start + size]
            self._out.append((at, level(piece)))
            at += len(piece) / 2 / fmt.rate
        self._ends = at

    def flush(self) -> None:
        """The answer was cut."""
        self._out.clear()
        self._ends = 0.0

    def levels(self) -> tuple[float, float]:
        """Caller and agent, now."""
        now, out = self._clock(), SILENCE
        while self._out and self._out[0][0] <= now + 0.001:  # sums of floats
            at, out = self._out.popleft()
            if now - at > _STALE:
                out = SILENCE
        quiet = now - self._in[1] > _STALE
        return SILENCE if quiet else self._in[0], out


def level(pcm16: bytes) -> float:
    """Of PCM16 little-endian, to a whole decibel."""
    samples = np.frombuffer(pcm16[: len(pcm16) // 2 * 2], "<i2").astype(np.float32)
    if not len(samples):
        return SILENCE
    rms = float(np.sqrt(np.mean(samples * samples))) / 32768
    return float(max(SILENCE, round(20 * np.log10(rms)))) if rms > 0 else SILENCE
