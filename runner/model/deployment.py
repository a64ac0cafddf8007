"""Deployment: what one YAML file says, validated, expanded and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.model.secret import Secret
from runner.model.settings import DEFAULT_MODEL, SessionSettings

ReloadClass = Literal["live", "next", "between", "pinned", "new", "reconnect", "restart"]


@dataclass(frozen=True, slots=True)
class HandoffSpec:
    """``to`` names an agent; ``when`` is told to the model as the reason to use it."""

    to: str
    when: str = ""

    @property
    def tool_name(self) -> str:
        return transfer_name(self.to)


def transfer_name(agent: str) -> str:
    """The tool that hands over to ``agent``: the SDK's rule, every other sign becomes ``_``."""
    return "transfer_to_" + re.sub(r"[^A-Za-z0-9]", "_", agent)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent. ``tools`` are names in Deployment.tools or built-in ones."""

    name: str
    instructions: str = ""
    greeting: str = ""
    voice: str | None = None
    tools: tuple[str, ...] = ()
    handoffs: tuple[HandoffSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool of the file. ``python`` is ``path.py:function`` or ``package.module:function``;
    ``base`` is the folder that a relative path starts from; ``timeout`` in seconds."""

    name: str
    python: str
    base: Path
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    timeout: float = 10.0

    def module_file(self) -> Path | None:
        """The file the tool's code stands in, None when it names an importable package."""
        module = self.python.rpartition(":")[0]
        return (self.base / module).resolve() if module.endswith(".py") else None


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Who answers. ``type`` auto | openai | local | url. ``brain`` only for local:
    ``{"type": "rehearsal"}`` or ``{"type": "chat", "url", "model", "api_key"?}``."""

    type: Literal["auto", "openai", "local", "url"] = "auto"
    url: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    brain: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """``type`` is a transport's name; ``options`` is the rest of its map."""

    type: str = "websocket"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """``duration`` of one call in seconds, None without limit."""

    duration: float | None = None


@dataclass(frozen=True, slots=True)
class ReloadPolicy:
    apply: Literal["between_turns", "immediately"] = "between_turns"


@dataclass(frozen=True, slots=True)
class Deployment:
    """``agents`` and ``tools`` keep the file's order. ``files`` are all files that the deployment
    was read from (YAML, prompts, tool modules), to be watched. ``session`` holds the SDK's
    defaults with the file's `session` block on top, without instructions and tools."""

    name: str
    source: Path
    agents: Mapping[str, AgentSpec]
    entry: str
    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    session: SessionSettings = field(default_factory=SessionSettings)
    engine: EngineSpec = field(default_factory=EngineSpec)
    model: str = DEFAULT_MODEL
    transport: TransportSpec = field(default_factory=TransportSpec)
    timezone: str | None = None
    limits: Limits = field(default_factory=Limits)
    reload: ReloadPolicy = field(default_factory=ReloadPolicy)
    vars: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    #: The validated document with ``${...}`` expanded, but for ``${call.*}`` and ``${now}``:
    #: the ground of the reload diff.
    document: Mapping[str, Any] = field(default_factory=dict)
    #: SHA-256 (hex) of each of ``files`` that was read, for changes behind a reference.
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs between two versions of a deployment. ``old`` and ``new`` are
    plain values, None when absent; secrets stand as ``***``."""

    path: str
    reload: ReloadClass
    old: Any = None
    new: Any = None
