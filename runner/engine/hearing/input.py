"""The caller's audio as it arrives: converted once, kept as long as somebody may ask for it."""

from __future__ import annotations

from dataclasses import dataclass

from runner.audio.formats import AudioFormat


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit took out: its place in ms, and the sound for recognition and for retrieve
    (in the wire's format at that time)."""

    start_ms: int
    end_ms: int
    pcm16k: bytes
    wire: bytes


class InputBuffer:
    """``input_audio_buffer`` of one connection. Positions are ms since the start of the stream
    and never go back, whatever is committed or cleared.

    Kept is the audio from the mark of :meth:`hold` on, at most ``max_ms``; without a mark only
    the last ``idle_ms`` (the pre-roll). The oldest goes first.
    """

    def __init__(
        self, format: AudioFormat, *, max_ms: int = 600_000, idle_ms: int = 3000
    ) -> None: ...

    format: AudioFormat

    def configure(self, format: AudioFormat) -> None:
        """The wire's format changes from the next append on; kept audio is converted."""

    def append(self, data: bytes) -> list[bytes]:
        """Take wire bytes (an odd byte waits for its other half); returns the frames of 512
        samples of pcm16k that became complete, in order, for the voice activity model.
        ValueError never: any bytes are sound."""
        raise NotImplementedError

    @property
    def total_ms(self) -> int:
        """Audio received since the start of the stream."""
        raise NotImplementedError

    @property
    def frames_ms(self) -> int:
        """End of the last frame that append() returned: where a new TurnDetector starts."""
        raise NotImplementedError

    def hold(self, from_ms: int | None) -> None:
        """Keep everything from ``from_ms`` on (a speech began there); None: pre-roll only.
        For push-to-talk call ``hold(buffer.total_ms)`` once; commit and clear move the mark."""

    def pcm16k(self, start_ms: int, end_ms: int | None = None) -> bytes:
        """Kept sound between two positions, clipped to what is there."""
        raise NotImplementedError

    def wire(self, start_ms: int, end_ms: int | None = None) -> bytes:
        """The same as wire bytes in the current format."""
        raise NotImplementedError

    def pending_ms(self) -> float:
        """Audio since the hold mark: what commit() would take (0 without a mark)."""
        raise NotImplementedError

    def commit(self, start_ms: int | None = None, end_ms: int | None = None) -> Committed:
        """Take the audio between two positions (default: from the hold mark to the newest
        sample); the mark moves to the end."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget what is kept; positions go on."""
