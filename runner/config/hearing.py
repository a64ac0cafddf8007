"""Warnings of what a session cannot do with its voice, its language or its model."""

from __future__ import annotations

from typing import Any

from runner.config.ground import Ground, as_list, as_map
from runner.config.source import shown
from runner.config.tree import Path
from runner.model.settings import DEFAULT_SETTINGS
from runner.model.shutdowns import shutdown

_SESSION_VOICE: Path = ("session", "audio", "output", "voice")
_LANGUAGE: Path = ("session", "audio", "input", "transcription", "language")
_DEFAULT = as_map(as_map(DEFAULT_SETTINGS["audio"]).get("output")).get("voice")
_LOCAL = {
    "local": "the local engine",
    "auto": "the local engine, which answers when there is no API key,",
}


def hearing_warnings(ground: Ground, entry: str, reached: set[str]) -> None:
    """``entry`` is the agent that picks up, ``reached`` whom a caller can come to."""
    _after_handoff(ground, entry, reached)
    given = ground.at(("engine",))
    kind = as_map(given).get("type") if isinstance(given, dict) else given or "auto"
    if kind in ("auto", "openai"):
        _model(ground)  # another engine may call its own model so
    engine = _LOCAL.get(kind) if isinstance(kind, str) else None
    if engine is not None:
        _local(ground, engine)


def _model(ground: Ground) -> None:
    model = ground.at(("model",))
    found = shutdown(model) if isinstance(model, str) else None
    if found is not None:
        message = f"{shown(model)} is announced to shut down on {found.day}"
        ground.warn(("model",), message, f"OpenAI names {found.successor} instead", code="RT908")


def _after_handoff(ground: Ground, entry: str, reached: set[str]) -> None:
    """The one who picks up is heard first: all others speak in that voice."""
    agents = ground.map("agents")
    first = as_map(agents.get(entry)).get("voice") or ground.at(_SESSION_VOICE) or _DEFAULT
    rails = [as_map(rail).get("to") for rail in as_list(ground.document.get("guardrails"))]
    for name, agent in agents.items():
        voice = as_map(agent).get("voice")
        if name == entry or name not in reached or not isinstance(voice, str) or voice == first:
            continue
        message = f"{shown(entry)} speaks as {_name(first)}; a voice cannot change once it is heard"
        way = "a guardrail" if name in rails else "a handoff"
        hint = f"reached by {way}, {shown(name)} keeps that voice in the same call"
        ground.warn(("agents", name, "voice"), message, hint, code="RT905")


def _local(ground: Ground, engine: str) -> None:
    voice = ground.at(_SESSION_VOICE)
    if isinstance(voice, dict) and voice.get("id"):  # the names are known to both
        message = f"{engine} has no voice of your own"
        ground.warn(_SESSION_VOICE, message, "it speaks in its one voice", code="RT906")
    language = ground.at(_LANGUAGE)
    if isinstance(language, str) and language and not language.lower().startswith("en"):
        message = f"{engine} understands English, not '{shown(language)}'"
        ground.warn(_LANGUAGE, message, "OpenAI's service understands others", code="RT907")


def _name(voice: Any) -> str:
    return shown(
        as_map(voice).get("id", "a voice of its own") if isinstance(voice, dict) else voice
    )
