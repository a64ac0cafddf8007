"""Take out of the microphone what the speaker plays, so that a caller may speak into an answer.

The work is done by AEC3, the echo canceller of browsers, out of LiveKit's package (the extra
``mic``). It finds the way through the room by itself; it has to be told what sounded when.
"""

from __future__ import annotations

from importlib import util
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


def lacking() -> str | None:
    """None when echoes can be cancelled, else why not and what to do."""
    if util.find_spec("livekit") is None:
        return "without echo cancelling (pip install 'rtrun[mic]')"
    return None


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
        self._frame: Any = AudioFrame
        self._apm = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._apm.set_stream_delay_ms(AHEAD_MS)

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
            out[2 * sample : 2 * (sample + FRAME)] = np.frombuffer(near.data, np.int16).tobytes()
        return bytes(out)

    def _of(self, pcm16: bytearray) -> Any:
        return self._frame(pcm16, RATE, 1, FRAME)
