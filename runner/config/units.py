"""Durations and audio formats as they are written in a deployment."""

from __future__ import annotations

import re
from typing import Any

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

#: Short names of OpenAI's beta API, still what most people write, and the wire's objects.
FORMATS: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}


def seconds(text: str) -> float:
    """``30m``, ``4s``, ``500ms``, ``1h30m`` in seconds; ValueError for anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"'{text}' is not a duration such as 30m, 4s or 500ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration(value: float) -> str:
    """Seconds as a deployment writes them: ``1h30m``, ``4s``, ``1.5s``, ``500ms``."""
    ms = round(value * 1000)
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m")]
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    return text + (f"{ms / 1000:g}s" if ms else "")


def wire_format(value: Any) -> dict[str, Any]:
    """The wire's format object of a short name or of an object (``rate`` filled in)."""
    if isinstance(value, str):
        return dict(FORMATS[value])
    if value.get("type") == "audio/pcm":
        return {"type": "audio/pcm", "rate": value.get("rate", 24000)}
    return dict(value)
