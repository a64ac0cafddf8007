"""Events on their way out, in order, bounded: a peer that does not read is let go."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runner import codec

# Pacing keeps answers a few seconds ahead (5 s of pcm 24 kHz is 320 kB of base64), so a queue of
# this size means that the peer stopped reading long ago. One retrieved item may be a few MB.
MAX_BYTES = 32 * 1024 * 1024


class DeadPeer(Exception):
    """The peer does not read what it is sent."""


class Outbox:
    """``put`` from anywhere in the loop, ``run`` in one task of its own."""

    def __init__(
        self,
        send: Callable[[str], Awaitable[None]],
        *,
        stall_seconds: float,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._send = send
        self._stall_seconds = stall_seconds
        self._max_bytes = max_bytes
        self._queue: deque[str] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._overflown = False

    def put(self, event: Mapping[str, Any]) -> None:
        """Queue one event; it is made text here, so later changes of its parts do no harm."""
        if not self._closed:
            self.put_text(codec.dumps(event))

    def put_text(self, text: str) -> None:
        """Queue an event that is text already."""
        if self._closed or self._overflown:
            return
        self._queue.append(text)
        self._bytes += len(text)
        if self._bytes > self._max_bytes:
            self._overflown = True
        self._wake.set()

    def close(self) -> None:
        """What is queued still goes out, then run() returns."""
        self._closed = True
        self._wake.set()

    async def run(self) -> None:
        """Send until closed. DeadPeer when the bound or the stall time is exceeded."""
        while True:
            while self._queue:
                if self._overflown:
                    raise DeadPeer(f"more than {self._max_bytes} bytes wait to be read")
                text = self._queue.popleft()
                try:
                    async with asyncio.timeout(self._stall_seconds):
                        await self._send(text)
                except TimeoutError:
                    raise DeadPeer(f"nothing was read for {self._stall_seconds:g} s") from None
                self._bytes -= len(text)
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()
