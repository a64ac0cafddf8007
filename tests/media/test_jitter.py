"""What comes by RTP is put in order, and waits for nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from runner.media.ice import configuration
from runner.media.jitter import CALM, FEWEST, MOST, JitterBuffer, install

pytestmark = pytest.mark.quick


@dataclass
class Packet:
    sequence_number: int
    timestamp: int
    _data: bytes = b""


class Line:
    """A buffer, and what came out of it, by number."""

    def __init__(self, begin: int = 0) -> None:
        self.out: list[int] = []
        self.begin = begin
        self.buffer = JitterBuffer(lambda packet: self.out.append(packet.timestamp))

    def add(self, *numbers: int) -> list[int]:
        """``timestamp`` tells which packet it is, the sequence number wraps."""
        before = len(self.out)
        for number in numbers:
            video, frame = self.buffer.add(Packet((self.begin + number) % 65536, number))
            assert not video
            if frame is not None:
                self.out.append(frame.timestamp)
        return self.out[before:]


def test_what_comes_in_order_goes_on_at_once() -> None:
    line = Line(65_534)  # over the end of the numbers
    assert [line.add(number) for number in range(6)] == [[n] for n in range(6)]


def test_packets_that_overtook_each_other() -> None:
    line = Line()
    assert line.add(0) == [0]
    assert line.add(2) == []
    assert line.add(1) == [1, 2]
    assert line.add(3) == [3]


def test_a_lost_packet_is_waited_for_as_long_as_it_takes_to_see_two() -> None:
    line = Line()
    assert line.add(0, 2) == [0]
    assert line.add(3) == [2, 3]
    assert line.add(4) == [4]


def test_a_gap_behind_a_gap() -> None:
    line = Line()
    assert line.add(0, 2, 4) == [0, 2]
    assert line.add(5) == [4, 5]


def test_what_came_twice_is_heard_once_and_is_not_late() -> None:
    line = Line()
    assert line.add(0, 1, 1, 0, 3, 3, 2, 3) == [0, 1, 2, 3]
    assert line.buffer.patience == FEWEST


def test_patience_grows_by_what_is_late_and_goes_by_calm() -> None:
    line = Line()
    for number in range(0, 400, 8):  # each time one comes four behind its place
        line.add(number, *range(number + 2, number + 6), number + 1, number + 6, number + 7)
    assert line.buffer.patience == FEWEST + 4
    assert line.out[-80:] == list(range(320, 400))
    line.add(*range(400, 400 + 5 * CALM))
    assert line.buffer.patience == FEWEST


def test_patience_has_an_end() -> None:
    line = Line()
    for number in range(0, 4000, 40):
        line.add(number, *range(number + 2, number + 39), number + 1, number + 39)
    assert line.buffer.patience == MOST
    assert line.out == sorted(line.out)


def test_a_stream_that_begins_anew() -> None:
    line = Line()
    line.add(0, 2)
    assert line.add(30_000) == [2, 30_000]
    assert line.add(30_001) == [30_001]


@given(st.integers(0, 2**32), st.integers(0, 65_535), st.floats(0, 0.4), st.integers(0, 20))
def test_order_whatever_the_network_does(seed: int, begin: int, loss: float, reach: int) -> None:
    rng = random.Random(seed)
    line = Line(begin)
    sent = [n for n in range(300) if rng.random() >= loss]
    sent += [n for n in sent if rng.random() < 0.1]
    late = sorted(sent, key=lambda n: n + rng.random() * reach)
    line.add(*late)
    assert line.out == sorted(set(line.out))
    assert set(line.out) <= set(sent)
    # Nothing stays behind but what a gap at the very end holds.
    assert len(line.buffer._held) < line.buffer.patience
    if reach <= 1:  # nothing overtook: all that came was heard, but for that
        heard = set(line.out) | {p.timestamp for p in line.buffer._held.values()}
        assert heard == set(range(min(sent), 300)) & set(sent) if sent else not heard


async def _installed() -> list[str]:
    connection = RTCPeerConnection(configuration())
    connection.addTransceiver("audio")
    connection.addTransceiver("video")
    install(connection)
    kinds = [
        type(vars(t.receiver)["_RTCRtpReceiver__jitter_buffer"]).__module__
        for t in connection.getTransceivers()
    ]
    await connection.close()
    return kinds


def test_it_takes_the_place_of_aiortc_s_for_audio() -> None:
    import asyncio

    assert asyncio.run(_installed()) == ["runner.media.jitter", "aiortc.jitterbuffer"]
