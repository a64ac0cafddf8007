"""What the phones of tests have in common: a mouth, an ear and an end."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol, Self

from runner.audio.formats import PCM16, PCMU
from runner.media.convert import converter
from runner.tasks import Supervisor

FRAME_SECONDS = 0.02
#: 20 ms of the caller, PCM16 at 24 kHz, and of the line, mu-law at 8 kHz.
FRAME_BYTES, LINE_BYTES = 960, 160


class Tape(Protocol):
    """What records both sides, as media.tape.TapeRecorder does."""

    def caller(self, pcm24k: bytes) -> None: ...
    def agent(self, data: bytes, at: float) -> None: ...
    def cut(self, now: float) -> None: ...


class Handset(ABC):
    """``played`` is what it has played (mu-law, 8 kHz), ``failures`` what went wrong. ``over`` is
    set when the call has ended, ``reason`` says how."""

    def __init__(self, sender: str, to: str, tape: Tape | None) -> None:
        self.sender, self.to = sender, to
        self._tape = tape
        self.played = bytearray()
        self.failures: list[str] = []
        self.reason = ""
        self.over = asyncio.Event()
        #: It was answered: the phone hears and is heard.
        self.connected = asyncio.Event()
        self.spoken = asyncio.Event()
        self.spoken.set()
        self._said = bytearray()
        self._encode = converter(PCM16, PCMU)
        self._loop = asyncio.get_running_loop()
        self._tasks = Supervisor(self._failed)

    async def __aenter__(self) -> Self:
        await self.ring()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    @abstractmethod
    async def ring(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    def speak(self, pcm24k: bytes) -> None:
        """Queue speech, PCM16 at 24 kHz; ``spoken`` is set when the last of it went out. What
        was said before the call is answered is said when it is."""
        self._said += pcm24k
        self.spoken.clear()

    async def finish(self) -> None:
        """Return when what was given is spoken, or the call is over."""
        await self.spoken.wait()

    def _frame(self) -> bytes:
        """The next 20 ms of the caller as the line has them, silence when nothing is said."""
        frame = bytes(self._said[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self._said[:FRAME_BYTES]
        if self._tape is not None:
            self._tape.caller(frame)
        # The first one is 3 ms short: so much the resampler holds back.
        return self._encode(frame).rjust(LINE_BYTES, b"\xff")

    async def _paced(self, due: float) -> float:
        """A frame went out: wait for the time of the next one, and give it."""
        if not self._said:
            self.spoken.set()
        due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, due - self._loop.time()))
        return due

    def _end(self, reason: str) -> None:
        if not self.over.is_set():
            self.reason = reason
            self.over.set()
            self.spoken.set()

    def _failed(self, name: str, error: BaseException) -> None:
        self.failures.append(f"{name}: {error!r}")
        self._end(f"{name}: {error}")
