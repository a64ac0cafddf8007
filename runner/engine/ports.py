"""The seams inside the engine: hearing, speaking, thinking. A connection sees these only.

All audio inside the engine is mono. ``pcm16k`` is little-endian int16 at 16 kHz (hearing),
``pcm24k`` at 24 kHz (speaking). The wire's formats are converted at the connection's edge.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a brain may see: only what came over the wire.

    ``items`` are conversation items in the wire's shape and in order, user audio with its
    transcript filled in. ``tools`` are the wire's function tools. ``tool_choice`` as on the wire.
    """

    instructions: str
    items: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: Any = "auto"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Say:
    """A piece of the answer's text, in order; pieces are joined as they are."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call; ``arguments`` is JSON text."""

    name: str
    arguments: str


class BrainError(Exception):
    """The brain cannot answer. ``code`` and the message go into response.done's status_details;
    ``spoken`` is what the caller hears instead of silence."""

    def __init__(self, code: str, message: str, spoken: str) -> None:
        super().__init__(message)
        self.code = code
        self.spoken = spoken


class Brain(Protocol):
    """``think`` may run speculatively and be cancelled at any await; it must have no effects."""

    name: str

    def think(self, prompt: Prompt) -> AsyncIterator[Say | Call]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """A clause and its sound. Joined, the texts of an answer are its transcript."""

    text: str
    pcm24k: bytes


class Voice(Protocol):
    """Text to speech. ``say`` runs on the TTS thread, one clause at a time; closing the iterator
    drops what is not made yet. ``voice`` is any name (mapped), ``speed`` 0.25 to 1.5."""

    def say(self, text: str, voice: str, speed: float) -> AsyncIterator[Spoken]: ...


class Ears(Protocol):
    """Speech to text, on the one STT thread. At most 15 s at once; longer input is cut inside."""

    async def transcribe(self, pcm16k: bytes) -> str:
        """The words, '' when there are none."""
        ...


class Vad(Protocol):
    """Voice activity of one caller, stateful. 512 samples (32 ms) of pcm16k a call."""

    def __call__(self, frame: bytes) -> float:
        """Probability of speech, 0 to 1."""
        ...

    def reset(self) -> None: ...


class Models(Protocol):
    """The models of one engine, shared by its sessions and warm before ``ready``."""

    @property
    def ears(self) -> Ears: ...

    @property
    def voice(self) -> Voice: ...

    def vad(self) -> Vad: ...

    def close(self) -> None: ...
