"""From the voice's samples to the wire's format, in chunks, no further ahead than allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from runner.audio import g711
from runner.audio.formats import PCM16, PCMU, AudioFormat
from runner.media.resample import Resampler

CHUNK_MS = 100


class Encoder:
    """pcm24k of one response -> the bytes of ``form``; streaming, so keep one per response."""

    def __init__(self, form: AudioFormat) -> None:
        self.form = form
        self._resampler = None if form == PCM16 else Resampler(PCM16.rate, form.rate)

    def encode(self, pcm24k: bytes) -> bytes:
        if self._resampler is None:
            return pcm24k
        return self._compress(self._resampler.process(pcm24k))

    def flush(self) -> bytes:
        """What the resampler still holds, at the end of the answer."""
        return b"" if self._resampler is None else self._compress(self._resampler.flush())

    def _compress(self, pcm8k: bytes) -> bytes:
        return g711.ulaw_encode(pcm8k) if self.form == PCMU else g711.alaw_encode(pcm8k)


def chunks(pcm24k: bytes) -> Iterator[bytes]:
    """A clause in pieces of 100 ms; the last one may hold up to 200 ms rather than a crumb."""
    size = PCM16.nbytes(CHUNK_MS)
    start = 0
    while len(pcm24k) - start >= 2 * size:
        yield pcm24k[start : start + size]
        start += size
    if start < len(pcm24k):
        yield pcm24k[start:]


class Pace:
    """Playback as the peer can have it at the earliest: it starts with the first audio sent."""

    def __init__(self, lead_ms: int) -> None:
        self._lead_ms = lead_ms
        self._played_until = 0.0  # monotonic seconds at which all that was sent has been played

    def wait_seconds(self) -> float:
        """How long the next audio has to wait so that the lead is kept."""
        return max(0.0, self._played_until - time.monotonic() - self._lead_ms / 1000)

    def sent(self, ms: float) -> None:
        # A gap in the making is a gap in playback: time does not run backwards.
        self._played_until = max(self._played_until, time.monotonic()) + ms / 1000

    def remaining_seconds(self) -> float:
        """Until all that was sent has been played."""
        return max(0.0, self._played_until - time.monotonic())
