"""The splitter against frames made and read by the library itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from runner.transports.frames import Splitter

pytestmark = pytest.mark.quick

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
LIMIT = 70_000


class Ends:
    """What came out, in order: messages, and what the library was given."""

    def __init__(self, *, open: bool = True) -> None:
        self.order: list[tuple[str, bytes]] = []
        self.splitter = Splitter(
            lambda message: self.order.append(("whole", message)),
            lambda data: self.order.append(("other", data)),
            LIMIT,
        )
        if open:
            self.splitter.feed(ANSWER)
            assert self.order.pop() == ("other", ANSWER)

    @property
    def messages(self) -> list[bytes]:
        return [data for kind, data in self.order if kind == "whole"]

    @property
    def others(self) -> bytes:
        return b"".join(data for kind, data in self.order if kind == "other")


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


SIZES = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 66_000]) | st.integers(0, 300)
WHOLE = st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), SIZES)
CONTROL = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.integers(0, 125))
FRAGMENTS = st.tuples(st.just(Opcode.CONT), st.integers(2, 4))


@given(
    st.lists(WHOLE | CONTROL | FRAGMENTS, max_size=8),
    st.lists(st.integers(1, 5000), max_size=40),
    st.booleans(),
)
def test_messages_are_cut_out_wherever_the_segments_end(
    frames: list[tuple[Opcode, int]], cuts: list[int], closes: bool
) -> None:
    stream, whole, other = b"", [], b""
    for number, (opcode, size) in enumerate(frames):
        body = bytes([number % 256]) * size
        if opcode is Opcode.CONT:
            # A message in pieces with a ping in between: all of it is for the library.
            pieces = wire(Opcode.TEXT, b"a" * 9, fin=False) + wire(Opcode.PING, b"p")
            for piece in range(size):
                pieces += wire(Opcode.CONT, b"b" * piece, fin=piece == size - 1)
            stream, other = stream + pieces, other + pieces
        elif opcode in (Opcode.PING, Opcode.PONG):
            stream, other = stream + wire(opcode, body), other + wire(opcode, body)
        else:
            stream += wire(opcode, body)
            whole.append(body)
    if closes:
        end = wire(Opcode.CLOSE, b"\x03\xe8bye") + wire(Opcode.TEXT, b"after the end")
        stream, other = stream + end, other + end
    ends = Ends(open=False)
    stream = ANSWER + stream
    at = 0
    for cut in cuts:
        ends.splitter.feed(stream[at : at + cut])
        at += cut
    if at < len(stream):
        ends.splitter.feed(stream[at:])
    assert ends.messages == whole
    assert ends.others == ANSWER + other


def test_byte_by_byte() -> None:
    ends = Ends(open=False)
    for byte in ANSWER + wire(Opcode.TEXT, b"x" * 200) + wire(Opcode.PING, b"p"):
        ends.splitter.feed(bytes([byte]))
    assert ends.messages == [b"x" * 200]
    assert ends.others == ANSWER + wire(Opcode.PING, b"p")


def test_the_library_sees_whole_frames_only() -> None:
    ends = Ends()
    ping = wire(Opcode.PING, b"1234")
    ends.splitter.feed(ping[:3])
    assert ends.order == []
    ends.splitter.feed(ping[3:] + wire(Opcode.TEXT, b"t"))
    assert ends.order == [("other", ping), ("whole", b"t")]


@pytest.mark.parametrize(
    "frame",
    [
        bytes([0xC1, 2]) + b"xx",  # a reserved bit
        Frame(Opcode.TEXT, b"masked").serialize(mask=True),
        wire(Opcode.TEXT, b"first piece", fin=False) + wire(Opcode.TEXT, b"no piece"),
        bytes([0x83, 2]) + b"xx",  # an opcode that is none
        wire(Opcode.CLOSE, b""),
    ],
    ids=["rsv", "masked", "text inside a message", "opcode", "close"],
)
def test_what_breaks_the_rules_is_judged_by_the_library(frame: bytes) -> None:
    ends = Ends()
    ends.splitter.feed(wire(Opcode.TEXT, b"before") + frame)
    assert ends.order[0] == ("whole", b"before")
    assert ends.messages == [b"before"]
    assert ends.others == frame


@pytest.mark.parametrize("size", [LIMIT + 1, 1 << 40])
def test_a_message_beyond_the_limit_is_not_gathered(size: int) -> None:
    ends = Ends()
    header = bytes([0x81, 127]) + size.to_bytes(8, "big")
    for byte in header:
        ends.splitter.feed(bytes([byte]))
    ends.splitter.feed(b"begin")
    assert ends.messages == []
    assert ends.others == header + b"begin"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"\x16\x03\x01",
    ],
)
def test_no_handshake_is_the_librarys_business(answer: bytes) -> None:
    ends = Ends(open=False)
    ends.splitter.feed(answer)
    ends.splitter.feed(wire(Opcode.TEXT, b"body"))
    assert ends.messages == []
    assert ends.others == answer + wire(Opcode.TEXT, b"body")


def test_a_handshake_without_an_end_is_not_gathered_for_ever() -> None:
    ends = Ends(open=False)
    for _ in range(70):
        ends.splitter.feed(b"HTTP/1.1 101 X\r\n" + b"X: " + b"y" * 1000)
    assert len(ends.others) > 60_000
