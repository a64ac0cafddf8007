"""idle_timeout_ms: what happens when the caller says nothing after an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class IdleTimer:
    """Counts from the end of an answer's playback (OpenAI's reference, server_vad).

    ``seconds`` gives the timeout in force, None when it is off.
    """

    def __init__(self, seconds: Callable[[], float | None], fire: Callable[[], None]) -> None:
        self._seconds = seconds
        self._fire = fire
        self._timer: asyncio.TimerHandle | None = None

    def start(self, playback_seconds: float) -> None:
        """An answer is done; ``playback_seconds`` of it are still to be heard."""
        self.stop()
        seconds = self._seconds()
        if seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(playback_seconds + seconds, self._due)

    def stop(self) -> None:
        """The caller speaks, or another answer begins."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        # Read again: a session.update may have turned it off meanwhile.
        if self._seconds() is not None:
            self._fire()
