"""A speaker without a device whose sound can be recorded: ``--text`` with ``--out``."""

from __future__ import annotations

from runner.audio.formats import PCM16, AudioFormat
from runner.audio.sink import RealTimeSink
from runner.media.tape import TapeRecorder


class VirtualSpeaker(RealTimeSink):
    """Plays at real time on the loop's clock; audio in ``fmt``. What was heard, and when, goes
    onto ``recorder``, whose clock must be the loop's. The recorder is its maker's to close."""

    def __init__(self, fmt: AudioFormat = PCM16, recorder: TapeRecorder | None = None) -> None:
        super().__init__(fmt)
        self._recorder = recorder

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.agent(data, self._speaker.drained_at(self._loop.time()))
        super().play(item_id, content_index, data)

    def flush(self) -> None:
        super().flush()
        if self._recorder is not None:
            self._recorder.cut(self._loop.time())

    def _check(self) -> None:
        if self._recorder is not None:
            self._recorder.advance(self._loop.time())
        super()._check()
