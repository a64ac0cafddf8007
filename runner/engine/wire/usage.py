"""Token counts in the shape of response.done's usage.

The rules, as OpenAI's pricing notes state them for audio: a caller's audio is 1 token per 100 ms,
the agent's 1 per 50 ms. Text has no tokenizer here and is counted as 1 token per 4 characters,
rounded up. What a response reads is cached as far as it begins with what the response before it
read and wrote, so editing the instructions or deleting an item shows in the next usage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from runner import codec

IMAGE_TOKENS = 765
"""An input image, whatever its size: the count of one high-detail tile set."""


def text_tokens(text: str) -> int:
    return ceil(len(text) / 4)


def input_audio_tokens(ms: float) -> int:
    return ceil(ms / 100)


def output_audio_tokens(ms: float) -> int:
    return ceil(ms / 50)


def output_ms(tokens: int) -> int:
    """Milliseconds of speech that ``tokens`` audio tokens pay for."""
    return tokens * 50


@dataclass(frozen=True, slots=True)
class Weight:
    """What one item costs as input. ``key`` changes when the item does."""

    key: object
    text: int = 0
    audio: int = 0
    image: int = 0


def prefix_weight(instructions: str, tools: Sequence[Mapping[str, Any]]) -> Weight:
    """Instructions and tools, which stand before every conversation."""
    written = codec.dumps([dict(t) for t in tools]) if tools else ""
    return Weight((instructions, written), text_tokens(instructions) + text_tokens(written))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response; ``cached_*`` are part of the inputs."""

    input_text: int = 0
    input_audio: int = 0
    input_image: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    output_text: int = 0
    output_audio: int = 0

    @property
    def input_tokens(self) -> int:
        return self.input_text + self.input_audio + self.input_image

    @property
    def output_tokens(self) -> int:
        return self.output_text + self.output_audio

    def wire(self) -> dict[str, Any]:
        """The ``usage`` object of a response."""
        return {
            "total_tokens": self.input_tokens + self.output_tokens,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "input_token_details": {
                "text_tokens": self.input_text,
                "audio_tokens": self.input_audio,
                "image_tokens": self.input_image,
                "cached_tokens": self.cached_text + self.cached_audio + self.cached_image,
                "cached_tokens_details": {
                    "text_tokens": self.cached_text,
                    "audio_tokens": self.cached_audio,
                    "image_tokens": self.cached_image,
                },
            },
            "output_token_details": {
                "text_tokens": self.output_text,
                "audio_tokens": self.output_audio,
            },
        }


class Meter:
    """Usage of one session's responses; remembers what the last one read, for the cache."""

    def __init__(self) -> None:
        self._read: tuple[Weight, ...] = ()

    def response(
        self,
        context: Sequence[Weight],
        *,
        text: str = "",
        audio_ms: float = 0.0,
        keep: bool = True,
    ) -> Usage:
        """``context`` is :func:`prefix_weight` and then the items read; ``text`` all that was
        written (answer, transcript, arguments) and ``audio_ms`` what was spoken. ``keep`` False
        for an out-of-band response, which leaves the conversation's cache as it is."""
        cached = 0
        for before, now in zip(self._read, context, strict=False):
            if before != now:
                break
            cached += 1
        if keep:
            self._read = tuple(context)
        warm = context[:cached]
        return Usage(
            input_text=sum(w.text for w in context),
            input_audio=sum(w.audio for w in context),
            input_image=sum(w.image for w in context),
            cached_text=sum(w.text for w in warm),
            cached_audio=sum(w.audio for w in warm),
            cached_image=sum(w.image for w in warm),
            output_text=text_tokens(text),
            output_audio=output_audio_tokens(audio_ms),
        )


def transcription(model: str, ms: float, text: str) -> dict[str, Any]:
    """``usage`` of a completed transcription: whisper-1 is billed by time, the others by token."""
    if model == "whisper-1":
        return {"type": "duration", "seconds": ceil(ms / 1000)}
    audio, out = input_audio_tokens(ms), text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": audio + out,
        "input_tokens": audio,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
        "output_tokens": out,
    }
