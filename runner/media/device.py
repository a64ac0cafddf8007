"""What a microphone and a speaker have in common: a stream, and the watch over it.

PortAudio calls back in a thread of its own. Sound crosses over in plain buffers under a lock,
bounded in milliseconds; everything else happens in the event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from runner.errors import DeviceError
from runner.media.portaudio import FIRST_SOUND, SILENT_FOR, Stream

OnFailure = Callable[[DeviceError], None]

_CHECK_SECONDS = 0.25


class Device:
    """A stream, and the watch over it: a device that no longer calls back is gone."""

    def __init__(self, on_failure: OnFailure | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure or (lambda error: None)
        self._lock = threading.Lock()
        self._failed = False
        self._closed = False
        self._last_call = time.monotonic()
        #: Not judged before: a device may take its first blocks at once, then pause to wake up.
        self._awake_at = self._last_call + FIRST_SOUND
        self._watch: asyncio.TimerHandle | None = None
        self._stream: Stream

    @property
    def name(self) -> str:
        """The device, as the system calls it."""
        return self._stream.name

    def _start(self, stream: Stream) -> None:
        self._stream = stream
        self._watch = self._loop.call_later(_CHECK_SECONDS, self._check)

    def _check(self) -> None:
        if time.monotonic() > max(self._awake_at, self._last_call + SILENT_FOR):
            self._fail()
        elif not self._closed:
            self._watch = self._loop.call_later(_CHECK_SECONDS, self._check)

    def _ended(self) -> None:
        """From PortAudio's thread: the stream stopped by itself."""
        self._in_loop(self._fail)

    def _in_loop(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            return  # the loop is closed: the process ends

    def _fail(self) -> None:
        if self._failed or self._closed:
            return
        self._failed = True
        if self._watch is not None:
            self._watch.cancel()
        self._stream.close(dead=True)
        self._gone()

    def _gone(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Give the device back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._stream.close(dead=self._failed)
