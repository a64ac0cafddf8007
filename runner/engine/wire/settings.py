"""The session: defaults, ``session.update`` and the echo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from runner.audio.formats import AudioFormat


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Effective turn detection. ``eagerness`` counts for semantic_vad, the numbers for
    server_vad; ``idle_timeout_ms`` None is off."""

    kind: Literal["server_vad", "semantic_vad"]
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    eagerness: Literal["auto", "low", "medium", "high"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = None


class Settings:
    def __init__(
        self,
        model: str,
        session_id: str,
        *,
        type: Literal["realtime", "transcription"] = "realtime",
        expires_at: int = 0,
    ) -> None:
        """``expires_at`` in unix seconds."""
        raise NotImplementedError

    def effective(self) -> dict[str, Any]:
        """The full session in GA shape, a fresh copy."""
        raise NotImplementedError

    def update(
        self,
        patch: dict[str, Any],
        *,
        audio_produced: bool = False,
        responding: bool = False,
        event_id: str | None = None,
    ) -> None:
        """Merge the ``session`` object of a session.update. WireError: nothing has changed."""
        raise NotImplementedError

    model: str
    turn_detection: TurnDetection | None
    input_format: AudioFormat
    output_format: AudioFormat
    transcription: dict[str, Any] | None
    voice: str
    speed: float
    modalities: tuple[str, ...]
    instructions: str
    tools: list[dict[str, Any]]
    tool_choice: Any
    max_output_tokens: int | str
