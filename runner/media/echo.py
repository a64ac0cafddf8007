"""Take out of the microphone what the speaker plays, so that a caller may speak into an answer.

The work is done by AEC3, the echo canceller of browsers, out of LiveKit's package (the extra
``mic``). It finds the way through the room by itself; it has to be told what sounded when.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from runner.errors import DeviceError
from runner.media.portaudio import RATE
from runner.media.reference import Reference, Timeline

#: Samples that are taken at once: 10 ms, as the canceller wants them.
FRAME = RATE // 100
#: The reference runs ahead of the microphone by so much: a driver that says its latency too long
#: would let the echo come before the sound, and an echo that comes first is never found.
AHEAD_MS = 30
#: When sound was lost between the devices and us, the echo comes at another time than it did, and
#: half a second of it would pass for a caller (measured). For so many frames nothing passes while
#: the speaker sounds, and the room rings for so many after it.
_FINDING, _RINGING = 60, 25
#: Softer than this (RMS) the speaker is silent.
_SILENT = 30.0


class EchoCanceller:
    """``clean()`` takes the microphone's blocks in order. DeviceError when the library that does
    it cannot be loaded. Making one takes about half a second."""

    def __init__(self, reference: Reference) -> None:
        try:
            from livekit.rtc.apm import AudioProcessingModule
            from livekit.rtc.audio_frame import AudioFrame
        except (ImportError, OSError) as error:
            raise DeviceError(
                f"echo cancelling cannot be loaded: {error}", "pip install 'rtrun[mic]'"
            ) from None
        self._reference = reference
        self._line = Timeline()
        self._jumps = 0
        self._finding = 0
        self._ringing = 0
        self._frame: Any = AudioFrame
        self._module = AudioProcessingModule
        self._apm = self._new()

    def _new(self) -> Any:
        apm = self._module(echo_cancellation=True, high_pass_filter=True)
        apm.set_stream_delay_ms(AHEAD_MS)
        return apm

    def clean(self, pcm16: bytes, at: float) -> bytes:
        """A block of mono PCM16 at 48 kHz, of whole 10 ms, that was captured from ``at``
        (time.monotonic()) on, without what the speaker played. As long as it was."""
        start = self._line.count
        self._line.add(len(pcm16) // 2, at)
        out = bytearray(pcm16)
        for sample in range(0, len(pcm16) // 2, FRAME):
            sounded = self._line.time(start + sample) + AHEAD_MS / 1000
            far = self._reference.read(FRAME, sounded)
            self._apm.process_reverse_stream(self._of(bytearray(far.tobytes())))
            near = self._of(out[2 * sample : 2 * (sample + FRAME)])
            self._apm.process_stream(near)
            cleaned = bytes(near.data.cast("B"))
            out[2 * sample : 2 * (sample + FRAME)] = (
                bytes(2 * FRAME) if self._astray(far) else cleaned
            )
        return bytes(out)

    def _astray(self, far: np.ndarray[Any, np.dtype[np.int16]]) -> bool:
        """The way of the echo that can be heard now is being looked for anew."""
        sounds = float(np.sqrt(np.mean(np.square(far, dtype=np.float64)))) > _SILENT
        self._ringing = _RINGING if sounds else max(0, self._ringing - 1)
        if self._reference.jumps != self._jumps:
            self._jumps = self._reference.jumps
            self._finding = _FINDING
            self._apm = self._new()
        self._finding = max(0, self._finding - 1)
        return self._finding > 0 and self._ringing > 0

    def _of(self, pcm16: bytearray) -> Any:
        return self._frame(pcm16, RATE, 1, FRAME)
