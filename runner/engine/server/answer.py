"""An answer in the making: the brain's words cut into clauses, each clause with its sound.

It may be made before anybody knows whether it is wanted (speculation): then it goes as far as
the first clause and waits. Nothing here is visible on the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from runner.engine.ports import Brain, BrainError, Call, Prompt, Say, Spoken, Voice
from runner.engine.speaking.clauses import ClauseSplitter

# Sound made ahead of what was taken: enough that a slow clause never leaves a gap, little enough
# that a cancelled monologue costs nothing (20 s of pcm 24 kHz is 960 kB).
AHEAD_MS = 20_000
PCM24K_BYTES_A_MS = 48
SORRY = "I'm sorry, something went wrong on my side. Could you say that again?"


@dataclass(frozen=True, slots=True)
class Failure:
    """The brain or the voice failed; what the caller hears instead came before."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """How the answer is voiced; ``voice`` None: it is text."""

    voice: Voice | None
    name: str = ""
    speed: float = 1.0


Piece = Say | Spoken | Call | Failure


@dataclass(slots=True)
class Timings:
    """time.monotonic() of the first of each, 0.0 when there was none. For the benchmark."""

    started: float = 0.0
    words: float = 0.0
    sound: float = 0.0


@dataclass(slots=True)
class Answer:
    """``make`` in a task of its own, ``take`` piece by piece from another."""

    brain: Brain
    prompt: Prompt
    speaker: Speaker
    held: bool = False
    timings: Timings = field(default_factory=Timings)
    _pieces: deque[Piece] = field(default_factory=deque)
    _ahead_ms: float = 0.0
    _over: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def attach(self, task: asyncio.Task[None]) -> None:
        """The task that runs make(), so that drop() can end it."""
        self._task = task

    def fits(self, prompt: Prompt, speaker: Speaker) -> bool:
        """Whether this is what would be made now."""
        return self.prompt == prompt and self.speaker == speaker

    def release(self) -> None:
        """It is wanted: go on after the first clause."""
        self.held = False
        self._changed.set()

    def drop(self) -> None:
        """It is not wanted any more."""
        self._over = True
        self._pieces.clear()
        self._changed.set()
        if self._task is not None:
            self._task.cancel()

    async def take(self) -> Piece | None:
        """The next piece in order, None at the end."""
        while not self._pieces:
            if self._over:
                return None
            self._changed.clear()
            await self._changed.wait()
        piece = self._pieces.popleft()
        if isinstance(piece, Spoken):
            self._ahead_ms -= len(piece.pcm24k) / PCM24K_BYTES_A_MS
            self._changed.set()
        return piece

    async def make(self) -> None:
        """Think and speak to the end. Failures become pieces; only cancellation gets out."""
        self.timings.started = time.monotonic()
        try:
            await self._think()
        except BrainError as error:
            await self._apologise(error.spoken, Failure(error.code, str(error)))
        except Exception as error:  # a brain of the user's own, or the voice
            failure = Failure("server_error", f"{type(error).__name__}: {error}")
            await self._apologise(SORRY, failure)
        finally:
            self._over = True
            self._changed.set()

    async def _think(self) -> None:
        splitter = ClauseSplitter()
        async with aclosing(_generator(self.brain.think(self.prompt))) as thoughts:
            async for thought in thoughts:
                if not self.timings.words:
                    self.timings.words = time.monotonic()
                if isinstance(thought, Call):
                    for clause in splitter.end():
                        await self._voice(clause)
                    await self._put(thought)
                elif self.speaker.voice is None:
                    await self._put(thought)
                else:
                    for clause in splitter.feed(thought.text):
                        await self._voice(clause)
        for clause in splitter.end():
            await self._voice(clause)

    async def _voice(self, clause: str) -> None:
        voice = self.speaker.voice
        assert voice is not None
        said = voice.say(clause, self.speaker.name, self.speaker.speed)
        async with aclosing(_generator(said)) as spoken:
            async for piece in spoken:
                if not self.timings.sound:
                    self.timings.sound = time.monotonic()
                await self._put(piece)

    async def _apologise(self, spoken: str, failure: Failure) -> None:
        # The voice itself may be what failed: then the words alone, and the failure behind them.
        try:
            if self.speaker.voice is None:
                await self._put(Say(spoken))
            else:
                await self._voice(spoken)
        except Exception as error:
            await self._put(Failure("server_error", f"{type(error).__name__}: {error}"))
            return
        await self._put(failure)

    async def _put(self, piece: Piece) -> None:
        self._pieces.append(piece)
        if isinstance(piece, Spoken):
            self._ahead_ms += len(piece.pcm24k) / PCM24K_BYTES_A_MS
        self._changed.set()
        while self.held or self._ahead_ms > AHEAD_MS:
            self._changed.clear()
            await self._changed.wait()


def _generator(source: AsyncIterator[Any]) -> Any:
    """Brains and voices are async generators; one that is a plain iterator gets a close."""
    if hasattr(source, "aclose"):
        return source

    async def wrapped() -> AsyncIterator[Any]:
        async for item in source:
            yield item

    return wrapped()
