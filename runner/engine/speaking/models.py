"""The speech models of one engine: one copy, shared by its sessions."""

from __future__ import annotations

from runner.engine.ports import Ears, Vad, Voice

VOICE_NOTE = "every voice name is spoken by one local voice, at its own pitch"


def missing() -> str | None:
    """Why local speech is unavailable here, in one line; None when it is available. Imports
    nothing heavy."""
    raise NotImplementedError


class LocalModels:
    """ports.Models on Moonshine, hibari and Silero. Cheap to make; ``load`` before use."""

    ears: Ears
    voice: Voice

    def load(self) -> None:
        """Load and use each model once (about 1.5 s; blocking: call it in a thread).
        MissingModels when they are not installed or cannot run here. Idempotent."""

    def vad(self) -> Vad:
        """A new voice activity detector: one for each caller."""
        raise NotImplementedError

    def close(self) -> None:
        """End the two threads and free the models; waits for the work at hand. Idempotent."""
