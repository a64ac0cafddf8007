"""What a session tells its application: one frozen class an event, ``type`` its name for ``on()``.

Times are milliseconds unless named otherwise. Names follow the OpenAI Agents SDK where it has
one (agent_start, agent_end, audio_interrupted, history_added ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Role = Literal["user", "assistant", "system"]


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the history: ``kind`` message | function_call | mcp_call |
    mcp_approval_request. ``text`` of a message is what was said or heard (None while unknown);
    of a call, ``name``, ``arguments`` and ``output``."""

    item_id: str
    kind: Literal["message", "function_call", "mcp_call", "mcp_approval_request"]
    role: Role | None = None
    status: Literal["in_progress", "completed", "incomplete"] = "in_progress"
    text: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    call_id: str | None = None
    #: The content parts as the wire gave them, without audio bytes.
    content: tuple[Mapping[str, Any], ...] = ()
    #: Milliseconds heard when the caller cut the item off, None when it was not cut.
    heard_ms: int | None = None
    #: How much of its audio that was, 0 to 1; None where only the server knows.
    heard_share: float | None = None
    #: Of an MCP item: the server it belongs to, and what went wrong.
    server_label: str | None = None
    error: Any = None

    @property
    def type(self) -> str:
        """The SDK's name for ``kind``."""
        return self.kind


@dataclass(frozen=True, slots=True)
class AgentStart:
    """A response began (each server response.created)."""

    type: ClassVar[str] = "agent_start"
    agent: str
    response_id: str


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """A response ended (each server response.done). ``status`` completed | cancelled | failed |
    incomplete; ``text`` its last spoken or written message; ``usage`` the server's own numbers."""

    type: ClassVar[str] = "agent_end"
    agent: str
    response_id: str
    status: str
    text: str = ""
    reason: str | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The turn is over: its response is done and its audio was played (or cut).
    ``first_audio_ms``: from the end of the caller's speech or typing to the first sample handed
    to the speaker, None when nothing was asked (greeting) or nothing sounded."""

    type: ClassVar[str] = "turn_end"
    response_id: str
    first_audio_ms: float | None
    played_ms: float


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    type: ClassVar[str] = "speech_started"
    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    type: ClassVar[str] = "speech_stopped"
    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    type: ClassVar[str] = "transcript_delta"
    role: Role
    item_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The finished text of one item; of an answer that was cut, what was heard of it if the
    server said so, else what was generated."""

    type: ClassVar[str] = "transcript"
    role: Role
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AudioStart:
    """First audio of a response reached us."""

    type: ClassVar[str] = "audio_start"
    agent: str
    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class AudioStopped:
    """The server has generated all audio of a response (it may still be playing)."""

    type: ClassVar[str] = "audio_stopped"
    response_id: str


@dataclass(slots=True)  # not frozen: one is made for every chunk, and frozen costs thrice the time
class Audio:
    """A chunk of the agent's audio in the session's output format (PCM16 mono little-endian,
    or G.711 bytes). Handed out by the session's audio lane, never by the core."""

    type: ClassVar[str] = "audio"
    data: bytes
    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The answer was cut. ``heard_ms`` of ``item_id`` had really been played."""

    type: ClassVar[str] = "audio_interrupted"
    agent: str
    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class HistoryAdded:
    type: ClassVar[str] = "history_added"
    item: Item


@dataclass(frozen=True, slots=True)
class HistoryUpdated:
    """Something in the history changed; read ``session.history`` for the whole."""

    type: ClassVar[str] = "history_updated"
    item_id: str | None


@dataclass(frozen=True, slots=True)
class ToolStart:
    type: ClassVar[str] = "agent_tool_start"
    agent: str
    name: str
    call_id: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolEnd:
    type: ClassVar[str] = "agent_tool_end"
    agent: str
    name: str
    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class ToolApproval:
    """A tool waits for a yes: answer with ``session.approve(event)`` or ``reject``. ``kind``
    function, or mcp for one that the server carries out; ``asks`` operator | caller."""

    type: ClassVar[str] = "tool_approval_requested"
    agent: str
    call_id: str
    name: str
    arguments: str
    kind: Literal["function", "mcp"] = "function"
    asks: Literal["operator", "caller"] = "operator"
    server_label: str | None = None


@dataclass(frozen=True, slots=True)
class McpCallCompleted:
    """A tool of a hosted MCP server has run, or failed."""

    type: ClassVar[str] = "mcp_tool_call_completed"
    agent: str
    item: Item


@dataclass(frozen=True, slots=True)
class McpToolsChanged:
    """The tools that hosted MCP servers offer to the agent on the line: maps of ``name``,
    ``server_label``, ``description`` and ``input_schema``."""

    type: ClassVar[str] = "mcp_tools_changed"
    tools: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class GuardrailTripped:
    """A check refused what was said. ``check`` output | input; ``then`` is what was done."""

    type: ClassVar[str] = "guardrail_tripped"
    agent: str
    name: str
    check: Literal["output", "input"]
    item_id: str
    response_id: str
    then: str = "interrupt"
    info: Any = None


@dataclass(frozen=True, slots=True)
class Usage:
    """``response`` is the server's usage of one response, ``total`` the sum of the call by
    modality: requests, input_tokens, output_tokens, input_text, input_audio, input_image,
    cached_text, cached_audio, cached_image, output_text, output_audio."""

    type: ClassVar[str] = "usage"
    response_id: str
    response: Mapping[str, Any]
    total: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The line was lost and is whole again, ``ms`` after the loss, with its history."""

    type: ClassVar[str] = "reconnected"
    ms: float


@dataclass(frozen=True, slots=True)
class Handoff:
    type: ClassVar[str] = "agent_handoff"
    from_agent: str
    to_agent: str


@dataclass(frozen=True, slots=True)
class SettingsPending:
    """Revision ``revision`` waits for the end of the turn."""

    type: ClassVar[str] = "settings_pending"
    revision: int


@dataclass(frozen=True, slots=True)
class SettingsApplied:
    """The server echoed revision ``revision``. ``deferred`` are dotted paths that this session
    cannot take any more (model; voice after the first audio) and new calls will have."""

    type: ClassVar[str] = "settings_applied"
    revision: int
    deferred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """The server refused revision ``revision`` or echoed something else; nothing changed."""

    type: ClassVar[str] = "settings_refused"
    revision: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RateLimits:
    type: ClassVar[str] = "rate_limits"
    limits: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    type: ClassVar[str] = "idle_timeout"
    item_id: str


@dataclass(frozen=True, slots=True)
class Connection:
    """``status`` connecting | connected | reconnecting | disconnected; ``reason`` in words.
    ``lost``: the end came by itself, neither the program nor the conversation meant it."""

    type: ClassVar[str] = "connection_change"
    status: str
    reason: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class SessionError:
    """Something failed and the call goes on, unless ``fatal``. ``code`` is the server's own, or
    ours: response_timeout, tool_failed, bad_event ..."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    fatal: bool = False
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key of the telephone: one of 0-9, *, #, A-D."""

    type: ClassVar[str] = "dtmf"
    key: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """The caller is being put through to ``to``, a tel: or sip: URI; ``failed``: that did not
    come about, for this reason."""

    type: ClassVar[str] = "transfer"
    to: str
    failed: str = ""


SessionEvent = (
    AgentStart
    | AgentEnd
    | TurnEnd
    | SpeechStarted
    | SpeechStopped
    | TranscriptDelta
    | Transcript
    | AudioStart
    | AudioStopped
    | Audio
    | Interrupted
    | HistoryAdded
    | HistoryUpdated
    | ToolStart
    | ToolEnd
    | ToolApproval
    | McpCallCompleted
    | McpToolsChanged
    | GuardrailTripped
    | Usage
    | Reconnected
    | Handoff
    | SettingsPending
    | SettingsApplied
    | SettingsRefused
    | RateLimits
    | IdleTimeout
    | Dtmf
    | Transfer
    | Connection
    | SessionError
)
