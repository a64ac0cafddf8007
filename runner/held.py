"""The caller's audio that may not go out now: no line is there, or words sound that the caller
may not cut off. And the newest that did go out, to be sent again should the line break."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from runner.audio.formats import AudioFormat

#: What may wait; older audio is dropped, since late speech is noise.
HOLD_MS = 15_000.0
#: Kept of a turn that the server has not put into words.
TURN_MS = 15_000.0
#: Kept while nobody speaks: the beginning of a word that no event has told of yet.
PREROLL_MS = 300.0

Chunk = tuple[bytes, bool]


class Held:
    def __init__(self, audio: AudioFormat) -> None:
        self._format = audio
        self._waiting: deque[Chunk] = deque()
        self._waiting_ms = 0.0
        self._recent: deque[bytes] = deque()
        self._recent_ms = 0.0
        self.holding = False
        #: Milliseconds of the caller's audio dropped since they waited too long.
        self.dropped_ms = 0.0

    def hold(self, *, again: bool = False) -> None:
        """Keep what comes. ``again``: what went out last was lost with the line, and stands
        before it."""
        self.holding = True
        if again:
            for data in self._recent:
                self.keep(data, False)
            self._recent.clear()
            self._recent_ms = 0.0

    def keep(self, data: bytes, commit: bool) -> None:
        self._waiting.append((data, commit))
        self._waiting_ms += self._format.ms(len(data))
        while self._waiting_ms > HOLD_MS:
            old = self._format.ms(len(self._waiting.popleft()[0]))
            self._waiting_ms -= old
            self.dropped_ms += old

    def sent(self, data: bytes, listening: bool) -> None:
        """This went out. ``listening``: it belongs to a turn whose words are not known yet."""
        recent = self._recent
        recent.append(data)
        self._recent_ms += self._format.ms(len(data))
        limit = TURN_MS if listening else PREROLL_MS
        while self._recent_ms > limit and len(recent) > 1:
            self._recent_ms -= self._format.ms(len(recent.popleft()))

    def release(self) -> Iterator[Chunk]:
        """What waited, in order; from now on nothing does."""
        self.holding = False
        waiting, self._waiting = self._waiting, deque()
        self._waiting_ms = 0.0
        return iter(waiting)
