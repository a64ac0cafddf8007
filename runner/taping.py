"""`records: { audio: ... }`: both sides of a call in one WAV file, the caller left, the agent
right. Whatever plays to the caller has a tape before it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from runner.audio.formats import AudioFormat
from runner.audio.sink import RealTimeSink
from runner.errors import AudioFileError
from runner.tasks import in_thread
from runner.transports.base import AudioSink

if TYPE_CHECKING:
    from runner.media.tape import TapeRecorder

#: The header of a WAV file alone.
_EMPTY = 44


class TapedSink:
    """Stands before ``inner``, a sink at real time when None. ``tape``, which is in ``file``, has
    the loop's clock; ``agent`` is the format of what is played, ``caller`` of what is heard."""

    def __init__(
        self,
        inner: AudioSink | None,
        file: Path,
        tape: TapeRecorder,
        agent: AudioFormat,
        caller: AudioFormat,
    ) -> None:
        from runner.media.resample import Resampler  # numpy, for those who record
        from runner.media.tape import to_pcm16

        self.file = file
        self._own = inner is None
        self._inner: AudioSink = inner or RealTimeSink(agent)
        self._tape = tape
        self._format = agent
        self._now = asyncio.get_running_loop().time
        #: When what was handed over will have sounded.
        self._end = 0.0
        #: The same of what the caller said.
        self._said = 0.0
        self._caller = caller
        self._decode = to_pcm16(caller)
        self._resampler = Resampler(caller.rate, _rate(agent, caller))

    def hear(self, data: bytes) -> None:
        """The caller's audio, as it came: what a slow network brings at once was said in turn."""
        begin = max(self._now(), self._said)
        self._said = begin + self._caller.samples(len(data)) / self._caller.rate
        self._tape.caller(self._resampler.process(self._decode(data)), begin)

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        begin = max(self._now(), self._end)
        self._end = begin + self._format.samples(len(data)) / self._format.rate
        self._tape.agent(data, begin)
        self._inner.play(item_id, content_index, data)

    def flush(self) -> None:
        self._end = 0.0
        self._tape.cut(self._now())
        self._inner.flush()

    def heard(self, item_id: str, content_index: int) -> int:
        return self._inner.heard(item_id, content_index)

    @property
    def idle(self) -> bool:
        return self._inner.idle

    @property
    def on_drained(self) -> Callable[[], None] | None:
        return self._inner.on_drained

    @on_drained.setter
    def on_drained(self, handler: Callable[[], None] | None) -> None:
        self._inner.on_drained = handler

    def close(self) -> None:
        """The tape ends, and is no file if nothing is on it; a sink that somebody else made is
        theirs to close."""
        self._tape.close()
        if self._own:
            self._inner.close()
        try:
            if self.file.stat().st_size <= _EMPTY:
                self.file.unlink()
        except OSError:
            return


async def taped(
    file: Path,
    sink: AudioSink | None,
    agent: AudioFormat,
    caller: AudioFormat,
    on_failure: Callable[[str], None],
) -> TapedSink | None:
    """Record what ``sink`` plays and what the caller says, from now on. ``on_failure`` hears of a
    disk that does not take it, at once or later, once: the call goes on without."""
    from runner.media.tape import TapeRecorder

    try:
        file = await in_thread(_made, file)
        tape = TapeRecorder(
            file,
            clock=asyncio.get_running_loop().time,
            fmt=agent,
            rate=_rate(agent, caller),
            on_failure=lambda error: on_failure(error.message),
        )
    except OSError as error:
        on_failure(f"cannot write {file}: {error.strerror}")
        return None
    except AudioFileError as error:
        on_failure(error.message)
        return None
    return TapedSink(sink, file, tape, agent, caller)


def _rate(agent: AudioFormat, caller: AudioFormat) -> int:
    return max(agent.rate, caller.rate)


def _made(file: Path) -> Path:
    """An empty file that only its owner can read; nothing is written over. OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    first, part = file, 1
    while True:
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            return file
        except FileExistsError:
            part += 1
            file = first.with_name(f"{first.stem}-{part}{first.suffix}")
