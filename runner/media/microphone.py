"""The microphone: 20 ms blocks at the session's rate, handed over in the event loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from runner.errors import DeviceError
from runner.media.device import Device, OnFailure
from runner.media.portaudio import RATE, Stream
from runner.media.resample import Resampler

#: So much waits for a busy loop; then the oldest is dropped.
WAITING_MS = 400
_BLOCK_MS = 20


class Microphone(Device):
    """Calls ``on_audio(pcm16)`` in the loop with 20 ms of mono PCM16 at ``rate`` Hz each time.

    ``device`` is part of a name, a number, or None for the system's choice. DeviceError when it
    cannot be opened. When it disappears later, ``on_failure`` is told, a second of silence lets
    a sentence that was begun come to its end, and nothing follows.
    """

    def __init__(
        self,
        on_audio: Callable[[bytes], None],
        rate: int = 24_000,
        *,
        device: str | int | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        super().__init__(on_failure)
        self._on_audio = on_audio
        self._resampler = Resampler(RATE, rate)
        self._block_bytes = rate * _BLOCK_MS // 1000 * 2
        self._rest = bytearray()
        self._waiting: deque[bytes] = deque()
        self._scheduled = False
        #: Milliseconds that were lost because the loop was too busy to take them.
        self.dropped_ms = 0
        self._start(Stream("input", device, self._take, self._ended))

    def _take(self, buffer: Any, frames: int, latency: float) -> None:
        data = bytes(buffer)
        with self._lock:
            self._last_call = time.monotonic()
            self._waiting.append(data)
            if len(self._waiting) > WAITING_MS // _BLOCK_MS:
                self._waiting.popleft()
                self.dropped_ms += _BLOCK_MS
            if self._scheduled:
                return
            self._scheduled = True
        self._in_loop(self._drain)

    def _drain(self) -> None:
        with self._lock:
            blocks, self._waiting = self._waiting, deque()
            self._scheduled = False
        if self._closed or self._failed:
            return
        data = b"".join(blocks)
        if self._stream.channels == 2:
            data = np.frombuffer(data, "<i2").reshape(-1, 2).mean(axis=1).astype("<i2").tobytes()
        self._rest += self._resampler.process(data)
        size = self._block_bytes
        while len(self._rest) >= size and not self._closed:
            block = bytes(self._rest[:size])
            del self._rest[:size]
            self._on_audio(block)

    def _gone(self) -> None:
        for _ in range(1000 // _BLOCK_MS):
            self._on_audio(bytes(self._block_bytes))
        self._on_failure(DeviceError(f"the microphone {self.name} is gone", "the call goes on"))
