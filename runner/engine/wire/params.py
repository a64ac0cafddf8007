"""What one response.create asks for, resolved against the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.audio.formats import AudioFormat
from runner.engine.wire.items import Items
from runner.engine.wire.settings import Settings


@dataclass(frozen=True, slots=True)
class ResponseParams:
    """``input`` None: the conversation is the context; else the context itself, references
    resolved, never stored. ``metadata`` None when none was sent."""

    modalities: tuple[str, ...]
    instructions: str
    output_format: AudioFormat
    voice: str
    speed: float
    tools: tuple[Mapping[str, Any], ...]
    tool_choice: Any
    max_output_tokens: int | str
    conversation: str
    metadata: Mapping[str, str] | None
    input: tuple[Mapping[str, Any], ...] | None

    @property
    def out_of_band(self) -> bool:
        return self.conversation == "none"

    @property
    def audio(self) -> bool:
        """Whether the answer is spoken."""
        return "audio" in self.modalities

    @classmethod
    def parse(
        cls,
        response: Any,
        settings: Settings,
        items: Items,
        *,
        audio_produced: bool = False,
        event_id: str | None = None,
    ) -> ResponseParams:
        """``response`` is the object of response.create, None (or {}) for the session's own
        settings, as when turn detection starts the response."""
        raise NotImplementedError
