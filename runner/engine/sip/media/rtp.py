"""RTP packets, and numbers that wrap. Source: RFC 3550, 5.1; RFC 4733, 2.3 (telephone keys)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")
HEADER_BYTES = _HEADER.size
KEYS = "0123456789*#ABCD"
#: RFC 3389: comfort noise, silence told instead of sent.
COMFORT_NOISE = 13
# RTCP on the RTP port (RFC 5761): its second byte, less the marker's bit.
_RTCP = range(64, 96)


@dataclass(frozen=True, slots=True)
class Packet:
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False


def unpack(data: bytes) -> Packet | None:
    """A packet as it came, None when it is no RTP."""
    if len(data) < HEADER_BYTES or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start, end = HEADER_BYTES + 4 * (first & 0x0F), len(data)
    if first & 0x10:  # a header extension: 16 bits of meaning, 16 of length in words
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    if first & 0x20:  # padding: the last byte counts it
        padding = data[-1]
        if not padding:
            return None
        end -= padding
    if start > end or second & 0x7F in _RTCP:
        return None
    marker = bool(second & 0x80)
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end], marker)


def pack(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> bytes:
    second = payload_type | (0x80 if marker else 0)
    header = _HEADER.pack(0x80, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)
    return header + payload


def step(old: int, new: int, bits: int) -> int:
    """How far it is from ``old`` to ``new``, both of so many bits: negative when it is behind."""
    half = 1 << bits - 1
    return ((new - old + half) & ((1 << bits) - 1)) - half


class Keys:
    """Telephone keys out of RFC 4733 events: each key once, whatever is sent again or lost."""

    #: A key whose end was lost is told when nothing of it has come for so long.
    LOST_SECONDS = 0.25

    def __init__(self) -> None:
        self._began: int | None = None  # the event's timestamp names it
        self._key = ""
        self._until = 0
        self._seen = 0.0
        self._told = True

    def take(self, packet: Packet, now: float) -> str:
        """The keys that are complete now."""
        if len(packet.payload) < 4 or packet.payload[0] >= len(KEYS):
            return ""
        key, last = KEYS[packet.payload[0]], bool(packet.payload[1] & 0x80)
        out = ""
        if packet.timestamp != self._began:
            if self._began is not None and step(self._began, packet.timestamp, 32) < 0:
                return ""  # of a key before this one, late
            # A key held for more than 8 s goes on in a second event where the first one ends.
            goes_on = not self._told and key == self._key and packet.timestamp == self._until
            if not goes_on:
                out = self._tell()
            self._began, self._key, self._told = packet.timestamp, key, False
        self._seen = now
        duration = int.from_bytes(packet.payload[2:4], "big")
        self._until = packet.timestamp + duration & 0xFFFFFFFF
        return out + (self._tell() if last else "")

    def due(self, now: float) -> str:
        """The key whose end never came."""
        return self._tell() if not self._told and now - self._seen > self.LOST_SECONDS else ""

    def _tell(self) -> str:
        key = "" if self._told else self._key
        self._told = True
        return key
