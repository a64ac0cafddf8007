"""G.711 mu-law and A-law, 8 bits a sample, to and from 16-bit little-endian PCM.

Source: ITU-T G.711, tables 1 and 2, with the 14-bit (mu-law) and 13-bit (A-law) values of the
recommendation scaled to 16 bits as every telephone stack does. The standard library's audioop,
which did this, is gone from Python 3.13.
"""

from __future__ import annotations

import sys
from array import array
from functools import cache

_SWAP = sys.byteorder == "big"


def ulaw_decode(data: bytes) -> bytes:
    """Mu-law bytes as PCM16, twice as long."""
    return _decode(data, _ulaw_levels())


def alaw_decode(data: bytes) -> bytes:
    """A-law bytes as PCM16, twice as long."""
    return _decode(data, _alaw_levels())


def ulaw_encode(pcm16: bytes) -> bytes:
    """PCM16 as mu-law, half as long. ValueError for half a sample at the end."""
    return _encode(pcm16, _ulaw_codes())


def alaw_encode(pcm16: bytes) -> bytes:
    """PCM16 as A-law, half as long. ValueError for half a sample at the end."""
    return _encode(pcm16, _alaw_codes())


def _decode(data: bytes, halves: tuple[bytes, bytes]) -> bytes:
    # Two translations, one for each byte of a sample, stay in C for the whole chunk.
    pcm16 = bytearray(2 * len(data))
    pcm16[0::2] = data.translate(halves[0])
    pcm16[1::2] = data.translate(halves[1])
    return bytes(pcm16)


def _halves(levels: list[int]) -> tuple[bytes, bytes]:
    return bytes(v & 0xFF for v in levels), bytes(v >> 8 & 0xFF for v in levels)


def _encode(pcm16: bytes, codes: bytes) -> bytes:
    # Read as unsigned, so that a sample is its own index into the table.
    samples = array("H", pcm16)
    if _SWAP:
        samples.byteswap()
    return bytes(map(codes.__getitem__, samples))


@cache
def _ulaw_levels() -> tuple[bytes, bytes]:
    def level(code: int) -> int:
        code = ~code & 0xFF
        size = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
        return -size if code & 0x80 else size

    return _halves([level(code) for code in range(256)])


@cache
def _alaw_levels() -> tuple[bytes, bytes]:
    def level(code: int) -> int:
        code ^= 0x55
        segment, step = (code & 0x70) >> 4, (code & 0x0F) << 4
        size = step + 8 if segment == 0 else (step + 0x108) << (segment - 1)
        return size if code & 0x80 else -size

    return _halves([level(code) for code in range(256)])


@cache
def _ulaw_codes() -> bytes:
    # Codes of the 14-bit magnitudes 0 to 8192, by runs: in segment s a step is 2 << s wide.
    sizes = bytearray(b"\x00")  # the first step of the first segment holds zero alone
    sizes += b"".join(bytes([code]) * (2 << (code >> 4)) for code in range(1, 128))
    sizes = sizes[:8159].ljust(8193, b"\x7f")
    # 16 bits to 14: an arithmetic shift, so a negative magnitude is rounded up.
    above = b"".join(bytes([code ^ 0xFF]) * 4 for code in sizes[:8192])
    below = b"".join(bytes([code ^ 0x7F]) * 4 for code in sizes[:0:-1])
    return above + below


@cache
def _alaw_codes() -> bytes:
    # Codes of the 13-bit magnitudes 0 to 4095; the first two segments share a step of 2.
    sizes = b"".join(bytes([code]) * (2 << max(0, (code >> 4) - 1)) for code in range(128))
    above = b"".join(bytes([code ^ 0xD5]) * 8 for code in sizes)
    below = b"".join(bytes([code ^ 0x55]) * 8 for code in reversed(sizes))
    return above + below


__all__ = ["alaw_decode", "alaw_encode", "ulaw_decode", "ulaw_encode"]
