"""What the conversation asks of its shell. Effects are carried out in the order given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.core.events import SessionEvent


@dataclass(frozen=True, slots=True)
class Send:
    """Put this client event on the wire."""

    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run a function tool and answer with ``tool_finished(call_id, output)``, exactly once.

    ``arguments`` is the JSON text as the model wrote it. ``agent`` names the agent that was
    active when the response began: its tools apply, also after a handoff or a reload.
    """

    call_id: str
    name: str
    arguments: str
    response_id: str
    agent: str


@dataclass(frozen=True, slots=True)
class CheckTool:
    """Look whether this call may run: answer with ``tool_allowed(call_id)``, with
    ``tool_asks(call_id, ...)``, or with ``tool_finished`` when it may not. Fields of RunTool."""

    call_id: str
    name: str
    arguments: str
    response_id: str
    agent: str


@dataclass(frozen=True, slots=True)
class CheckWords:
    """Look at what was said and answer with ``guardrail_tripped(...)`` when it must not be.
    ``check`` output | input. ``final``: it is the whole text."""

    check: str
    agent: str
    response_id: str
    item_id: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class HangUp:
    """The call is over: close it. ``reason`` in words."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Put the caller through to ``uri`` (tel: or sip:). The far end then ends the call; answer
    with ``transfer_failed(words)`` when it does not."""

    uri: str


@dataclass(frozen=True, slots=True)
class PrepareAgent:
    """A handoff: resolve the agent's instructions and tools and answer with
    ``agent_ready(view, call_id)`` or ``agent_failed(call_id, message)``. ``tool`` and
    ``arguments`` are those of the call. An empty ``call_id``: no tool asked for it (a guardrail
    did); answer with ``update_agent(view)``."""

    name: str
    call_id: str
    tool: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class FlushAudio:
    """Throw away audio that is not played yet; nothing of ``item_id`` may sound any more."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Wake:
    """Call ``tick(now)`` at ``at`` (the clock of ``now``) or soon after. A later Wake
    replaces an earlier one; None takes it back."""

    at: float | None


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the application and the log."""

    event: SessionEvent


Effect = (
    Send
    | RunTool
    | CheckTool
    | CheckWords
    | HangUp
    | TransferCall
    | PrepareAgent
    | FlushAudio
    | Wake
    | Notify
)
Effects = list[Effect]
