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
from weakref import WeakSet

from runner.errors import DeviceError
from runner.media.portaudio import (
    FIRST_SOUND,
    SILENT_FOR,
    Kind,
    Latency,
    Stream,
    another,
    present,
)

OnFailure = Callable[[DeviceError], None]
#: ``(the name of the device that is gone, of the one that took its place)``.
OnMoved = Callable[[str, str], None]
#: The name of the device that is in use again.
OnBack = Callable[[str], None]

_CHECK_SECONDS = 0.25
#: How often it is looked whether a device that is gone is back.
RETURN_SECONDS = 5.0

#: All that are open: the list of devices can only be read anew when none has a stream.
_devices: WeakSet[Device] = WeakSet()


class Device:
    """A stream, and the watch over it: a device that no longer calls back is gone, and another
    takes its place when there is one. What comes back is taken up again: the device that was meant
    at first, or any when none was left."""

    kind: Kind

    def __init__(
        self, on_failure: OnFailure | None, on_moved: OnMoved | None, on_back: OnBack | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_failure = on_failure or (lambda error: None)
        self._on_moved = on_moved or (lambda old, new: None)
        self._on_back = on_back or (lambda name: None)
        #: The names of the devices that are gone: none is tried twice.
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        #: No stream: it failed, or is being opened anew.
        self._failed = False
        self._closed = False
        #: No device was left.
        self._silent = False
        #: A device was taken up again, and has not called yet.
        self._returning = False
        self._latency: Latency = "low"
        #: What is meant to be used, and what was there at the last look.
        self._meant = ""
        self._there: frozenset[str] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._return: asyncio.TimerHandle | None = None
        self._last_call = self._awake_at = self._opened = 0.0
        self._stream: Stream

    @property
    def name(self) -> str:
        """The device, as the system calls it."""
        return self._stream.name

    def _open(self, device: str | int | None) -> None:
        """DeviceError when it cannot be opened."""
        self._begin()
        self._start(Stream(self.kind, device, self._call, self._ended, self._latency))
        self._meant = self._stream.name
        _devices.add(self)

    def _begin(self) -> None:
        self._last_call = self._opened = time.monotonic()
        #: Not judged before: a device may take its first blocks at once, then pause to wake up.
        self._awake_at = self._last_call + FIRST_SOUND

    def _call(self, buffer: Any, frames: int, latency: float, slipped: bool) -> None:
        """From PortAudio's thread, see Stream."""
        raise NotImplementedError

    def _start(self, stream: Stream) -> None:
        self._stream = stream
        self._watch = self._loop.call_later(_CHECK_SECONDS, self._check)

    def _check(self) -> None:
        if self._returning and self._last_call > self._opened:
            self._returning = self._silent = False
            self._back()
            self._on_back(self._stream.name)
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
        self._pause()
        self._stream.close(dead=True)
        self._lost.add(self._stream.name)
        self._off_the_loop(self._look)

    def _pause(self) -> None:
        """The stream is not used from now on."""
        self._failed = True
        if self._watch is not None:
            self._watch.cancel()

    def _off_the_loop(self, work: Callable[[], None]) -> None:
        # Opening a device takes up to seconds, and a call must not stand still for it.
        threading.Thread(target=work, name="look for a device", daemon=True).start()

    def _look(self) -> None:
        self._begin()
        self._hand_over(
            another(self.kind, self._lost, self._call, self._ended, self._latency, self._meant)
        )

    def _hand_over(self, stream: Stream | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._found, stream)
        except RuntimeError:  # the loop is closed: the process ends
            if stream is not None:
                stream.close()

    def _found(self, stream: Stream | None) -> None:
        if self._closed or not self._failed:  # there is another already
            if stream is not None:
                stream.close()
            return
        self._returning = False
        if stream is None:
            self._lost.clear()
            if not self._silent:
                self._silent = True
                self._gone()
        else:
            was, self._failed = self._stream.name, False
            self._begin()
            self._start(stream)
            self._returning = self._silent or was != stream.name == self._meant
            if not self._returning and was != stream.name:
                self._on_moved(was, stream.name)
        if self._silent or self._stream.name != self._meant:
            self._look_later()
        else:
            self._lost.clear()
            self._there = None

    def _gone(self) -> None:
        """No device is left."""
        raise NotImplementedError

    # -- what comes back -----------------------------------------------------------------------
    def _back(self) -> None:
        """A device is in use again after a time without, or the one that was meant."""

    def _look_later(self) -> None:
        if self._return is not None:
            self._return.cancel()
        self._return = self._loop.call_later(
            RETURN_SECONDS, self._off_the_loop, self._look_whether_it_is_back
        )

    def _look_whether_it_is_back(self) -> None:
        there = present(self.kind)
        before, self._there = self._there, there
        appeared = there - before if before is not None else frozenset[str]()
        if self._silent and there and (stream := self._opened_again()) is not None:
            self._hand_over(stream)  # nobody was disturbed by the try
        elif appeared and (self._silent or self._meant in appeared):
            self._in_loop(_begin_anew)
        else:
            self._in_loop(self._look_later)

    def _opened_again(self) -> Stream | None:
        self._begin()
        return another(self.kind, (), self._call, self._ended, self._latency, self._meant)

    def reopen(self) -> None:
        """Give the device back and take it again, off the loop."""
        if self._failed or self._closed:
            return
        self._pause()

        def again() -> None:
            self._stream.close()
            self._look()

        self._off_the_loop(again)

    def close(self) -> None:
        """Give the device back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        _devices.discard(self)
        for timer in (self._watch, self._return):
            if timer is not None:
                timer.cancel()
        self._stream.close(dead=self._failed)


def _begin_anew() -> None:
    """Close what is open, read the list of devices, open what is meant. A device that appears is
    seen by nobody before that."""
    devices = [d for d in _devices if not d._closed and (d._silent or not d._failed)]
    for device in devices:
        device._pause()

    def again() -> None:
        for device in devices:
            device._stream.close()
        for device in devices:
            device._hand_over(device._opened_again())

    if devices:
        devices[0]._off_the_loop(again)
