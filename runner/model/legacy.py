"""The session object as the OpenAI Agents SDK lets users write it, brought into the wire's shape.

camelCase keys become snake_case; the flat names of the beta API (`voice`, `modalities`,
`inputAudioFormat`, `turnDetection` ...) move to their GA place. GA allows one modality:
`[text, audio]` is audio, which carries its text as a transcript.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from runner.errors import UserError
from runner.model.settings import nested

#: Old flat name -> GA path.
_FLAT = {
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}

_FORMATS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}

#: Keys whose values are the user's own words: their inner keys are data, not settings.
_OPAQUE = frozenset({"tools", "metadata", "variables", "headers", "parameters"})


def audio_format(value: Any) -> Any:
    """``pcm16`` and its kin as the wire's object; an object passes."""
    return dict(_FORMATS[value]) if isinstance(value, str) and value in _FORMATS else value


def wire_settings(config: Mapping[str, Any], *, model: str | None = None) -> dict[str, Any]:
    """``config`` as the ``session`` of a session.update. UserError when a flat name and its GA
    place are both given with different values."""
    out: dict[str, Any] = {"type": "realtime"}
    moved: dict[str, Any] = {}
    for key, value in _snake(config).items():
        if key == "modalities":
            out["output_modalities"] = ["audio"] if "audio" in value else list(value)
        elif key in _FLAT:
            moved[_FLAT[key]] = audio_format(value)
        else:
            out[key] = value
    for path, value in moved.items():
        node: Any = out
        for step in path.split("."):
            node = node.get(step) if isinstance(node, Mapping) else None
        if node is not None and node != value:
            raise UserError(
                f"the session says two things about {path}", "use the nested name alone"
            )
    _lay(out, nested(moved))
    for side in ("input", "output"):
        part = out.get("audio", {}).get(side) if isinstance(out.get("audio"), dict) else None
        if isinstance(part, dict) and "format" in part:
            part["format"] = audio_format(part["format"])
    if model:
        out["model"] = model
    return out


def _lay(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _lay(base[key], value)
        else:
            base[key] = value


def _snake(value: Any) -> Any:
    if isinstance(value, Mapping):
        out = {}
        for key, inner in value.items():
            name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)).lower()
            out[name] = inner if name in _OPAQUE else _snake(inner)
        return out
    return [_snake(v) for v in value] if isinstance(value, list | tuple) else value
