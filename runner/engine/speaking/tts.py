"""Text to speech: hibari on one thread.

Its wheel carries one English voice and any other name makes it reach for a download, so every
voice name of the wire is that one voice at its own pitch. Measured: a clause takes 15 to 130 ms,
and begins with 240 to 310 ms of silence, which is cut.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import numpy as np
import soxr

from runner.engine.hearing.vad import INSTALL_HINT
from runner.engine.ports import Spoken
from runner.engine.speaking.clauses import ClauseSplitter
from runner.engine.speaking.spoken import spoken
from runner.engine.worker import worker
from runner.errors import MissingModels

RATE = 24000
_SEED = 0  # the same text sounds the same: a recording can be compared
_GAIN = 1.6  # the model peaks between 0.2 and 0.5; one gain for all keeps the clauses even
_PEAK = 0.9
_AUDIBLE = 0.004
_LEAD_MS = 15
_FADE_MS = 5
_NOTHING_MS = 120  # for a clause with nothing to say in it, such as an emoji

# Pitch of OpenAI's voices, as a factor. Lower for those that sound male there.
_PITCH = {
    "alloy": 1.0, "ash": 0.88, "ballad": 0.93, "cedar": 0.87, "coral": 1.06, "echo": 0.9,
    "fable": 0.95, "marin": 1.03, "nova": 1.09, "onyx": 0.86, "sage": 1.0, "shimmer": 1.08,
    "verse": 0.91,
}  # fmt: skip

_Sound = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def pitch(voice: str) -> float:
    """The factor of a voice name, 0.86 to 1.12; the same name always has the same."""
    name = voice.strip().lower()
    return _PITCH.get(name) or round(0.88 + crc32(name.encode()) % 25 / 100, 2)


class HibariVoice:
    """ports.Voice. :meth:`load` blocks until the model is there."""

    def __init__(self) -> None:
        self._thread = worker("rtrun-tts")
        self._model: Any = None

    def load(self) -> None:
        """Load the model. MissingModels when hibari is not installed or cannot run."""
        self._thread.submit(self._load).result()

    def warm(self) -> None:
        """Use the model once, the net for unknown words too. Blocking."""
        self._thread.submit(self.speak_now, "Hello, Northwind at 9:30.", "echo", 1.0).result()

    async def say(self, text: str, voice: str, speed: float) -> AsyncIterator[Spoken]:
        """The clauses of ``text`` with their sound, in order, each as soon as it is made.
        ``speed`` outside 0.25 to 1.5 is taken as the nearest of these."""
        loop = asyncio.get_running_loop()
        # What comes may be one clause of an answer already: no haste with its beginning.
        splitter = ClauseSplitter(first=60)
        for clause in [*splitter.feed(text), *splitter.end()]:
            pcm = await loop.run_in_executor(self._thread, self.speak_now, clause, voice, speed)
            yield Spoken(clause, pcm)

    def close(self) -> None:
        """Wait for the clause at hand, drop what waits. Idempotent."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._model = None

    # -- on the TTS thread -----------------------------------------------------------------

    def _load(self) -> None:
        if self._model is not None:
            return
        try:
            from hibari import Hibari

            self._model = Hibari(voice="heart")
        except (ImportError, OSError) as error:
            raise MissingModels(f"the voice cannot start: {error}", INSTALL_HINT) from None

    def speak_now(self, text: str, voice: str, speed: float) -> bytes:
        """Blocking, on the TTS thread only: one clause as pcm24k, its pause included."""
        speed = min(1.5, max(0.25, speed))
        words = spoken(text)
        sound = self._synthesise(words, pitch(voice), speed) if words else None
        if sound is None or not len(sound):
            return bytes(2 * RATE * _NOTHING_MS // 1000)
        rest = np.zeros(int(RATE * _pause_ms(text) / 1000 / max(speed, 0.5)), np.float32)
        whole = np.concatenate([sound, rest])
        return (whole * 32767).astype("<i2").tobytes()

    def _synthesise(self, words: str, pitch: float, speed: float) -> _Sound:
        # Read faster or slower by as much as the change of pitch takes away or adds.
        raw: _Sound = self._model(words, speed=speed / pitch, seed=_SEED)
        sound = _trimmed(np.nan_to_num(raw))
        if len(sound) and pitch != 1.0:
            sound = soxr.resample(sound, RATE * pitch, RATE, quality="MQ")
        if not len(sound):
            return sound
        sound = sound * min(_GAIN, _PEAK / float(np.abs(sound).max()))
        edge = min(RATE * _FADE_MS // 1000, len(sound) // 2)
        ramp = np.linspace(0, 1, edge, dtype=np.float32)
        sound[:edge] *= ramp
        sound[len(sound) - edge :] *= ramp[::-1]
        return sound


def _trimmed(sound: _Sound) -> _Sound:
    """Without the silence before the first and after the last sound."""
    audible = np.flatnonzero(np.abs(sound) > _AUDIBLE)
    if not len(audible):
        return sound[:0]
    lead = RATE * _LEAD_MS // 1000
    return sound[max(0, audible[0] - lead) : audible[-1] + 2 * lead]


def _pause_ms(text: str) -> int:
    """How long a speaker rests behind ``text``."""
    mark = re.sub(r"[\s\"'”’)\]]+$", "", text)[-1:]
    if "\n" in text[len(text.rstrip()) :]:
        return 400
    if mark in ".!?…。！？":
        return 280
    return 120 if mark in ",;:—–，；" else 60


__all__ = ["RATE", "HibariVoice", "pitch"]
