"""What the engine's own ears make of a recording, whichever loop asks."""

from __future__ import annotations

import asyncio

from support.engine import speech_models


async def words_in(pcm16k: bytes) -> str:
    ears = speech_models().ears
    # Their thread owns the model: two at a time would spoil each other's words.
    work = ears._thread.submit(ears.transcribe_now, pcm16k)
    return str(await asyncio.to_thread(work.result))
