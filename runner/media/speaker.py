"""The speaker: plays what it is given, and knows how much of it was heard."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.audio.formats import PCM16, AudioFormat
from runner.audio.playback import Part
from runner.errors import DeviceError
from runner.media.device import Device, OnBack, OnFailure, OnMoved
from runner.media.portaudio import RATE, Kind, Latency
from runner.media.reference import Reference
from runner.media.tape import TapeRecorder, to_pcm16
from runner.media.upsample import Upsampler
from runner.media.virtual import VirtualSpeaker

#: So much of an answer waits to be played; a server that sends more ahead than this is broken.
WAITING_MS = 600_000
#: A block whose computed time is this close (seconds) to the end of the last one follows on it.
_STEADY = 0.05
#: What the device keeps (seconds) after it ran dry once, and again: a busy machine calls us late.
_MORE: dict[Latency, Latency] = {"low": 0.1, 0.1: 0.2}
#: Parts whose count can still be asked for.
_REMEMBERED = 64


@dataclass(slots=True)
class _Chunk:
    """Audio in the session's format; ``at`` counts the bytes already taken."""

    part: Part
    data: bytes
    at: int = 0


class Speaker(Device):
    """Plays the agent's audio, given in ``fmt``; the shape of ``transports.base.AudioSink``.

    What was heard is what the device's own callback took, counted in samples: nothing can take
    that back, and it will have sounded after the device's latency. Drained is when it has
    sounded. With a ``recorder`` (its clock being the loop's) it goes onto the tape at its time.
    When the device disappears, another takes its place and ``on_moved`` is told; when there is
    none, ``on_failure`` is and a virtual speaker plays the rest, so the call goes on; ``on_back``
    is told when there is one again. After an answer in which the device ran dry it is opened anew
    with more of a buffer: each answer begins later by so much, so nobody has it who can do without.
    """

    kind: Kind = "output"

    def __init__(
        self,
        fmt: AudioFormat = PCM16,
        *,
        device: str | int | None = None,
        recorder: TapeRecorder | None = None,
        reference: Reference | None = None,
        on_failure: OnFailure | None = None,
        on_moved: OnMoved | None = None,
        on_back: OnBack | None = None,
    ) -> None:
        super().__init__(on_failure, on_moved, on_back)
        self.on_drained: Callable[[], None] | None = None
        self._fmt = fmt
        self._decode = to_pcm16(fmt)
        self._factor = RATE // fmt.rate
        self._upsampler = Upsampler(self._factor)
        self._recorder = recorder
        self._reference = reference
        self._queue: deque[_Chunk] = deque()
        self._queued = 0
        self._played: dict[Part, int] = {}
        #: Heard, with its time.monotonic(), and not on the tape yet: PortAudio waits for no disk.
        self._for_tape: list[tuple[bytes, float]] = []
        self._dry = True
        self._steady = False
        self._flushes = 0
        self._ends = 0.0
        self._drain: asyncio.TimerHandle | None = None
        #: Plays by the clock while ``_by_clock``; remembers what was heard of it afterwards.
        self._virtual: VirtualSpeaker | None = None
        self._by_clock = False
        #: In the block before; since the stream was opened.
        self._slipping = self._slipped = False
        #: Milliseconds refused because far too much was waiting already.
        self.dropped_ms = 0.0
        #: How often the device ran out of sound in the middle of it, since we came too late.
        self.underruns = 0
        self._open(device)

    # -- the loop's side ---------------------------------------------------------------------
    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        if self._virtual is not None and self._by_clock:
            self._virtual.play(item_id, content_index, data)
            return
        data = data[: self._fmt.samples(len(data)) * self._fmt.bytes_per_sample]
        if not data or self._closed:
            return
        with self._lock:
            if self._fmt.ms(self._queued + len(data)) > WAITING_MS:
                self.dropped_ms += self._fmt.ms(len(data))
                return
            self._queue.append(_Chunk((item_id, content_index), data))
            self._queued += len(data)
            self._dry = False
        self._to_tape()

    def flush(self) -> None:
        if self._virtual is not None and self._by_clock:
            self._virtual.flush()
            return
        with self._lock:
            self._forget()
        self._to_tape()

    def heard(self, item_id: str, content_index: int) -> int:
        part = (item_id, content_index)
        with self._lock:
            count = self._played.get(part, 0)
        return count if self._virtual is None else count + self._virtual.heard(*part)

    @property
    def idle(self) -> bool:
        if self._virtual is not None and self._by_clock:
            return self._virtual.idle
        with self._lock:
            return not self._queue and time.monotonic() >= self._ends

    def close(self) -> None:
        if not self._closed:
            self.flush()
        if self._virtual is not None:
            self._virtual.close()
        super().close()

    def _dried(self, ends: float, flushes: int) -> None:
        """The device took the last of what was queued; it sounds until ``ends``."""
        if flushes != self._flushes:
            return
        if self._drain is not None:
            self._drain.cancel()
        self._drain = self._loop.call_later(max(0.0, ends - time.monotonic()), self._drained)

    def _drained(self) -> None:
        self._drain = None
        if self._by_clock or self._closed:
            return
        self._to_tape()
        with self._lock:
            if not self._dry:
                return  # more came; the device will run dry again
            ends = self._ends
        if ends > time.monotonic():
            self._dried(ends, self._flushes)
            return
        if self._slipped and self._latency in _MORE:
            self._latency, self._slipped = _MORE[self._latency], False
            self.reopen()
        if self.on_drained is not None:
            self.on_drained()

    def _gone(self) -> None:
        """Go on without the device: what it did not take is played by the clock."""
        if self._virtual is None:
            self._virtual = VirtualSpeaker(self._fmt, self._recorder)
            self._virtual.on_drained = self._virtual_drained
        virtual, self._by_clock = self._virtual, True
        with self._lock:
            waiting = [(c.part, c.data[c.at :]) for c in self._queue]
            was_playing = self._drain is not None
            self._forget()
        self._to_tape()
        for part, data in waiting:
            virtual.play(*part, data)
        if was_playing and not waiting:
            self._loop.call_soon(self._virtual_drained)
        self._on_failure(
            DeviceError(f"the speaker {self.name} is gone", "the call goes on without sound")
        )

    def _back(self) -> None:
        if self._virtual is not None and self._virtual.idle:
            self._by_clock = False

    def _virtual_drained(self) -> None:
        # A device that is back takes over between two answers.
        self._by_clock = self._silent
        if self.on_drained is not None:
            self.on_drained()

    def _to_tape(self) -> None:
        if self._recorder is None:
            return
        with self._lock:
            heard, self._for_tape = self._for_tape, []
        offset = self._loop.time() - time.monotonic()
        for data, at in heard:
            self._recorder.agent(data, at + offset)

    def _forget(self) -> None:
        """Under the lock: nothing waits any more."""
        self._queue.clear()
        self._queued = 0
        self._upsampler.reset()
        self._flushes += 1
        self._dry = True
        self._steady = False
        self._ends = 0.0
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    # -- PortAudio's thread ----------------------------------------------------------------------
    def _call(self, buffer: Any, frames: int, latency: float, slipped: bool) -> None:
        wanted = frames // self._factor
        with self._lock:
            if slipped and self._steady and not self._slipping:
                self.underruns += 1
                # While it wakes up a device may do so at its best.
                self._slipped = time.monotonic() > self._awake_at
            self._slipping = slipped  # several blocks of one gap are one
            self._last_call = now = time.monotonic()
            sound = self._decode(self._next(wanted, now + latency)).ljust(2 * wanted, b"\0")
            samples = self._upsampler.process(np.frombuffer(sound, "<i2"))
            ran_dry = not self._queue and not self._dry
            self._dry = self._dry or ran_dry
            ends, flushes = self._ends, self._flushes
        if self._reference is not None:
            self._reference.write(samples, now + latency)
        # Channels by the size: the first callback may come before the stream is assigned.
        buffer[:] = np.repeat(samples, len(buffer) // (2 * frames)).tobytes()
        if ran_dry:
            self._in_loop(self._dried, ends, flushes)

    def _next(self, samples: int, at: float) -> bytes:
        """Up to so many samples from the queue, which sound from ``at`` on."""
        size = samples * self._fmt.bytes_per_sample
        if self._steady and abs(at - self._ends) < _STEADY:
            at = self._ends  # no gap: the callbacks' own jitter is not in the sound
        taken = bytearray()
        while self._queue and len(taken) < size:
            chunk = self._queue[0]
            piece = chunk.data[chunk.at : chunk.at + size - len(taken)]
            chunk.at += len(piece)
            if chunk.at >= len(chunk.data):
                self._queue.popleft()
            taken += piece
            if self._recorder is not None:
                self._for_tape.append((piece, at))
            count = self._fmt.samples(len(piece))
            # Taken out and put back, so that the oldest part is the first to be forgotten.
            self._played[chunk.part] = self._played.pop(chunk.part, 0) + count
            self._ends = at = at + count / self._fmt.rate
        if len(self._played) > _REMEMBERED:
            del self._played[next(iter(self._played))]
        self._queued -= len(taken)
        self._steady = len(taken) == size
        return bytes(taken)
