"""What spares the voice activity model the line's quiet: most of a call is nobody speaking.

The model itself says what quiet is. A sound that it took for no voice for half a second closes the
gate; what is no louder than the quietest second of that is then not shown to it. The first louder
frame opens the gate, and the model sees the frames before it first, as if it had never been away.
Noise that goes up and down keeps the gate open: that costs time, never a word.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from runner.engine.ports import Vad

#: Frames without voice after which the gate closes.
QUIET_FRAMES = 16
#: Frames that the model is shown from before an opening: with half of them it noticed one soft
#: word in thirty 64 ms late.
PREROLL_FRAMES = 12
#: Frames whose quietest is the measure.
FLOOR_FRAMES = 32
#: How much more power than that opens the gate: 2 dB. White noise stays within it.
MARGIN = 1.6
#: Power under which nothing can be a word: -69 dB of full scale, the idle noise of G.711.
SILENCE = 12.0**2
#: A probability that is surely no voice, and at most half of what the caller's rules take for one.
NO_VOICE = 0.1


class Gate:
    """Stands before one caller's ``vad``."""

    def __init__(self, vad: Vad) -> None:
        self._vad = vad
        self._quiet: deque[float] = deque(maxlen=FLOOR_FRAMES)
        self._before: deque[bytes] = deque(maxlen=PREROLL_FRAMES)
        self.reset()

    def reset(self) -> None:
        """Another stream of sound begins."""
        self._vad.reset()
        self._quiet.clear()
        self._before.clear()
        # Open: a fresh model misses a first word unless it has heard some quiet before.
        self._no_voice = 0

    def __call__(self, frame: bytes, *, speaking: bool, threshold: float) -> float:
        """Probability of speech in a frame of 512 samples of pcm16k. ``speaking``: a turn is under
        way, and each frame counts. ``threshold``: from which probability on it is one."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        power = float(samples @ samples) / len(samples)
        if speaking:
            self._no_voice = 0
        elif self._no_voice >= QUIET_FRAMES:
            if power <= self._floor():
                self._quiet.append(power)
                self._before.append(frame)
                return 0.0
            self._no_voice = 0
        while self._before:
            self._vad(self._before.popleft())
        probability = self._vad(frame)
        if probability < min(NO_VOICE, threshold / 2):
            self._quiet.append(power)
            self._no_voice += 1
        else:
            self._no_voice = 0
        return probability

    def _floor(self) -> float:
        return max(SILENCE, MARGIN * min(self._quiet, default=0.0))
