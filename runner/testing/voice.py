"""The voice of callers who have none, many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from runner.voice import LocalVoice, Say


@contextmanager
def speaker() -> Iterator[Callable[[], Say]]:
    """A voice for any number of calls at once, loaded when the first of them speaks."""
    voices: list[LocalVoice] = []
    one_at_a_time = asyncio.Lock()

    async def say(text: str) -> AsyncIterator[bytes]:
        async with one_at_a_time:
            async for part in voices[0].say(text):
                yield part

    def loaded() -> Say:
        """MissingModels when it is not installed."""
        if not voices:
            voices.append(LocalVoice())
        return say

    try:
        yield loaded
    finally:
        for voice in voices:
            voice.close()


__all__ = ["LocalVoice", "Say", "speaker"]
