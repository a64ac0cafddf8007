"""A streaming resampler that holds back one millisecond, for rates in a small whole ratio.

soxr works in blocks: from 8 to 16 kHz it gives nothing for 60 ms and then all at once (measured,
LQ), which is a delay of every turn and every interruption on the telephone. A short linear-phase
filter evaluated at the output's instants gives each sample as soon as the filter has seen it.
"""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np

_HALF = 24  # taps on each side, in periods of the lower rate's Nyquist: 60 dB from 10 % beyond it
_BETA = 6.0
_LARGEST_RATIO = 8

_Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def fits(rate_in: int, rate_out: int) -> bool:
    """Whether the ratio is small enough: 24 to 16 and 8 to 16 kHz are, 44.1 to 24 is not."""
    common = gcd(rate_in, rate_out)
    return max(rate_in, rate_out) // common <= _LARGEST_RATIO


class Polyphase:
    """Output sample n stands at input time n * rate_in / rate_out: no shift, no drift."""

    def __init__(self, rate_in: int, rate_out: int) -> None:
        common = gcd(rate_in, rate_out)
        self._step, self._phases = rate_in // common, rate_out // common
        # Input samples on each side that an output sample depends on.
        self._reach = -(-_HALF * max(self._step, self._phases) // self._phases)
        self._filters = self._design()
        self.restart()

    def restart(self) -> None:
        """Silence before the first sample."""
        self._held: _Samples = np.zeros(self._reach, np.float32)

    def _design(self) -> _Samples:
        """One column of taps for each place that an output sample can have between inputs."""
        cutoff = 0.94 * min(1.0, self._phases / self._step)
        width = 2 * self._reach + self._step
        taps = np.arange(width)[:, None] - self._reach
        places = np.arange(self._phases)[None, :] * self._step / self._phases
        x = taps - places
        window = np.i0(_BETA * np.sqrt(np.clip(1 - (x / self._reach) ** 2, 0, 1))) / np.i0(_BETA)
        kernel = cutoff * np.sinc(cutoff * x) * np.where(np.abs(x) <= self._reach, window, 0)
        kernel /= kernel.sum(axis=0)  # a constant stays what it is, at every place
        return kernel.astype(np.float32)

    def process(self, samples: np.ndarray[tuple[int, ...], np.dtype[Any]]) -> _Samples:
        """int16 or float in, float out at the new rate."""
        held = np.concatenate([self._held, samples], dtype=np.float32)
        width = len(self._filters)
        if len(held) < width:
            self._held = held
            return held[:0]
        # Each window begins a step behind the last one, in the same samples. (The view that numpy
        # has a function for takes longer to make than the product.)
        count = (len(held) - width) // self._step + 1
        windows: _Samples = np.ndarray(
            (count, width), np.float32, held, 0, (self._step * held.itemsize, held.itemsize)
        )
        self._held = held[count * self._step :].copy()
        out: _Samples = (np.ascontiguousarray(windows) @ self._filters).ravel()
        return out

    def flush(self) -> _Samples:
        """The rest, as if silence followed; begins anew."""
        rest = len(self._held) - self._reach
        wanted = -(-rest * self._phases // self._step)
        out = self.process(np.zeros(len(self._filters) + self._step, np.float32))
        self.restart()
        return out[:wanted]


__all__ = ["Polyphase", "fits"]
