"""Packets, keys and the order of what arrives. Pure."""

from __future__ import annotations

import random

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.sip.media.jitter import LONGEST_GAP, PAUSE_SECONDS, WAIT_SECONDS, Jitter
from runner.engine.sip.media.rtp import Keys, Packet, pack, step, unpack

pytestmark = pytest.mark.quick


@given(
    st.integers(0, 63) | st.integers(96, 127),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=400),
    st.booleans(),
)
def test_packets_are_those_of_another_library(kind, sequence, timestamp, payload, marker):
    data = pack(kind, sequence, timestamp, 99, payload, marker)
    theirs = RtpPacket.parse(data)
    assert (theirs.payload_type, theirs.sequence_number) == (kind, sequence)
    assert (theirs.timestamp, theirs.payload, bool(theirs.marker)) == (timestamp, payload, marker)
    theirs.csrc = [1, 2]
    theirs.padding_size = 4
    assert unpack(theirs.serialize()) == Packet(kind, sequence, timestamp, 99, payload, marker)


@given(st.binary(max_size=60))
def test_garbage_is_no_packet_or_a_packet(data):
    packet = unpack(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


def test_reports_and_short_headers_are_no_sound():
    report = bytes([0x80, 201]) + bytes(6)
    assert unpack(report) is None
    assert unpack(bytes([0x80, 200]) + bytes(26)) is None
    assert unpack(b"\x90" + pack(0, 1, 1, 1, b"", False)[1:] + b"\0\0\xff\xff") is None
    assert unpack(b"\xa0" + pack(0, 1, 1, 1, b"\x63", False)[1:]) is None


@given(st.integers(0, 0xFFFF), st.integers(-0x8000, 0x7FFF))
def test_numbers_wrap(start, by):
    assert step(start, start + by & 0xFFFF, 16) == by


# -- order ----------------------------------------------------------------------------------------
def frame(n: int) -> bytes:
    return bytes([n % 251]) * 160


def test_in_its_order_a_packet_waits_for_nothing():
    jitter = Jitter(b"\xff")
    for n in range(10):
        assert jitter.put(65530 + n & 0xFFFF, 160 * n + 0xFFFFFF00 & 0xFFFFFFFF, frame(n), 0.02 * n)
    assert (jitter.lost, jitter.late) == (0, 0)


@given(st.integers(0, 2**32 - 1), st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_what_overtakes_is_put_back_and_doubles_are_dropped(seed, start, order):
    packets = [(start + n & 0xFFFF, seed + 160 * n & 0xFFFFFFFF, frame(n)) for n in range(40)]
    arriving = [packets[0]]
    for at in range(1, 40, 3):  # each packet at most two places early or late
        for packet in order.sample(some := packets[at : at + 3], len(some)):
            arriving.append(packet)
            if order.random() < 0.2:
                arriving.append(order.choice(arriving))
    jitter = Jitter(b"\xff")
    heard = b"".join(jitter.put(*packet, now=0.001 * at) for at, packet in enumerate(arriving))
    assert heard == b"".join(payload for _, _, payload in packets)
    assert jitter.lost == 0


def test_what_is_lost_dies_away_and_time_goes_on():
    jitter = Jitter(b"\xff")
    jitter.put(1, 0, frame(1), 0.0)
    assert jitter.put(5, 4 * 160, frame(5), 0.08) == b""
    assert jitter.due(0.08 + WAIT_SECONDS / 2) == b""
    heard = jitter.due(0.081 + WAIT_SECONDS)
    assert heard == frame(1) + b"\xff" * 320 + frame(5)
    assert jitter.lost == 3
    assert jitter.put(3, 320, frame(3), 0.2) == b""
    assert jitter.late == 1


def test_a_pause_of_the_sender_is_silence_as_it_passes():
    jitter = Jitter(b"\xff")
    jitter.put(1, 0, frame(1), 0.0)
    assert jitter.due(PAUSE_SECONDS - 0.01) == b""
    silence = jitter.due(0.25) + jitter.due(0.27) + jitter.due(0.5)
    assert silence == b"\xff" * 4000
    # The sender counted on through the pause; what was filled is not filled again.
    assert jitter.put(2, 8000, frame(2), 1.0) == b"\xff" * (8000 - 160 - 4000) + frame(2)


def test_a_sender_that_counts_anew_is_heard_at_once():
    jitter = Jitter(b"\xff")
    jitter.put(1, 1000, frame(1), 0.0)
    assert jitter.put(2, 5, frame(2), 0.02) == frame(2)
    assert jitter.put(3, 5 + 160 + LONGEST_GAP + 1, frame(3), 0.04) == frame(3)
    assert jitter.put(30000, 9, frame(4), 0.06) == frame(4)
    jitter.restart()
    assert jitter.put(29999, 9, frame(5), 0.08) == frame(5)


def test_loss_on_top_of_loss_never_grows():
    order = random.Random(4)
    jitter = Jitter(b"\xff")
    heard = 0
    for n in range(3000):
        now = 0.02 * n
        if order.random() > 0.3:
            heard += len(jitter.put(n & 0xFFFF, 160 * n, frame(n), now + order.random() * 0.01))
        heard += len(jitter.due(now + 0.01))
    assert abs(heard - 3000 * 160) <= 20 * 160


# -- keys -----------------------------------------------------------------------------------------
def press(keys: Keys, code: int, began: int, duration: int, end: bool, now: float = 0.0) -> str:
    payload = bytes([code, 0x80 if end else 0]) + duration.to_bytes(2, "big")
    return keys.take(Packet(101, 0, began, 1, payload), now)


def test_a_key_is_told_once_however_often_its_end_comes():
    keys = Keys()
    told = [press(keys, 5, 800, d, e) for d, e in [(160, False), (320, True), (320, True)]]
    told += [press(keys, 5, 800, 320, True), press(keys, 5, 2400, 160, True)]
    assert told == ["", "5", "", "", "5"]
    assert [press(keys, code, 9000 + code, 1, True) for code in (10, 11, 12, 15, 16)] == [
        "*", "#", "A", "D", "",
    ]  # fmt: skip


def test_a_key_whose_end_was_lost_is_told_all_the_same():
    keys = Keys()
    press(keys, 1, 0xFFFFFFF0, 160, False)
    assert press(keys, 2, 1000, 160, False, 0.1) == "1"
    assert press(keys, 1, 0xFFFFFFF0, 160, True, 0.1) == ""
    assert keys.due(0.2) == ""
    assert keys.due(0.5) == "2"
    assert keys.due(0.9) == ""
    assert press(keys, 2, 1000, 320, True, 1.0) == ""
    assert keys.take(Packet(101, 0, 5000, 1, b"\x01"), 1.0) == ""


def test_a_key_held_for_long_is_one_key():
    keys = Keys()
    told = [press(keys, 3, 0, 0xFFFF, False), press(keys, 3, 0xFFFF, 800, False)]
    told += [press(keys, 3, 0xFFFF, 1600, True), press(keys, 3, 0xFFFF, 1600, True)]
    assert told == ["", "", "3", ""]
