"""The microphone: 20 ms blocks at the session's rate, handed over in the event loop."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from runner.errors import DeviceError
from runner.media.device import Device, OnBack, OnFailure, OnMoved
from runner.media.portaudio import RATE, Kind
from runner.media.resample import Resampler

#: So much waits for a busy loop; then the oldest is dropped.
WAITING_MS = 400
_BLOCK_MS = 20


class Microphone(Device):
    """Calls ``on_audio(pcm16)`` in the loop with 20 ms of mono PCM16 at ``rate`` Hz each time.

    ``device`` is part of a name, a number, or None for the system's choice. DeviceError when it
    cannot be opened. ``clean(pcm16, at)`` may take something out of each block first (an echo):
    mono at 48 kHz, captured from ``at`` (time.monotonic()) on. When it disappears later,
    another device takes its place and ``on_moved`` is told; when there is none, ``on_failure``
    is, a second of silence lets a sentence that was begun come to its end, and nothing follows
    until ``on_back`` is told of one that is there again.
    """

    kind: Kind = "input"

    def __init__(
        self,
        on_audio: Callable[[bytes], None],
        rate: int = 24_000,
        *,
        device: str | int | None = None,
        clean: Callable[[bytes, float], bytes] | None = None,
        on_failure: OnFailure | None = None,
        on_moved: OnMoved | None = None,
        on_back: OnBack | None = None,
    ) -> None:
        super().__init__(on_failure, on_moved, on_back)
        self._on_audio = on_audio
        self._clean = clean
        self._resampler = Resampler(RATE, rate)
        self._block_bytes = rate * _BLOCK_MS // 1000 * 2
        self._rest = bytearray()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._scheduled = False
        #: Milliseconds that were lost because the loop was too busy to take them.
        self.dropped_ms = 0
        #: How often the device lost sound because it was not taken in time.
        self.overruns = 0
        self._open(device)

    def _call(self, buffer: Any, frames: int, latency: float, slipped: bool) -> None:
        data = bytes(buffer)
        with self._lock:
            self._last_call = now = time.monotonic()
            self.overruns += slipped
            self._waiting.append((data, now - latency))
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
        for data, at in blocks:
            if self._stream.channels == 2:
                both = np.frombuffer(data, "<i2").reshape(-1, 2)
                data = both.mean(axis=1).astype("<i2").tobytes()
            if self._clean is not None:
                data = self._clean(data, at)
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
