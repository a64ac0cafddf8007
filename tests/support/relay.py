"""A network between the two ends of one WebRTC call, which loses, delays and swallows packets."""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Any

Address = tuple[str, int]


class Relay:
    """``async with Relay() as relay``: :meth:`between` the offer and the answer, both ends talk to
    each other through it alone.

    ``lose`` is a share of the packets, ``late_ms`` the longest delay of one: each has its own, so
    they overtake each other. While ``dark`` nothing passes, and nobody is told.
    """

    def __init__(self, seed: int = 1) -> None:
        self.lose = self.late_ms = 0.0
        self.dark = False
        self.passed = self.lost = 0
        self._random = random.Random(seed)
        self._sides = (_Side(self), _Side(self))

    async def __aenter__(self) -> Relay:
        loop = asyncio.get_running_loop()
        for side, other in zip(self._sides, reversed(self._sides), strict=True):
            side.other = other
            await loop.create_datagram_endpoint(lambda side=side: side, ("127.0.0.1", 0))  # type: ignore[misc]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for side in self._sides:
            side.transport.close()
        await asyncio.sleep(0)

    def offered(self, sdp: str) -> str:
        """The caller's offer as the far end sees it."""
        return self._sides[0].behind(sdp)

    def answered(self, sdp: str) -> str:
        """The far end's answer as the caller sees it."""
        return self._sides[1].behind(sdp)

    def passes(self) -> bool:
        through = not self.dark and self._random.random() >= self.lose
        self.passed += through
        self.lost += not through
        return through

    def delay(self) -> float:
        return self._random.random() * self.late_ms / 1000


class _Side(asyncio.DatagramProtocol):
    """Stands for one end: what arrives here from the other end goes to it."""

    transport: asyncio.DatagramTransport
    other: _Side

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._end: Address | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def behind(self, sdp: str) -> str:
        """``sdp`` with us for its only candidate."""
        lines, port = [], self.transport.get_extra_info("sockname")[1]
        for line in sdp.splitlines():
            if line.startswith("a=candidate:"):
                words = line.split()
                end = (words[4], int(words[5]))
                self._end = self._end or end
                if end != self._end:
                    continue
                words[4], words[5] = "127.0.0.1", str(port)
                line = " ".join(words)
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self._end is None or not self._relay.passes():
            return
        if (delay := self._relay.delay()) > 0:
            asyncio.get_running_loop().call_later(delay, self._send, data)
        else:
            self._send(data)

    def _send(self, data: bytes) -> None:
        if not self.other.transport.is_closing() and self._end is not None:
            self.other.transport.sendto(data, self._end)
