"""The audio formats of the Realtime wire: 16-bit PCM at 24 kHz and the two G.711 codes at 8 kHz.

Source: OpenAI's API reference, ``session.audio.input.format`` and ``session.audio.output.format``.
Everything is mono. PCM is signed, 16 bits, little-endian.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

FormatType = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """``rate`` in Hz. One sample takes ``bytes_per_sample`` bytes."""

    type: FormatType
    rate: int
    bytes_per_sample: int

    @property
    def silence(self) -> bytes:
        """One sample of silence."""
        return _SILENCE[self.type]

    def samples(self, nbytes: int) -> int:
        """Whole samples in ``nbytes`` bytes."""
        return nbytes // self.bytes_per_sample

    def ms(self, nbytes: int) -> float:
        """Milliseconds of sound in ``nbytes`` bytes."""
        return nbytes / self.bytes_per_sample * 1000 / self.rate

    def nbytes(self, ms: float) -> int:
        """Bytes of ``ms`` milliseconds, rounded down to whole samples."""
        return int(ms * self.rate / 1000) * self.bytes_per_sample

    def wire(self) -> dict[str, Any]:
        """The object as it goes over the wire; G.711 has no ``rate`` there."""
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": self.rate}
        return {"type": self.type}

    @classmethod
    def from_wire(cls, value: object) -> AudioFormat:
        """The format of a wire object. ValueError, with what was wrong, for any other."""
        if not isinstance(value, Mapping):
            raise ValueError(f"an audio format is an object with a type, not {value!r}")
        known = _BY_TYPE.get(kind) if _is_text(kind := value.get("type")) else None
        if known is None:
            names = ", ".join(_BY_TYPE)
            raise ValueError(f"unknown audio format {kind!r}; the formats are {names}")
        rate = value.get("rate")
        if rate is not None and rate != known.rate:
            raise ValueError(f"{kind} has a rate of {known.rate} Hz, not {rate!r}")
        return known


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


PCM16 = AudioFormat("audio/pcm", 24000, 2)
PCMU = AudioFormat("audio/pcmu", 8000, 1)
PCMA = AudioFormat("audio/pcma", 8000, 1)

_BY_TYPE: dict[str, AudioFormat] = {f.type: f for f in (PCM16, PCMU, PCMA)}
# G.711 has no zero: 0xFF is mu-law +0, 0xD5 the smallest positive A-law step.
_SILENCE: dict[str, bytes] = {"audio/pcm": b"\0\0", "audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}

__all__ = ["PCM16", "PCMA", "PCMU", "AudioFormat", "FormatType"]
