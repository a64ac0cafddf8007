"""A room between a loudspeaker and a microphone: delay, a tail that dies away, a soft clip."""

from __future__ import annotations

import numpy as np

RATE = 48_000
BLOCK = RATE // 100
#: The tail is 60 dB down after so long.
TAIL_SECONDS = 0.25
DELAY_SECONDS = 0.01


class Room:
    """``gain_db``: the echo's level against what is played, its tail counted in."""

    def __init__(self, gain_db: float, delay: float = DELAY_SECONDS, seed: int = 5) -> None:
        count = int(RATE * TAIL_SECONDS)
        dying = 10 ** (-3 * np.arange(count) / count)
        tail = np.random.default_rng(seed).standard_normal(count) * dying * 0.1
        tail[0] = 1.0  # the direct way
        tail *= 10 ** (gain_db / 20) / np.sqrt((tail**2).sum())
        self.response = np.concatenate((np.zeros(int(RATE * delay)), tail)).astype(np.float32)
        size = 1
        while size < len(self.response) + BLOCK:
            size *= 2
        self._size = size
        self._spectrum = np.fft.rfft(self.response, size)
        self._past = np.zeros(size - BLOCK, np.float32)

    def carry(self, played: np.ndarray) -> np.ndarray:
        """The echo of BLOCK samples (int16)."""
        # A small speaker at its limit is not linear, which no canceller can undo.
        pushed = 0.6 * np.tanh(played / 32768 / 0.6)
        whole = np.concatenate((self._past, pushed)).astype(np.float32)
        self._past = whole[BLOCK:]
        echo = np.fft.irfft(np.fft.rfft(whole, self._size) * self._spectrum, self._size)[-BLOCK:]
        out: np.ndarray = np.clip(np.rint(echo * 32768), -32768, 32767).astype("<i2")
        return out

    def whole(self, played: np.ndarray) -> np.ndarray:
        """The echo of a recording."""
        played = np.pad(played, (0, -len(played) % BLOCK))
        return np.concatenate([self.carry(block) for block in played.reshape(-1, BLOCK)])
