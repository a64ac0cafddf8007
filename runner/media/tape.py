"""A recording of a call as it was heard: the caller left, the agent right, on one clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from os import PathLike

from runner.audio.formats import PCM16, AudioFormat
from runner.audio.g711 import alaw_decode, ulaw_decode
from runner.errors import AudioFileError
from runner.media.resample import Resampler
from runner.media.wav import StereoWriter

#: A caller's block that comes this much (seconds) off its time still follows on the last one:
#: blocks arrive with the jitter of the machine, and each gap would be a click.
_JITTER = 0.1
#: The agent's chunks have computed times; more than this is a real gap.
_ROUNDING = 0.001


def to_pcm16(fmt: AudioFormat) -> Callable[[bytes], bytes]:
    """What turns audio of ``fmt`` into PCM16 of the same rate."""
    if fmt.type == "audio/pcmu":
        return ulaw_decode
    if fmt.type == "audio/pcma":
        return alaw_decode
    return _same


def _same(data: bytes) -> bytes:
    return data


class TapeRecorder:
    """Writes ``--out FILE.wav``. All times are of ``clock``, in seconds; the recording begins at
    ``clock()`` of its creation. ``fmt`` is the format of the agent's audio.

    The agent's audio may be handed over before it is heard: it waits here until its time has
    come, and ``cut`` takes back what was not heard. AudioFileError when the file cannot be
    created; a failure later ends the recording and goes to ``on_failure``, once.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        clock: Callable[[], float],
        fmt: AudioFormat = PCM16,
        rate: int = 24000,
        on_failure: Callable[[AudioFileError], None] | None = None,
    ) -> None:
        self._writer = StereoWriter(path, rate)
        self._clock = clock
        self._t0 = clock()
        self._on_failure = on_failure or (lambda error: None)
        self._open = True
        self._fmt = fmt
        self._decode = to_pcm16(fmt)
        self._caller = _Side(self._writer.caller, self._t0, rate, rate, _JITTER)
        self._agent = _Side(self._writer.agent, self._t0, fmt.rate, rate, _ROUNDING)
        #: (time of the first sample, bytes in ``fmt``), in order, not heard yet.
        self._ahead: deque[tuple[float, bytes]] = deque()

    @property
    def seconds(self) -> float:
        """Length of what is written."""
        return self._writer.samples / self._writer.rate

    def caller(self, pcm16: bytes, at: float | None = None) -> None:
        """PCM16 of the caller at the tape's rate, its first sample at ``at`` (default now)."""
        now = self._clock()
        self._write(self._caller, now if at is None else at, pcm16)
        self.advance(now)

    def agent(self, data: bytes, at: float) -> None:
        """Audio of the agent that sounds from ``at`` on, now or later; calls in order of time."""
        if self._open and data:
            self._ahead.append((at, data))
        self.advance(self._clock())

    def advance(self, now: float) -> None:
        """Write what has sounded whole by ``now``."""
        while self._ahead:
            at, data = self._ahead[0]
            if at + self._fmt.samples(len(data)) / self._fmt.rate > now:
                return
            self._ahead.popleft()
            self._write(self._agent, at, self._decode(data))

    def cut(self, now: float) -> None:
        """The agent falls silent at ``now``: what would have sounded later is dropped."""
        self.advance(now)
        if self._ahead:
            at, data = self._ahead.popleft()
            heard = max(0, int((now - at) * self._fmt.rate + 1e-6)) * self._fmt.bytes_per_sample
            if heard:
                self._write(self._agent, at, self._decode(data[:heard]))
            self._ahead.clear()

    def close(self) -> None:
        """Finish the file with what was heard until now. Idempotent."""
        if not self._open:
            return
        self.cut(self._clock())
        try:
            if self._open:
                self._agent.rest()
                self._writer.close()
        except AudioFileError as error:
            self._on_failure(error)
        self._open = False

    def _write(self, side: _Side, at: float, pcm16: bytes) -> None:
        if not self._open:
            return
        try:
            side.write(at, pcm16)
        except AudioFileError as error:
            # A full disk must not end the call.
            self._open = False
            self._ahead.clear()
            with suppress(AudioFileError):
                self._writer.close()
            self._on_failure(error)


class _Side:
    """One channel: chunks that follow on each other are one stream of samples."""

    def __init__(
        self,
        write: Callable[[int, bytes], None],
        t0: float,
        rate_in: int,
        rate_out: int,
        tolerance: float,
    ) -> None:
        self._put = write
        self._t0 = t0
        self._rate_in = rate_in
        self._rate_out = rate_out
        self._tolerance = tolerance
        self._resampler = Resampler(rate_in, rate_out)
        self._end = 0
        self._next_at: float | None = None

    def write(self, at: float, pcm16: bytes) -> None:
        if self._next_at is None or abs(at - self._next_at) > self._tolerance:
            self.rest()
            self._end = round((at - self._t0) * self._rate_out)
            self._next_at = at
        self._next_at += len(pcm16) / 2 / self._rate_in
        self._append(self._resampler.process(pcm16))

    def rest(self) -> None:
        """What the resampler still holds of the stream that ended."""
        if self._next_at is not None:
            self._append(self._resampler.flush())

    def _append(self, pcm16: bytes) -> None:
        if pcm16:
            self._put(self._end, pcm16)
            self._end += len(pcm16) // 2
