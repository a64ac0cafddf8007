"""A voice of our own, the engine's: it speaks for a caller who has none, and to a caller whose
agent is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

from runner.audio.formats import PCM16, AudioFormat
from runner.errors import MissingModels
from runner.tasks import in_thread
from runner.transports.base import AudioSink

#: Speaks a text: PCM16 at 24 kHz, in parts.
Say = Callable[[str], AsyncIterator[bytes]]

#: Whose words they are, for whoever plays them.
_ITEM = "on_failure"
_POLL_SECONDS = 0.02
_CLIPS = 16
#: A device that never says that it has played everything is not waited for longer than this.
_SLACK_SECONDS = 2.0


class LocalVoice:
    """Text to PCM16 at 24 kHz in this process, loaded when the first sentence is said."""

    def __init__(self, name: str = "caller") -> None:
        from runner.engine.speaking.models import missing
        from runner.engine.speaking.tts import HibariVoice

        why = missing()
        if why is not None:
            raise MissingModels(
                f"speaking needs the local voice: {why}",
                "pip install 'rtrun[local]' (in a checkout: pip install -e '.[local]')",
            )
        self._name = name
        self._voice = HibariVoice()
        self._loaded = False

    async def say(self, text: str) -> AsyncIterator[bytes]:
        if not self._loaded:
            await in_thread(self._voice.load)
            self._loaded = True
        async for spoken in self._voice.say(text, self._name, 1.0):
            yield spoken.pcm24k

    def close(self) -> None:
        self._voice.close()


class Clip:
    """Words that are spoken when no server can: made once, and then there at once."""

    #: The newest of all deployments: many say the same.
    _made: ClassVar[dict[str, bytes]] = {}

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def prepare(self, text: str) -> bytes:
        """The words as PCM16 at 24 kHz. MissingModels when the voice is not installed."""
        async with self._one_at_a_time:
            if text not in self._made:
                voice = LocalVoice("alloy")
                try:
                    sound = b"".join([part async for part in voice.say(text)])
                finally:
                    await in_thread(voice.close)
                self._made[text] = sound
                while len(self._made) > _CLIPS:
                    del self._made[next(iter(self._made))]
                return sound
            return self._made[text]

    async def play(self, text: str, sink: AudioSink, fmt: AudioFormat) -> None:
        """In place of what sounds there, until it has been heard."""
        from runner.media.convert import converter  # numpy

        data = converter(PCM16, fmt)(await self.prepare(text))
        sink.flush()
        sink.play(_ITEM, 0, data)
        for _ in range(int((fmt.ms(len(data)) / 1000 + _SLACK_SECONDS) / _POLL_SECONDS)):
            if sink.idle:
                return
            await asyncio.sleep(_POLL_SECONDS)
