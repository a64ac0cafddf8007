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
from runner.media.portaudio import FIRST_SOUND, SILENT_FOR, Kind, Stream, another

OnFailure = Callable[[DeviceError], None]
#: ``(the name of the device that is gone, of the one that took its place)``.
OnMoved = Callable[[str, str], None]

_CHECK_SECONDS = 0.25


class Device:
    """A stream, and the watch over it: a device that no longer calls back is gone, and another
    takes its place when there is one."""

    kind: Kind

    def __init__(self, on_failure: OnFailure | None, on_moved: OnMoved | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure or (lambda error: None)
        self._on_moved = on_moved or (lambda old, new: None)
        #: The names of the devices that are gone: none is tried twice.
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._failed = False
        self._closed = False
        self._watch: asyncio.TimerHandle | None = None
        self._last_call = self._awake_at = 0.0
        self._stream: Stream

    @property
    def name(self) -> str:
        """The device, as the system calls it."""
        return self._stream.name

    def _open(self, device: str | int | None) -> None:
        """DeviceError when it cannot be opened."""
        self._begin()
        self._start(Stream(self.kind, device, self._call, self._ended))

    def _begin(self) -> None:
        self._last_call = time.monotonic()
        #: Not judged before: a device may take its first blocks at once, then pause to wake up.
        self._awake_at = self._last_call + FIRST_SOUND

    def _call(self, buffer: Any, frames: int, latency: float, slipped: bool) -> None:
        """From PortAudio's thread, see Stream."""
        raise NotImplementedError

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
        self._lost.add(self._stream.name)
        # Opening a device takes up to seconds, and a call must not stand still for it.
        threading.Thread(target=self._look, name="look for a device", daemon=True).start()

    def _look(self) -> None:
        self._begin()
        stream = another(self.kind, frozenset(self._lost), self._call, self._ended)
        try:
            self._loop.call_soon_threadsafe(self._found, stream)
        except RuntimeError:  # the loop is closed: the process ends
            if stream is not None:
                stream.close()

    def _found(self, stream: Stream | None) -> None:
        if self._closed:
            if stream is not None:
                stream.close()
        elif stream is None:
            self._gone()
        else:
            was = self._stream.name
            self._failed = False
            self._begin()
            self._start(stream)
            self._on_moved(was, stream.name)

    def _gone(self) -> None:
        """No device is left."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the device back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        self._stream.close(dead=self._failed)
