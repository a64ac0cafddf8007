"""From a session's rate to the 48 kHz of a device: exactly L samples out for each one in.

soxr would hold back 9 ms of an answer until the next one comes, and then count it there. A short
polyphase filter keeps what is played and what is counted the same to the sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_Ints = np.ndarray[Any, np.dtype[np.int16]]

#: Input samples that one output sample is made of; half of them are the delay (0.7 ms at 24 kHz).
_TAPS = 32


class Upsampler:
    """A stream of mono PCM16, ``factor`` times as many samples out as in."""

    def __init__(self, factor: int) -> None:
        self.factor = factor
        n = np.arange(_TAPS * factor) - (_TAPS * factor - factor) / 2
        # Windowed sinc a little under the old Nyquist frequency: images 70 dB down.
        taps = np.sinc(0.92 * n / factor) * np.kaiser(_TAPS * factor, 7.0)
        taps *= factor / taps.sum()
        # Column p makes output phase p; the newest input sample meets the first tap.
        self._phases = np.ascontiguousarray(taps.reshape(_TAPS, factor)[::-1]).astype(np.float32)
        self._past = np.zeros(_TAPS - 1, np.float32)

    def process(self, samples: _Ints) -> _Ints:
        """The next samples, of any number."""
        if self.factor == 1 or not len(samples):
            return samples
        stream = np.concatenate((self._past, samples.astype(np.float32)))
        self._past = stream[-(_TAPS - 1) :]
        out = sliding_window_view(stream, _TAPS) @ self._phases
        ints: _Ints = np.clip(np.rint(out), -32768, 32767).astype(np.int16).reshape(-1)
        return ints

    def reset(self) -> None:
        """Forget the past: what comes next does not follow on it."""
        self._past = np.zeros(_TAPS - 1, np.float32)
