"""Where a speaker is in what it was given: arithmetic on sample counts and a given time.

Two uses: the virtual speaker of a run without a device, which plays at real time, and an estimate
for a far end that reports nothing. Nothing here reads a clock; ``now`` is any monotonic time in
seconds that never goes back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_REMEMBERED = 64  # finished parts whose length can still be asked for

Part = tuple[str, int]
"""One content part of one item: (item_id, content_index)."""


@dataclass(slots=True)
class _Run:
    """Sound of one part played without a gap. ``starts`` in seconds, ``samples`` long."""

    part: Part
    starts: float
    samples: int


class VirtualSpeaker:
    """Plays what it is given in order, at ``rate`` samples a second, from the moment it comes.

    When it runs dry, the gap is silence and is not counted as heard.
    """

    def __init__(self, rate: int = 24000) -> None:
        self.rate = rate
        self._runs: deque[_Run] = deque()
        self._played: dict[Part, int] = {}
        self._ends = float("-inf")

    def play(self, item_id: str, content_index: int, samples: int, now: float) -> float:
        """Queue ``samples``; returns the time at which the first of them sounds. O(1)."""
        starts = max(now, self._ends)
        if samples <= 0:
            return starts
        last = self._runs[-1] if now < self._ends else None
        if last is not None and last.part == (item_id, content_index):
            last.samples += samples  # still sounding, so there is no gap between the two
        else:
            self._settle(now)
            last = _Run((item_id, content_index), starts, samples)
            self._runs.append(last)
        # From the start of the run, so that chunks do not add up rounding errors.
        self._ends = last.starts + last.samples / self.rate
        return starts

    def heard(self, item_id: str, content_index: int, now: float) -> int:
        """Samples of this part that have sounded. 0 for a part never given."""
        self._settle(now)
        part = (item_id, content_index)
        return self._played.get(part, 0) + sum(
            self._sounded(run, now) for run in self._runs if run.part == part
        )

    def heard_ms(self, item_id: str, content_index: int, now: float) -> int:
        """The same in whole milliseconds, rounded down: a truncation never claims too much."""
        return self.heard(item_id, content_index, now) * 1000 // self.rate

    def playing(self, now: float) -> Part | None:
        """The part that sounds at ``now``, None in silence."""
        self._settle(now)
        return self._runs[0].part if self._runs and self._runs[0].starts <= now else None

    def drained_at(self, now: float) -> float:
        """When everything given will have sounded; ``now`` when that is so already."""
        return max(now, self._ends)

    def flush(self, now: float) -> int:
        """Stop and drop what has not sounded; returns how many samples that were. What was
        heard of each part can still be asked for."""
        self._settle(now)
        dropped = 0
        for run in self._runs:
            sounded = self._sounded(run, now)
            dropped += run.samples - sounded
            self._count(run.part, sounded)
        self._runs.clear()
        self._ends = now
        return dropped

    def _sounded(self, run: _Run, now: float) -> int:
        # The tiny push keeps a boundary such as 0.3 * 24000 from losing its last sample.
        return min(run.samples, max(0, int((now - run.starts) * self.rate + 1e-6)))

    def _settle(self, now: float) -> None:
        while self._runs and self._sounded(self._runs[0], now) >= self._runs[0].samples:
            run = self._runs.popleft()
            self._count(run.part, run.samples)

    def _count(self, part: Part, samples: int) -> None:
        # Taken out and put back, so that the oldest is always the first to be forgotten.
        self._played[part] = self._played.pop(part, 0) + samples
        if len(self._played) > _REMEMBERED:
            del self._played[next(iter(self._played))]


__all__ = ["Part", "VirtualSpeaker"]
