"""What the speaker plays, on the clock of the machine: what an echo is looked for by.

The two devices run on clocks of their own, which drift apart, and either may stall. So neither
side counts alone: every block comes with the time at which it sounds (or sounded), and what is
asked for is what sounded then.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from runner.media.level import loudness
from runner.media.portaudio import RATE

_Ints = np.ndarray[Any, np.dtype[np.int16]]

#: So much is kept. A null sink of PulseAudio begins 2 s ahead of what sounds.
_KEPT = 4 * RATE
#: A block that is this far (seconds) from where it should stand follows on a gap.
_GAP = 0.04
#: "Now" is as long as this, for the ear and the eye.
_NOW = RATE // 20
#: How much of a block's own time goes into the mean: 2 s of blocks, since single times jitter.
_SMOOTH = 0.01
#: Samples that the reader may be off before it is moved, one for each frame.
_SLACK = 24
#: Samples that a reader who came too early stays behind what is written, and at the most.
_ROOM, _PATIENCE = RATE // 50, RATE // 2
#: Beyond it (samples) it is no drift, and the reader jumps.
_LOST = RATE // 50


class Timeline:
    """Where the samples of one stream stand in time: counted, and held to the blocks' own times
    (time.monotonic()) by their mean, so that neither jitter nor drift shows."""

    def __init__(self) -> None:
        self.count = 0
        self._zero: float | None = None

    def add(self, samples: int, at: float) -> float:
        """The next block begins ``at``; gives the seconds of a gap before it (negative: it comes
        sooner than it could), 0.0 when it follows on."""
        found = at - self.count / RATE
        gap = 0.0
        if self._zero is None:
            self._zero = found
        elif abs(found - self._zero) > _GAP:
            gap, self._zero = found - self._zero, found
        else:
            self._zero += (found - self._zero) * _SMOOTH
        self.count += samples
        return gap

    def time(self, sample: int) -> float:
        """When this sample sounds."""
        return (self._zero or 0.0) + sample / RATE

    def sample(self, time: float) -> int:
        """Which sample sounds then."""
        return round((time - (self._zero or 0.0)) * RATE)

    def stretch(self, samples: int) -> None:
        """So many samples more lie before what comes next, at the time it has."""
        self.count += samples
        if self._zero is not None:
            self._zero -= samples / RATE


class Reference:
    """Written by the speaker's thread, read by the microphone's side: mono at 48 kHz."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring: _Ints = np.zeros(_KEPT, np.int16)
        self._line = Timeline()
        self._at: int | None = None
        self._behind = 0
        #: How often the reader lost its place, for whoever measures.
        self.jumps = 0

    def write(self, samples: _Ints, at: float) -> None:
        """The next block of the speaker, which sounds from ``at`` (time.monotonic()) on."""
        with self._lock:
            line = self._line
            gap = line.add(len(samples), at)
            if gap > 0:
                # Nothing sounded meanwhile: what was before keeps its place.
                silent = min(round(gap * RATE), _KEPT)
                self._put(line.count - len(samples), np.zeros(silent, np.int16))
                line.stretch(silent)
            self._put(line.count - len(samples), samples)

    def read(self, samples: int, at: float) -> _Ints:
        """What sounds from ``at`` on. Read in order: drift between the two clocks is taken out
        sample by sample."""
        with self._lock:
            wanted = self._line.sample(at) - self._behind
            missing = wanted + samples - self._line.count
            if missing > 0:
                # The devices say their latency too short: what sounds now was written, so the
                # newest that is there is the nearest. Unless the speaker stands still.
                self._behind += missing + _ROOM
                if self._behind > _PATIENCE:
                    self._behind = 0
                    return np.zeros(samples, np.int16)
                wanted -= missing + _ROOM
            if self._at is None or abs(wanted - self._at) > _LOST:
                self.jumps += self._at is not None
                self._at = wanted
            off = wanted - self._at
            step = samples + (off > _SLACK) - (off < -_SLACK)
            taken = self._get(self._at, step)
            self._at += step
        if step == samples:
            return taken
        places = np.linspace(0, step - 1, samples)
        moved: _Ints = np.rint(np.interp(places, np.arange(step), taken)).astype(np.int16)
        return moved

    def loudness(self) -> float:
        """Of what sounds now, see ``level.loudness``."""
        with self._lock:
            now = self._get(self._line.sample(time.monotonic()) - _NOW, _NOW)
        return loudness(now)

    def _put(self, at: int, samples: _Ints) -> None:
        samples = samples[-_KEPT:]
        start = at % _KEPT
        first = min(len(samples), _KEPT - start)
        self._ring[start : start + first] = samples[:first]
        self._ring[: len(samples) - first] = samples[first:]

    def _get(self, at: int, count: int) -> _Ints:
        """Silence where nothing was written, or where it is forgotten."""
        out = np.zeros(count, np.int16)
        first = max(at, self._line.count - _KEPT, 0)
        last = min(at + count, self._line.count)
        if first < last:
            out[first - at : last - at] = np.take(self._ring, np.arange(first, last), mode="wrap")
        return out
