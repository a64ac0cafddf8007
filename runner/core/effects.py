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
class PrepareAgent:
    """A handoff: resolve the agent's instructions and tools and answer with
    ``agent_ready(view, call_id)`` or ``agent_failed(call_id, message)``."""

    name: str
    call_id: str


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


Effect = Send | RunTool | PrepareAgent | FlushAudio | Wake | Notify
Effects = list[Effect]
