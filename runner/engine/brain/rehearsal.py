"""The brain without a model: a rehearsal of a deployment, from nothing but what the wire brought.

It answers from the instructions, fills tools' parameters from what was said, and says honestly
what it can help with when nothing fits. Same prompt, same answer: no randomness, no clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from runner.engine.brain.mind import Mind
from runner.engine.brain.speech import sentences
from runner.engine.ports import Call, Prompt, Say


class Rehearsal:
    """Implements :class:`runner.engine.ports.Brain`; has no state, so one serves every session."""

    name = "rehearsal"

    def __init__(self) -> None:
        # The first answer compiles what all later ones use: 70 ms that no caller should wait.
        words = {"type": "input_text", "text": "When are you open?"}
        item = {"type": "message", "role": "user", "content": [words]}
        Mind(Prompt("You are Ada. We are open from 9 to 5, Monday to Friday.", [item])).reply()

    async def think(self, prompt: Prompt) -> AsyncIterator[Say | Call]:
        """The answer, sentence by sentence, then calls. Everything is known at once."""
        reply = Mind(prompt).reply()
        pieces = [reply.text] if reply.verbatim and reply.text else sentences(reply.text)
        for number, piece in enumerate(pieces):
            yield Say(piece if number == len(pieces) - 1 else piece + " ")
        for call in reply.calls:
            yield call

    async def close(self) -> None:
        return None
