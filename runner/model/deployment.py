"""Deployment: what one YAML file says, validated, expanded and frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.model.names import telephone_name, transfer_name
from runner.model.phone import CallRule
from runner.model.records import Records
from runner.model.secret import Secret, revealed
from runner.model.settings import DEFAULT_MODEL, SessionSettings
from runner.model.silence import Silence

#: Who must agree before a tool runs.
Approval = Literal["none", "caller", "operator"]
ReloadClass = Literal["live", "next", "between", "pinned", "new", "reconnect", "restart"]


@dataclass(frozen=True, slots=True)
class HandoffSpec:
    """``to`` names an agent, or ``transfer`` is the tel: or sip: URI of a telephone; ``when`` is
    told to the model as the reason to use it."""

    to: str
    when: str = ""
    transfer: str = ""

    @property
    def tool_name(self) -> str:
        return telephone_name(self.transfer) if self.transfer else transfer_name(self.to)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent. ``tools`` are names in Deployment.tools or built-in ones."""

    name: str
    instructions: str = ""
    greeting: str = ""
    voice: str | None = None
    tools: tuple[str, ...] = ()
    handoffs: tuple[HandoffSpec, ...] = ()
    #: False: the caller cannot cut the greeting off.
    interruptible_greeting: bool = True


_ARGUMENT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


def arguments_in(value: Any) -> tuple[str, ...]:
    """The names of the ``{argument}`` placeholders in the texts of ``value``, in order, once
    each. Other braces are only braces."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, str):
        return tuple(dict.fromkeys(_ARGUMENT.findall(value)))
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(name for item in value for name in arguments_in(item)))
    return ()


@dataclass(frozen=True, slots=True)
class HttpSpec:
    """A declarative request. ``url``, ``query``, ``headers`` and ``body`` may hold ``{argument}``
    placeholders, filled per call; ``hosts`` are private names that may be reached all the same."""

    # What ${NAME} was filled into may hold a key: not for any repr.
    url: str = field(repr=False)
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, Secret] = field(default_factory=dict)
    #: A map is sent as JSON, a text as it is; None sends no body.
    body: Any = field(default=None, repr=False)
    hosts: tuple[str, ...] = field(default=(), repr=False)

    def arguments(self) -> tuple[str, ...]:
        """The placeholders in order of appearance."""
        return arguments_in((self.url, self.query, self.headers, self.body))


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A program: ``argv`` without a shell, the arguments as JSON on its standard input. ``env``
    is all that it sees of the environment beside PATH, HOME and LANG."""

    argv: tuple[str, ...] = field(repr=False)
    env: Mapping[str, Secret] = field(default_factory=dict)
    cwd: Path | None = None
    memory_mb: int = 512


@dataclass(frozen=True, slots=True)
class McpSpec:
    """A local MCP server: ``command`` is started over stdio, or ``url`` is reached over streamable
    HTTP. ``allow`` names the tools that are taken, empty for all."""

    command: tuple[str, ...] = field(default=(), repr=False)
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, Secret] = field(default_factory=dict)
    env: Mapping[str, Secret] = field(default_factory=dict)
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool of the file; exactly one of ``python``, ``http``, ``command``, ``mcp`` and
    ``hosted_mcp`` says what it is. ``python`` is ``path.py:function`` or
    ``package.module:function``; ``hosted_mcp`` is the wire's own object without its type, which
    the server carries out; ``parameters`` are there for http and command tools; ``base`` is the
    folder that a relative path starts from; ``timeout`` in seconds."""

    name: str
    python: str = ""
    base: Path = Path()
    description: str | None = None
    parameters: Mapping[str, Any] | None = None
    timeout: float = 10.0
    http: HttpSpec | None = None
    command: CommandSpec | None = None
    mcp: McpSpec | None = None
    hosted_mcp: Mapping[str, Any] | None = field(default=None, repr=False)
    approval: Approval = "none"
    #: Spoken when the tool takes longer than a moment.
    while_waiting: str = ""
    #: False: the model is given the output and not asked to speak about it.
    respond: bool = True

    def module_file(self) -> Path | None:
        """The file the tool's code stands in, None when it names an importable package."""
        module = self.python.rpartition(":")[0]
        return (self.base / module).resolve() if module.endswith(".py") else None

    def hosted_wire(self) -> dict[str, Any]:
        """``{type: mcp, ...}`` as the session sends it, secrets in the clear: never print it."""
        fields = revealed(self.hosted_mcp or {})
        # ${TOKEN:-} that is not set sends none.
        return {"type": "mcp", **{key: value for key, value in fields.items() if value != ""}}


@dataclass(frozen=True, slots=True)
class GuardrailSpec:
    """A check of what is said. ``check`` is the side; one of ``phrases`` (``*`` stands for any
    letters), ``regex``, ``python`` and ``moderation`` says what trips it. ``then`` interrupt cuts
    the answer, ``say`` beside it is spoken instead; handoff gives the line to the agent ``to``;
    hang_up ends the call after ``say``; log only tells."""

    name: str
    check: Literal["input", "output"] = "output"
    phrases: tuple[str, ...] = ()
    regex: str | None = None
    python: str = ""
    base: Path = Path()
    #: ``{url, model, api_key}`` of a moderation endpoint.
    moderation: Mapping[str, Any] | None = None
    then: Literal["interrupt", "say", "handoff", "hang_up", "log"] = "interrupt"
    say: str = ""
    to: str = ""

    def module_file(self) -> Path | None:
        """As :meth:`ToolSpec.module_file`."""
        module = self.python.rpartition(":")[0]
        return (self.base / module).resolve() if module.endswith(".py") else None


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Who answers. ``type`` auto | openai | local | url. ``brain`` only for local:
    ``{"type": "rehearsal"}`` or ``{"type": "chat", "url", "model", "api_key"?}``."""

    type: Literal["auto", "openai", "local", "url"] = "auto"
    url: str | None = field(default=None, repr=False)
    api_key: Secret | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    brain: Mapping[str, Any] = field(default_factory=dict)


#: How callers come where a file does not say it.
DEFAULT_TRANSPORT = "webrtc"


@dataclass(frozen=True, slots=True)
class TransportSpec:
    """``type`` is a transport's name; ``options`` is the rest of its map. A custom one is the
    class ``python`` (``path.py:Class`` from ``base``, or ``package.module:Class``) or that of the
    entry point ``name``, made with ``options``."""

    type: str = DEFAULT_TRANSPORT
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str = ""
    name: str = ""
    base: Path = Path()

    @property
    def rings(self) -> bool:
        """Do its callers come by phone?"""
        return self.type in ("sip", "twilio")


@dataclass(frozen=True, slots=True)
class Limits:
    """``duration`` of one call in seconds, ``calls`` at one time and the US dollars of one call,
    None without limit."""

    duration: float | None = None
    calls: int | None = None
    cost_per_call: float | None = None


@dataclass(frozen=True, slots=True)
class OnFailure:
    """When the service fails a call: what the caller is told by a voice of ours, and where the
    caller of a phone is put through; each empty for not."""

    say: str = ""
    transfer: str = ""

    def __bool__(self) -> bool:
        return bool(self.say or self.transfer)


@dataclass(frozen=True, slots=True)
class ReloadPolicy:
    apply: Literal["between_turns", "immediately"] = "between_turns"
    #: What a running call does about an edit that needs a new connection: keep the line that it
    #: has, or get another one with its history.
    in_call: Literal["live_only", "reconnect"] = "live_only"


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
    on_failure: OnFailure = field(default_factory=OnFailure)
    #: What becomes of a phone call; the first rule that fits. None: the entry agent answers.
    calls: tuple[CallRule, ...] = ()
    timezone: str | None = None
    guardrails: tuple[GuardrailSpec, ...] = ()
    silence: Silence = field(default_factory=Silence)
    limits: Limits = field(default_factory=Limits)
    records: Records = field(default_factory=Records)
    reload: ReloadPolicy = field(default_factory=ReloadPolicy)
    vars: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    #: The validated document with ``${...}`` expanded, but for ``${call.*}`` and ``${now}``:
    #: the ground of the reload diff.
    document: Mapping[str, Any] = field(default_factory=dict)
    #: SHA-256 (hex) of each of ``files`` that was read, for changes behind a reference.
    digests: Mapping[str, str] = field(default_factory=dict)
    #: By the file of a module, the files beside it that it imports: they are of ``files`` too.
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs between two versions of a deployment. ``old`` and ``new`` are
    plain values, None when absent; secrets stand as ``***``."""

    path: str
    reload: ReloadClass
    old: Any = None
    new: Any = None
