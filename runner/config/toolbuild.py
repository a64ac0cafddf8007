"""The tools and guardrails of a valid document -> their specs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.config.behind import Folder, argument_file, argv_of, reference
from runner.config.units import seconds
from runner.model.deployment import (
    CommandSpec,
    GuardrailSpec,
    HttpSpec,
    McpSpec,
    ToolSpec,
)
from runner.model.secret import Secret, revealed
from runner.model.silence import Silence


def tool(name: str, spec: Mapping[str, Any], folder: Folder) -> ToolSpec:
    """``folder`` tells where the relative paths of a value begin."""
    path = ("tools", name)
    base = folder(reference(path, spec))
    given: dict[str, Any] = {}
    if "timeout" in spec:
        given["timeout"] = seconds(spec["timeout"])
    if "http" in spec:
        given["http"] = _http(spec["http"])
    if "command" in spec:
        given["command"] = _command(spec["command"], base, folder((*path, "command", "cwd")))
    if "mcp" in spec:
        given["mcp"] = _mcp(spec["mcp"])
    if "hosted_mcp" in spec:
        given["hosted_mcp"] = {k: v for k, v in spec["hosted_mcp"].items() if v is not None}
    parameters = spec.get("parameters")
    if parameters is None and ("http" in spec or "command" in spec):
        parameters = _wanted(given["http"].arguments() if "http" in spec else ())
    return ToolSpec(
        name=name,
        python=spec.get("python", ""),
        base=base,
        description=spec.get("description"),
        parameters=parameters,
        approval=spec.get("approval", "none"),
        while_waiting=spec.get("while_waiting", ""),
        respond=spec.get("respond", True),
        **given,
    )


def _wanted(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Parameters that nobody wrote down: each argument is a text, and needed."""
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in arguments},
        "required": list(arguments),
        "additionalProperties": False,
    }


def _http(spec: Mapping[str, Any]) -> HttpSpec:
    return HttpSpec(
        url=revealed(spec["url"]),
        method=spec.get("method", "GET"),
        query={key: _text(value) for key, value in (spec.get("query") or {}).items()},
        headers=spec.get("headers") or {},
        body=revealed(spec.get("body")),
        hosts=tuple(revealed(spec.get("hosts") or ())),
    )


def _command(spec: Any, base: Path, beside: Path) -> CommandSpec:
    """``base`` is where paths in argv begin, ``beside`` where cwd does."""
    argv = [str(revealed(item)) for item in argv_of(spec)]
    spec = spec if isinstance(spec, Mapping) else {}
    folder = Path(os.path.abspath(beside / spec["cwd"])) if "cwd" in spec else base
    if folder != base:
        # It runs elsewhere, and its files are still those beside the deployment.
        argv = [str(argument_file(base, item) or item) for item in argv]
    return CommandSpec(
        argv=tuple(argv),
        env=spec.get("env") or {},
        cwd=folder,
        memory_mb=spec.get("memory_mb", CommandSpec(()).memory_mb),
    )


def _mcp(spec: Mapping[str, Any]) -> McpSpec:
    return McpSpec(
        command=tuple(str(revealed(item)) for item in spec.get("command") or ()),
        url=revealed(spec.get("url")),
        headers=spec.get("headers") or {},
        env=spec.get("env") or {},
        allow=tuple(spec.get("allow") or ()),
    )


def guardrail(index: int, spec: Mapping[str, Any], folder: Folder) -> GuardrailSpec:
    """``folder`` as for :func:`tool`."""
    return GuardrailSpec(
        name=spec["name"],
        check=spec.get("check", "output"),
        phrases=tuple(spec.get("phrases") or ()),
        regex=spec.get("regex"),
        python=spec.get("python", ""),
        base=folder(reference(("guardrails", index), spec)),
        moderation=spec.get("moderation"),
        then=spec.get("then", "interrupt"),
        say=spec.get("say", ""),
        to=spec.get("to", ""),
    )


def silence(spec: Mapping[str, Any]) -> Silence:
    def length(key: str) -> float | None:
        return None if spec.get(key) is None else seconds(spec[key])

    return Silence(length("ask_after"), spec.get("say", Silence().say), length("hang_up_after"))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.reveal() if isinstance(value, Secret) else str(value)
