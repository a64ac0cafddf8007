"""The local caller: a microphone, a WAV file, sentences spoken by the local voice, or typing.

Each one speaks to a live session as a caller on the line would: audio in 20 ms frames at real
time with silence in between, typed turns one by one. They end when their input has ended.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TextIO

from runner.errors import NotConnectedError
from runner.session import RealtimeSession
from runner.testing.caller import Ear, Speaks

#: A run ends when its input has ended and nothing was said for so long (DESIGN: Time).
END_QUIET_SECONDS = 2.0


async def play_wav(ear: Ear, mouth: Speaks, pcm24k: bytes) -> None:
    """A recording as the caller, begun when the greeting is over."""
    await ear.quiet(0.3)
    mouth.speak(pcm24k)
    await mouth.finish()
    await ear.quiet(END_QUIET_SECONDS)


async def say_all(
    ear: Ear, mouth: Speaks, texts: Sequence[str], voice: Callable[[str], AsyncIterator[bytes]]
) -> None:
    """One spoken turn a text, each after the answer to the one before."""
    await ear.quiet(0.3)
    for text in texts:
        before = ear.turns
        async for pcm in voice(text):
            mouth.speak(pcm)
        await mouth.finish()
        await ear.answered(before)
    await ear.quiet(END_QUIET_SECONDS)


async def type_all(
    session: RealtimeSession,
    ear: Ear,
    lines: AsyncIterator[str],
    shown: Callable[[], None],
    *,
    interrupts: bool,
) -> None:
    """One typed turn a line. On a pipe a line waits for the answer to the one before; a person
    at a terminal may cut the agent short (``interrupts``)."""
    await ear.quiet(0.1)
    shown()
    async for line in lines:
        text = line.strip()
        if not text:
            shown()
            continue
        try:
            if ear.busy and interrupts:
                session.interrupt()
            elif ear.busy:
                await ear.quiet(0.0)
            before = ear.turns
            session.send_message(text)
        except NotConnectedError:
            await ear.over.wait()
            return
        if not interrupts:
            await ear.answered(before)
        shown()
    await ear.quiet(END_QUIET_SECONDS)


async def typed_lines(stream: TextIO | None) -> AsyncIterator[str]:
    """Lines of ``stream``, read in a thread of its own: standard input may be a file, a pipe or
    a terminal, and a blocked read must not keep the process from ending. None (it was closed
    before we began) has no lines."""
    if stream is None:
        return
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1000)

    def read() -> None:
        try:
            for line in stream:
                asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(queue.put(None), loop).result()
        except (RuntimeError, ValueError, OSError):
            return  # the loop is gone, or the stream was closed under us

    threading.Thread(target=read, name="standard input", daemon=True).start()
    while (line := await queue.get()) is not None:
        yield line


class Lines:
    """Typed lines for ``count`` calls: each line is a turn in every one of them."""

    def __init__(self, lines: AsyncIterator[str], count: int) -> None:
        self._lines = lines
        # A call that thinks for long holds the others back only when it is far behind.
        self._queues = [asyncio.Queue[str | None](maxsize=1000) for _ in range(count)]

    def readers(self) -> list[AsyncIterator[str]]:
        if len(self._queues) == 1:
            return [self._lines]
        return [self._read(queue) for queue in self._queues]

    async def pump(self) -> None:
        """Hand lines on until there are none; needed for more than one call."""
        async for line in self._lines:
            for queue in tuple(self._queues):
                await queue.put(line)
        for queue in tuple(self._queues):
            await queue.put(None)

    async def _read(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        while (line := await queue.get()) is not None:
            yield line


def on_terminal() -> bool:
    """Does a person type on standard input?"""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False
