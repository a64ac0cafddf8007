"""The caller's audio as it arrives: converted once, kept as long as somebody may ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from runner.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from runner.engine.hearing.vad import FRAME_BYTES
from runner.media.resample import Resampler, resample

_RATE = 16000
_SLACK_MS = 1000  # how much too much is kept, so that the front is cut once a second only

_Code = Callable[[bytes], bytes]
_DECODE: dict[str, _Code] = {PCM16.type: bytes, PCMU.type: ulaw_decode, PCMA.type: alaw_decode}
_ENCODE: dict[str, _Code] = {PCM16.type: bytes, PCMU.type: ulaw_encode, PCMA.type: alaw_encode}


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit took out: its place in ms, the sound for recognition, and the same as wire
    bytes in ``format`` (what conversation.item.retrieve gives back)."""

    start_ms: int
    end_ms: int
    pcm16k: bytes
    wire: bytes
    format: AudioFormat


class InputBuffer:
    """``input_audio_buffer`` of one connection. Positions are ms since the start of the stream
    and never go back, whatever is committed or cleared.

    With ``push_to_talk`` (turn detection is off) everything since the last commit or clear is
    kept. Otherwise what :meth:`hold` asks for, and without that the last ``idle_ms`` only (the
    pre-roll). Never more than ``max_ms``: the oldest goes first.
    """

    def __init__(
        self,
        format: AudioFormat,
        *,
        push_to_talk: bool = False,
        max_ms: int = 600_000,
        idle_ms: int = 6000,
    ) -> None:
        self.format = format
        self.push_to_talk = push_to_talk
        self._max_ms = max_ms
        self._idle_ms = idle_ms
        self._hold_ms: int | None = None
        self._committed_ms = 0
        self._half = b""
        # Each ring is its bytes and the index of the first sample in them.
        self._wire = bytearray()
        self._wire_from = 0
        self._pcm = bytearray()
        self._pcm_from = 0
        self._framed = 0  # index of the first sample that no frame has carried yet
        self._resampler = Resampler(format.rate, _RATE)

    @property
    def total_ms(self) -> int:
        """Audio received since the start of the stream."""
        return self._wire_end * 1000 // self.format.rate

    @property
    def frames_ms(self) -> int:
        """End of the last frame that append() returned: where a new TurnDetector starts."""
        return self._framed * 1000 // _RATE

    @property
    def pending_ms(self) -> int:
        """Audio that commit() would take."""
        return max(0, self.total_ms - self._pending_from())

    def configure(self, format: AudioFormat) -> None:
        """The wire's format changes from the next append on; kept audio is converted."""
        if format == self.format:
            return
        self._settle()
        old, end = self.format, self._wire_end
        pcm = resample(_DECODE[old.type](bytes(self._wire)), old.rate, format.rate)
        self.format = format
        self._half = b""
        self._wire = bytearray(_ENCODE[format.type](pcm))
        self._wire_from = end * format.rate // old.rate - format.samples(len(self._wire))
        self._resampler = Resampler(format.rate, _RATE)

    def append(self, data: bytes) -> list[bytes]:
        """Take wire bytes, any number (half a sample waits for its other half); returns the
        frames of 512 samples of pcm16k that became complete, in order.

        Each frame costs the voice activity model over a millisecond: after a large append, let
        the event loop breathe between them."""
        if self._half:
            data = self._half + data
            self._half = b""
        if len(data) % self.format.bytes_per_sample:
            data, self._half = data[:-1], data[-1:]
        self._wire += data
        self._pcm += self._resampler.process(_DECODE[self.format.type](data))
        frames = self._frames()
        self._trim()
        return frames

    def hold(self, from_ms: int | None) -> None:
        """Keep everything from ``from_ms`` on (a speech began there); None: pre-roll only."""
        self._hold_ms = from_ms

    def pcm16k(self, start_ms: int, end_ms: int | None = None) -> bytes:
        """Kept sound between two positions (to the newest sample), clipped to what is there."""
        return _between(self._pcm, self._pcm_from, _RATE, 2, start_ms, end_ms)

    def wire(self, start_ms: int, end_ms: int | None = None) -> bytes:
        """The same as wire bytes in the current format."""
        form = self.format
        return _between(
            self._wire, self._wire_from, form.rate, form.bytes_per_sample, start_ms, end_ms
        )

    def commit(self, start_ms: int | None = None, end_ms: int | None = None) -> Committed:
        """Take the audio between two positions; by default all that is pending. What is before
        the end is not pending any more, and the hold is over."""
        self._settle()
        start = self._pending_from() if start_ms is None else max(0, start_ms)
        end = self.total_ms if end_ms is None else min(end_ms, self.total_ms)
        taken = Committed(start, end, self.pcm16k(start, end), self.wire(start, end), self.format)
        self._committed_ms = max(self._committed_ms, end)
        self._hold_ms = None
        return taken

    def clear(self) -> None:
        """Forget what is kept; positions go on."""
        self._settle()
        self._committed_ms = self.total_ms
        self._hold_ms = None
        self._half = b""
        self._wire_from += self.format.samples(len(self._wire))
        self._wire.clear()
        self._pcm_from += len(self._pcm) // 2
        self._pcm.clear()
        self._framed = max(self._framed, self._pcm_from)

    # -- inside ----------------------------------------------------------------------------

    @property
    def _wire_end(self) -> int:
        return self._wire_from + self.format.samples(len(self._wire))

    def _kept_from_ms(self) -> int:
        return -(-self._wire_from * 1000 // self.format.rate)

    def _pending_from(self) -> int:
        start = self._committed_ms if self._hold_ms is None else self._hold_ms
        return max(start, self._kept_from_ms())

    def _frames(self) -> list[bytes]:
        frames = []
        at = (self._framed - self._pcm_from) * 2
        while at + FRAME_BYTES <= len(self._pcm):
            frames.append(bytes(self._pcm[at : at + FRAME_BYTES]))
            at += FRAME_BYTES
        self._framed = self._pcm_from + at // 2
        return frames

    def _settle(self) -> None:
        """Fetch what the resampler holds back, so that both rings end at the same moment."""
        self._pcm += self._resampler.flush()
        length = 2 * (self._wire_end * _RATE // self.format.rate - self._pcm_from)
        if len(self._pcm) < length:
            self._pcm += bytes(length - len(self._pcm))
        else:
            del self._pcm[max(0, length) :]

    def _trim(self) -> None:
        newest = self.total_ms
        if self.push_to_talk:
            keep = self._committed_ms
        else:
            keep = newest - self._idle_ms
            if self._hold_ms is not None:
                keep = min(keep, self._hold_ms)
        keep = max(keep, newest - self._max_ms)
        if keep - self._kept_from_ms() < _SLACK_MS:
            return
        form = self.format
        drop = keep * form.rate // 1000 - self._wire_from
        del self._wire[: drop * form.bytes_per_sample]
        self._wire_from += drop
        # Never a sample that still has to go into a frame.
        drop = min(keep * _RATE // 1000, self._framed) - self._pcm_from
        del self._pcm[: drop * 2]
        self._pcm_from += drop


def _between(
    ring: bytearray, first: int, rate: int, width: int, start_ms: int, end_ms: int | None
) -> bytes:
    start = max(0, start_ms * rate // 1000 - first)
    end = len(ring) // width if end_ms is None else max(0, end_ms * rate // 1000 - first)
    return bytes(ring[start * width : end * width])


__all__ = ["Committed", "InputBuffer"]
