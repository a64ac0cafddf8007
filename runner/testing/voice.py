"""The voice of a caller who has none: the engine's own, at another pitch."""

from __future__ import annotations

from collections.abc import AsyncIterator

from runner.errors import MissingModels
from runner.tasks import in_thread


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
