"""The voice of a caller who has none: the engine's own, at another pitch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from runner.errors import MissingModels
from runner.tasks import in_thread

#: Speaks a text: PCM16 at 24 kHz, in parts.
Say = Callable[[str], AsyncIterator[bytes]]


class LocalVoice:
    """Text to PCM16 at 24 kHz in this process, loaded when the first sentence is said."""

    def __init__(self) -> None:
        from runner.engine.speaking.models import missing
        from runner.engine.speaking.tts import HibariVoice

        why = missing()
        if why is not None:
            raise MissingModels(
                f"speaking needs the local voice: {why}",
                "pip install 'rtrun[local]' (in a checkout: pip install -e '.[local]')",
            )
        self._voice = HibariVoice()
        self._loaded = False

    async def say(self, text: str) -> AsyncIterator[bytes]:
        if not self._loaded:
            await in_thread(self._voice.load)
            self._loaded = True
        async for spoken in self._voice.say(text, "caller", 1.0):
            yield spoken.pcm24k

    def close(self) -> None:
        self._voice.close()


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
