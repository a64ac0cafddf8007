"""A server's bytes cut at the borders of WebSocket frames (RFC 6455, section 5.2).

Most of a call are whole, unmasked text frames from the server. Those go straight on; everything
else (the handshake, control frames, fragments, violations) goes to the library's parser, whole
frame by whole frame, which stays the judge of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable

#: First byte of a data frame that is a whole message: FIN, no reserved bit, text or binary.
_MESSAGE = (0x81, 0x82)
_CLOSE = 0x8
_LARGEST_HEAD = 65_536


class Splitter:
    """``whole(message)`` gets the payload of each complete data message, ``other(data)`` the bytes
    that the library has to see. ``limit`` is the largest message, in bytes: a larger one is left
    to the library, which refuses it."""

    def __init__(
        self, whole: Callable[[bytes], None], other: Callable[[bytes], None], limit: int
    ) -> None:
        self._whole = whole
        self._other = other
        self._limit = limit
        self._waiting = bytearray()
        #: Bytes that the frame at the start of ``_waiting`` is known to need.
        self._need = 0
        self._head = True
        self._fragmented = False
        self._through = False

    def feed(self, data: bytes) -> None:
        """The next bytes from the socket."""
        at = 0
        if self._head:
            data = self._handshake(bytes(self._waiting) + data)
        while self._waiting and not self._through and not self._head:
            # Complete the frame that has begun, and leave the rest where it is: no copy of it.
            missing = self._need - len(self._waiting)
            self._waiting += data[at : at + missing]
            at += missing
            if at > len(data):
                return
            begun = bytes(self._waiting)
            self._waiting.clear()
            self._frames(begun, 0)
        if self._through:
            if at < len(data):
                self._other(data[at:])
        elif at < len(data):
            self._frames(data, at)

    def _handshake(self, data: bytes) -> bytes:
        """Hand the HTTP answer over; what follows it, once it is there and says 101."""
        self._waiting.clear()
        end = data.find(b"\r\n\r\n") + 4
        http = data.startswith(b"HTTP/"[: len(data)])
        if end < 4 and http and len(data) <= _LARGEST_HEAD:
            self._waiting += data
            return b""
        self._head = False
        if end < 4 or not data.startswith(b"HTTP/1.1 101"):
            self._let_through(data)  # a refusal with a body, or no HTTP at all
            return b""
        self._other(data[:end])
        return data[end:]

    def _let_through(self, data: bytes) -> None:
        self._through = True
        if data:
            self._other(data)

    def _frames(self, data: bytes, at: int) -> None:
        """Hand over the complete frames of ``data`` from ``at`` on; what is left waits."""
        size = len(data)
        while size - at >= 2:
            first, length = data[at], data[at + 1]
            start = at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(data[at + 2 : start], "big")
            elif length == 127:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start], "big")
            end = start + length
            plain = first in _MESSAGE and data[at + 1] < 128 and not self._fragmented
            if plain and end <= size:
                self._whole(data[start:end])
                at = end
                continue
            if start > size:
                self._wait(data[at:], start - at)
                return
            if data[at + 1] > 127 or length > self._limit:  # masked, or too large: a violation
                self._let_through(data[at:])
                return
            if end > size:
                self._wait(data[at:], end - at)
                return
            if first & 0xF < 0x8:
                self._fragmented = first < 0x80
            self._other(data[at:end])
            at = end
            if first & 0xF == _CLOSE:
                self._let_through(data[at:])
                return
        if at < size:
            self._wait(data[at:], 2)

    def _wait(self, begun: bytes, need: int) -> None:
        self._waiting += begun
        self._need = need
