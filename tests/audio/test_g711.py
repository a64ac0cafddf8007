from __future__ import annotations

from array import array
from itertools import pairwise

import pytest

from runner.audio.formats import PCMA, PCMU
from runner.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode

pytestmark = pytest.mark.quick

CODES = bytes(range(256))


def pcm(*samples: int) -> bytes:
    return array("h", samples).tobytes()


def samples(data: bytes) -> list[int]:
    return array("h", data).tolist()


# ITU-T G.711 table 2a (mu-law), decoder output values y0..y127 at the ends of each segment,
# scaled from 14 to 16 bits.
@pytest.mark.parametrize(
    ("code", "level"),
    [
        (0xFF, 0), (0xFE, 8), (0xF0, 120), (0xEF, 132), (0xE0, 372), (0xDF, 396), (0xD0, 876),
        (0xC0, 1884), (0xB0, 3900), (0xA0, 7932), (0x90, 15996), (0x80, 32124), (0x8F, 16764),
        (0x7E, -8), (0x00, -32124), (0x0F, -16764), (0x7F, 0),
    ],
)  # fmt: skip
def test_ulaw_levels_of_the_recommendation(code: int, level: int) -> None:
    assert samples(ulaw_decode(bytes([code]))) == [level]


# Table 1a (A-law), scaled from 13 to 16 bits.
@pytest.mark.parametrize(
    ("code", "level"),
    [
        (0xD5, 8), (0xD4, 24), (0xC5, 264), (0xF5, 528), (0xE5, 1056), (0x95, 2112),
        (0x85, 4224), (0xB5, 8448), (0xA5, 16896), (0xAA, 32256), (0x55, -8), (0x2A, -32256),
    ],
)  # fmt: skip
def test_alaw_levels_of_the_recommendation(code: int, level: int) -> None:
    assert samples(alaw_decode(bytes([code]))) == [level]


@pytest.mark.parametrize(
    ("value", "ulaw", "alaw"),
    [
        (0, 0xFF, 0xD5), (1000, 0xCE, 0xFA), (-1000, 0x4E, 0x7A), (32767, 0x80, 0xAA),
        (-32768, 0x00, 0x2A), (-1, 0x7E, 0x55), (4, 0xFE, 0xD5), (100, 0xF2, 0xD3),
    ],
)  # fmt: skip
def test_known_codes(value: int, ulaw: int, alaw: int) -> None:
    assert ulaw_encode(pcm(value)) == bytes([ulaw])
    assert alaw_encode(pcm(value)) == bytes([alaw])


def test_every_code_survives_decode_and_encode() -> None:
    # Mu-law has two zeros; the negative one comes back as the positive.
    assert ulaw_encode(ulaw_decode(CODES)) == CODES.replace(b"\x7f", b"\xff")
    assert alaw_encode(alaw_decode(CODES)) == CODES


@pytest.mark.parametrize(
    ("encode", "decode"), [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)]
)
def test_each_sample_gets_its_nearest_level(encode, decode) -> None:  # type: ignore[no-untyped-def]
    every = list(range(-32768, 32768))
    back = samples(decode(encode(array("h", every).tobytes())))
    assert all(a <= b for a, b in pairwise(back)), "the code is not monotonic"
    levels = sorted(set(samples(decode(CODES))))
    steps = [b - a for a, b in pairwise(levels)]
    for value, level in zip(every, back, strict=True):
        # Half of the widest step near this level, and the rounding of 16 bits to 13.
        at = levels.index(level) if value % 509 == 0 else None
        if at is not None and abs(value) <= 32000:
            widest = max(steps[max(0, at - 1) : at + 1])
            assert abs(value - level) <= widest / 2 + 8, value


def test_silence_of_the_formats_is_silent() -> None:
    assert samples(ulaw_decode(PCMU.silence)) == [0]
    assert samples(alaw_decode(PCMA.silence)) == [8]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        ulaw_encode(b"\0\0\0")


def test_nothing_gives_nothing() -> None:
    assert ulaw_encode(b"") == alaw_decode(b"") == b""
