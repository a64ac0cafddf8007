"""The session object as the OpenAI Agents SDK lets users write it, brought into the wire's shape.

camelCase keys become snake_case; the flat names of the beta API (`voice`, `modalities`,
`inputAudioFormat`, `turnDetection` ...) move to their GA place. GA allows one modality:
`[text, audio]` is audio, which carries its text as a transcript. `providerData` is what only the
user's own server knows: it is laid over the rest as it is.

The SDK drops what it does not know and, when both are there, the newer names for the sake of the
older ones. Here nothing is dropped: an unknown key and a contradiction are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from runner.errors import UserError
from runner.model.settings import PCM_RATE, SESSION_KEYS, nested

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
    "pcm16": {"type": "audio/pcm", "rate": PCM_RATE},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}

#: What may stand where; deeper objects are the server's to judge.
_KNOWN: Mapping[str, tuple[str, ...]] = {
    "": (*SESSION_KEYS, *_FLAT, "modalities", "provider_data"),
    "audio": ("input", "output"),
    "audio.input": ("format", "noise_reduction", "transcription", "turn_detection"),
    "audio.output": ("format", "voice", "speed"),
}

#: Null turns these off; for all others it is the same as saying nothing.
_NULLABLE = frozenset(
    {"noise_reduction", "input_audio_noise_reduction", "transcription", "turn_detection"}
    | {"input_audio_transcription", "tracing", "prompt"}
)

#: Keys whose values are the user's own words: their inner keys are data, not settings.
_OPAQUE = frozenset({"tools", "metadata", "variables", "headers", "parameters", "provider_data"})


def audio_format(value: Any) -> Any:
    """``pcm16`` and its kin as the wire's object; an object passes, but a PCM rate that is no
    number is 24,000."""
    if isinstance(value, str):
        return dict(_FORMATS[value]) if value in _FORMATS else value
    if isinstance(value, Mapping) and value.get("type") == "audio/pcm":
        rate = value.get("rate")
        if isinstance(rate, float) and not math.isfinite(rate):
            return {**value, "rate": PCM_RATE}
    return value


def wire_settings(config: Mapping[str, Any], *, model: str | None = None) -> dict[str, Any]:
    """``config`` as the ``session`` of a session.update. UserError for a key that a session does
    not have, and when a flat name and its GA place are both given with different values."""
    given = _known("", _snake(config))
    extra = given.pop("provider_data", None) or {}
    if not isinstance(extra, Mapping):
        raise UserError("provider_data is no map")
    out: dict[str, Any] = {"type": "realtime"}
    moved: dict[str, Any] = {}
    for key, value in given.items():
        if key == "modalities":
            out["output_modalities"] = ["audio"] if "audio" in value else list(value)
        elif key in _FLAT:
            moved[_FLAT[key]] = audio_format(value) if key.endswith("format") else value
        elif key == "audio":
            out[key] = _audio(value)
        elif key == "prompt":
            out[key] = _prompt(value)
        else:
            out[key] = value
    for path, value in moved.items():
        node: Any = out
        for step in path.split("."):
            node = node.get(step) if isinstance(node, Mapping) else None
        if node is not None and node != value:
            raise _twice(path, "use the nested name alone")
    _lay(out, nested(moved))
    if model:
        out["model"] = model
    return {**out, **extra}


def _audio(value: Any) -> dict[str, Any]:
    out = _known("audio", value)
    for side, part in out.items():
        out[side] = part = _known(f"audio.{side}", part)
        if "format" in part:
            part["format"] = audio_format(part["format"])
    return out


def _prompt(value: Any) -> Any:
    """The SDK says ``promptId`` where the wire says ``id``."""
    if not isinstance(value, Mapping) or "prompt_id" not in value:
        return value
    return {("id" if key == "prompt_id" else key): inner for key, inner in value.items()}


def _known(path: str, value: Any) -> dict[str, Any]:
    """A copy of the object at ``path``, without what says nothing."""
    where = path or "a session"
    if not isinstance(value, Mapping):
        raise UserError(f"{where} is a map of {', '.join(_KNOWN[path])}")
    for key in value:
        if key not in _KNOWN[path]:
            raise UserError(f"{where} has no {key}", _meant(key, _KNOWN[path]))
    return {k: v for k, v in value.items() if v is not None or k in _NULLABLE}


def _meant(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, list(known), n=1)
    if near:
        return f"did you mean {near[0]}?"
    return "what only your own server knows goes into provider_data"


def _twice(path: str, hint: str) -> UserError:
    return UserError(f"the session says two things about {path}", hint)


def _lay(base: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _lay(base[key], value)
        else:
            base[key] = value


def _snake(value: Any) -> Any:
    if isinstance(value, Mapping):
        out: dict[str, Any] = {}
        for key, inner in value.items():
            name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)).lower()
            found = inner if name in _OPAQUE else _snake(inner)
            if name in out and out[name] != found:
                raise _twice(name, "write it in one spelling")
            out[name] = found
        return out
    return [_snake(v) for v in value] if isinstance(value, list | tuple) else value
