"""The order of what comes by RTP: packets that overtook each other, came twice or were lost.

aiortc holds four frames of audio back on every path, and behind a lost packet sixteen. Nobody who
hears a track here plays it by packets (a speaker, a turn detector and a file have buffers of their
own), so it is for order alone that anything need wait: a packet in its order goes on at once, and
a gap is waited for as long as packets have lately been late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterFrame

#: Packets that may be seen behind a gap before it counts as lost: at the least, and at the most.
FEWEST, MOST = 2, 12
#: So many packets in their order (10 s of 20 ms), and a gap is waited for one packet less.
CALM = 500
#: Farther than this from what is expected, and the stream began anew.
ANEW = 100

_TURN = 1 << 16


class JitterBuffer:
    """In the place of aiortc's, for audio, where each packet is a frame. ``onwards(packet)`` is
    given those that are ready beside the one that :meth:`add` returns, which comes after them."""

    capacity = MOST

    def __init__(self, onwards: Callable[[Any], None]) -> None:
        self._onwards = onwards
        self._next: int | None = None
        self._held: dict[int, Any] = {}
        self._calm = 0
        #: How many packets may be held behind a gap now.
        self.patience = FEWEST
        self._given_up: deque[int] = deque(maxlen=ANEW)

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        """A packet as it came. The first of the two is for video."""
        ready = self._sorted(packet)
        for each in ready[:-1]:
            self._onwards(each)
        return False, _frame(ready[-1]) if ready else None

    def _sorted(self, packet: Any) -> list[Any]:
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        ahead = (number - self._next + _TURN // 2) % _TURN - _TURN // 2
        if abs(ahead) > ANEW:
            ready = self._all()
            self._next = (number + 1) % _TURN
            return [*ready, packet]
        if ahead < 0:
            if number in self._given_up:  # else it came twice
                self._too_late()
            return []
        self._held[number] = packet
        if ahead == 0 and len(self._held) == 1:
            self._calmer()
        ready = self._in_order()
        while len(self._held) >= self.patience:
            self._skip()
            ready += self._in_order()
        return ready

    def _in_order(self) -> list[Any]:
        ready: list[Any] = []
        assert self._next is not None
        while (packet := self._held.pop(self._next, None)) is not None:
            ready.append(packet)
            self._next = (self._next + 1) % _TURN
        return ready

    def _skip(self) -> None:
        """To the first packet behind the gap."""
        while self._next not in self._held:
            assert self._next is not None
            self._given_up.append(self._next)
            self._next = (self._next + 1) % _TURN

    def _all(self) -> list[Any]:
        ready: list[Any] = []
        while self._held:
            self._skip()
            ready += self._in_order()
        return ready

    def _too_late(self) -> None:
        self._calm = 0
        self.patience = min(MOST, self.patience + 2)

    def _calmer(self) -> None:
        self._calm += 1
        if self._calm >= CALM:
            self._calm = 0
            self.patience = max(FEWEST, self.patience - 1)


def _frame(packet: Any) -> JitterFrame:
    return JitterFrame(data=packet._data, timestamp=packet.timestamp)


def install(connection: RTCPeerConnection) -> None:
    """Let the audio that ``connection`` receives wait no longer than it must. Before it is
    connected, with its tracks added."""
    for transceiver in connection.getTransceivers():
        receiver = transceiver.receiver
        if transceiver.kind == "audio" and hasattr(receiver, _BUFFER):
            setattr(receiver, _BUFFER, JitterBuffer(_Onwards(receiver)))


_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class _Onwards:
    """To the decoder of an aiortc receiver, as it does itself with the one frame it expects."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver

    def __call__(self, packet: Any) -> None:
        receiver, frame = self._receiver, _frame(packet)
        codec = receiver._RTCRtpReceiver__codecs.get(packet.payload_type)
        if codec is None or not receiver._RTCRtpReceiver__decoder_thread:
            return
        frame.timestamp = receiver._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
        receiver._RTCRtpReceiver__decoder_queue.put((codec, frame))
