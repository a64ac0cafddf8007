"""A valid document -> the frozen Deployment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.config.behind import Folder
from runner.config.callbuild import records, rules
from runner.config.percall import system_zone
from runner.config.toolbuild import guardrail, silence, tool
from runner.config.units import seconds, wire_format
from runner.model.deployment import (
    DEFAULT_TRANSPORT,
    AgentSpec,
    Deployment,
    EngineSpec,
    HandoffSpec,
    Limits,
    OnFailure,
    ReloadPolicy,
    TransportSpec,
)
from runner.model.secret import Secret
from runner.model.settings import DEFAULT_MODEL, DEFAULT_SETTINGS, SessionSettings


def build(
    document: Mapping[str, Any],
    source: Path,
    files: Mapping[Path, str],
    env: Mapping[str, str],
    folder: Folder,
    beside: Mapping[str, tuple[str, ...]] | None = None,
) -> Deployment:
    """``document`` has passed every check, with prompts in place. ``source`` is the absolute
    path of the YAML file; ``files`` are all files behind it with their digests; ``folder`` tells
    where the relative paths of a value begin, ``beside`` what modules import from beside them."""
    agents = {name: _agent(name, spec) for name, spec in document["agents"].items()}
    tools = {name: tool(name, spec, folder) for name, spec in (document.get("tools") or {}).items()}
    return Deployment(
        name=document.get("name", source.stem),
        source=source,
        agents=agents,
        entry=document.get("entry", next(iter(agents))),
        tools=tools,
        session=_session(document.get("session") or {}),
        engine=_engine(document.get("engine", "auto"), env),
        model=document.get("model", DEFAULT_MODEL),
        transport=_transport(document.get("transport", DEFAULT_TRANSPORT), folder),
        calls=rules(document.get("calls")),
        on_failure=_on_failure(document.get("on_failure") or {}),
        timezone=_timezone(document, env),
        guardrails=tuple(
            guardrail(i, spec, folder) for i, spec in enumerate(document.get("guardrails") or ())
        ),
        silence=silence(document.get("silence") or {}),
        records=records(document.get("records") or {}),
        limits=_limits(document.get("limits") or {}),
        reload=ReloadPolicy(**(document.get("reload") or {})),
        vars=document.get("vars") or {},
        files=tuple(files),
        document=document,
        digests={str(path): value for path, value in files.items()},
        beside=beside or {},
    )


def _transport(given: Any, folder: Folder) -> TransportSpec:
    if isinstance(given, str):
        return TransportSpec(given)
    rest = {key: value for key, value in given.items() if key != "type"}
    if given["type"] != "custom":
        return TransportSpec(given["type"], rest)
    return TransportSpec(
        "custom",
        rest.get("options") or {},
        python=rest.get("python", ""),
        name=rest.get("name", ""),
        base=folder(("transport", "python")),
    )


def _agent(name: str, spec: Mapping[str, Any]) -> AgentSpec:
    greeting = spec.get("greeting") or ""
    if isinstance(greeting, str):
        greeting = {"say": greeting}
    return AgentSpec(
        name=name,
        instructions=spec["instructions"],
        greeting=greeting["say"],
        interruptible_greeting=greeting.get("interruptible", True),
        voice=spec.get("voice"),
        tools=tuple(spec.get("tools") or ()),
        handoffs=tuple(
            HandoffSpec(h.get("to", ""), h.get("when", ""), h.get("transfer", ""))
            for h in spec.get("handoffs") or ()
        ),
    )


def _session(given: Mapping[str, Any]) -> SessionSettings:
    """The SDK's defaults with ``given`` on top, formats as the wire writes them."""
    session = {key: value for key, value in given.items() if key != "audio"}
    audio: dict[str, Any] = {}
    for side, part in (given.get("audio") or {}).items():
        audio[side] = dict(part)
        if "format" in part:
            audio[side]["format"] = wire_format(part["format"])
    transcription = audio.get("input", {}).get("transcription")
    if transcription is not None and "model" not in transcription:
        # The wire replaces this object whole, so a language alone would lose the model.
        default = DEFAULT_SETTINGS["audio"]["input"]["transcription"]
        audio["input"]["transcription"] = {**default, **transcription}
    if audio:
        session["audio"] = audio
    return SessionSettings().merged(session)


def _engine(engine: Any, env: Mapping[str, str]) -> EngineSpec:
    engine = engine.reveal() if isinstance(engine, Secret) else engine
    if isinstance(engine, str):
        if "://" not in engine:
            return EngineSpec(type=engine)  # type: ignore[arg-type]  # the schema knows the names
        key = env.get("RTRUN_ENGINE_KEY")
        return EngineSpec(type="url", url=engine, api_key=Secret(key) if key else None)
    if "url" in engine:
        url = engine["url"]
        return EngineSpec(
            type="url",
            url=url.reveal() if isinstance(url, Secret) else url,
            api_key=engine.get("api_key"),
            headers=engine.get("headers") or {},
        )
    return EngineSpec(type=engine["type"], brain=engine.get("brain") or {})


def _timezone(document: Mapping[str, Any], env: Mapping[str, str]) -> str | None:
    if "timezone" not in document:
        return system_zone(env)
    zone = document["timezone"]
    return None if zone in (None, "none") else zone


def _on_failure(given: Mapping[str, Any]) -> OnFailure:
    return OnFailure(given.get("say") or "", given.get("transfer", ""))


def _limits(limits: Mapping[str, Any]) -> Limits:
    duration = limits.get("duration")
    return Limits(
        seconds(duration) if duration is not None else None,
        limits.get("calls"),
        limits.get("cost_per_call"),
    )
