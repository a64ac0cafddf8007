"""What the engine's own ears make of a recording, whichever loop asks."""

from __future__ import annotations

import asyncio
import difflib
import re

import numpy as np
from support.engine import speech_models


async def words_in(pcm16k: bytes) -> str:
    ears = speech_models().ears
    # Their thread owns the model: two at a time would spoil each other's words.
    work = ears._thread.submit(ears.transcribe_now, pcm16k)
    return str(await asyncio.to_thread(work.result))


def share(text: str, heard: str) -> float:
    """How much of ``text`` was heard, in its order, from 0 to 1. A recogniser at the end of a
    line hears one word in ten wrong on a good day."""
    said, got = (re.findall(r"[a-z']+", each.lower()) for each in (text, heard))
    same = difflib.SequenceMatcher(None, said, got, autojunk=False).get_matching_blocks()
    return sum(block.size for block in same) / len(said)


def died_away(pcm: bytes, rate: int, ms: int = 300) -> bool:
    """Has there been sound, and has it been over for ``ms``?"""
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > 300)
    return len(loud) > 0 and len(pcm) // 2 - loud[-1] > rate * ms // 1000
