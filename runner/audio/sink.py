"""A speaker without a device: plays at real time on the event loop's clock.

No task and no timer per chunk: positions are arithmetic, and one timer waits for the moment at
which everything given has sounded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.audio.formats import PCM16, AudioFormat
from runner.audio.playback import VirtualSpeaker
from runner.tasks import call_at


class RealTimeSink:
    """An AudioSink in the shape of ``transports.base``; audio in ``fmt``."""

    def __init__(self, fmt: AudioFormat = PCM16) -> None:
        self.on_drained: Callable[[], None] | None = None
        self._bytes = fmt.bytes_per_sample
        self._speaker = VirtualSpeaker(fmt.rate)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        now = self._loop.time()
        self._speaker.play(item_id, content_index, len(data) // self._bytes, now)
        if self._timer is None:
            self._timer = call_at(self._loop, self._speaker.drained_at(now), self._check)

    def flush(self) -> None:
        self._speaker.flush(self._loop.time())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def heard(self, item_id: str, content_index: int) -> int:
        return self._speaker.heard(item_id, content_index, self._loop.time())

    @property
    def idle(self) -> bool:
        return self._timer is None

    def close(self) -> None:
        self.flush()

    def _check(self) -> None:
        now = self._loop.time()
        end = self._speaker.drained_at(now)
        if end > now:  # more came while we waited
            self._timer = call_at(self._loop, end, self._check)
            return
        self._timer = None
        if self.on_drained is not None:
            self.on_drained()
