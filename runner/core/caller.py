"""The caller's side of the clock: when did the words end that an answer answers?

The server speaks of positions in the audio it was sent (``audio_end_ms``); we know when each
position left us. So the end of speech is told in our own time, and the network is part of the
delay that a caller waits, as it is for the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

#: The effective silence of server_vad when the server does not say (every example of OpenAI).
SILENCE_MS = 200
_REMEMBERED = 16


class Caller:
    """Positions of the audio handed to the transport, and whether the caller is speaking."""

    def __init__(self) -> None:
        self.speaking = False
        self._stopped: dict[str, None] = {}
        #: Milliseconds of audio handed over.
        self.total_ms = 0.0
        #: Where the turn began that push to talk has not ended yet, and where others ended.
        self.turn_ms = 0.0
        self._commits: deque[float] = deque(maxlen=_REMEMBERED)
        self._last: float | None = None

    def started(self, item_id: str) -> None:
        """Speech began, unless its end came first."""
        self.speaking = item_id not in self._stopped

    def stopped(self, item_id: str) -> None:
        self.speaking = False
        self._stopped[item_id] = None
        if len(self._stopped) > _REMEMBERED:
            del self._stopped[next(iter(self._stopped))]

    def audio(self, ms: float, now: float) -> None:
        self.total_ms += ms
        self._last = now

    def commit(self) -> None:
        """The turn ends here (push to talk)."""
        self._commits.append(self.total_ms)

    def committed(self) -> float:
        """The server has taken a turn that was ended so: where it began."""
        began = self.turn_ms
        self.turn_ms = self._commits.popleft() if self._commits else self.total_ms
        return began

    def time_of(self, ms: float, now: float) -> float:
        """The time at which position ``ms`` was spoken, at the latest ``now``. Without audio
        of our own (the transport carries the media) there is no position to go by: ``now``."""
        if self._last is None:
            return now
        return min(now, self._last - (self.total_ms - ms) / 1000)

    def end_of_speech(self, audio_end_ms: float, turn_detection: object, now: float) -> float:
        """server_vad counts the silence it waited for into ``audio_end_ms``; semantic_vad
        names the end itself."""
        silence = 0.0
        if isinstance(turn_detection, Mapping) and turn_detection.get("type") == "server_vad":
            silence = _number(turn_detection.get("silence_duration_ms"), SILENCE_MS)
        if self._last is None:
            return now - silence / 1000
        return self.time_of(audio_end_ms - silence, now)

    def last_audio(self, now: float) -> float:
        """When the newest audio was handed over: the end of speech in push to talk."""
        return now if self._last is None else self._last


def _number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) else default
