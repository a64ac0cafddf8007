"""What happened in a call, as a test looks at it and as a report shows it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from runner.codec import loads
from runner.core.events import (
    AudioStart,
    Connection,
    GuardrailTripped,
    Handoff,
    Interrupted,
    McpCallCompleted,
    SessionError,
    SessionEvent,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
)

Kind = Literal[
    "caller", "agent", "tool", "output", "handoff", "guardrail", "cut", "edit", "silence",
    "error", "ended",
]  # fmt: skip


#: How a test ends its call: nothing that happened in it.
OVER = "the test is over"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened, ``at`` seconds after the call began. ``text`` is for people;
    ``name`` of a tool, an agent or a guardrail; ``arguments`` of a tool, None when they are no
    JSON object."""

    at: float
    kind: Kind
    text: str
    name: str = ""
    arguments: Any = None


class Diary:
    """Grows with the events of one call. ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self.entries: list[Entry] = []
        #: When something of the agent was heard or read (``clock``), in order.
        self.outputs: list[float] = []
        #: Tools that are at work, by call id.
        self.working: dict[str, str] = {}
        #: What the caller typed, to know it again when the session tells of it.
        self._typed: list[str] = []

    def add(self, kind: Kind, text: str, name: str = "", arguments: Any = None) -> None:
        at = self._clock() - self._began
        self.entries.append(Entry(at, kind, text, name, arguments))

    def typed(self, text: str) -> None:
        self._typed.append(text)
        self.add("caller", text)

    def note(self, event: SessionEvent) -> None:
        match event:
            case AudioStart() | TranscriptDelta(role="assistant"):
                self._output()
            case Transcript(role="assistant"):
                self._output()
                self.add("agent", event.text)
            case Transcript(role="user"):
                if event.text in self._typed:
                    self._typed.remove(event.text)
                else:
                    self.add("caller", event.text)
            case ToolStart():
                self.working[event.call_id] = event.name
                self._tool(event.name, event.arguments)
            case ToolEnd():
                self.working.pop(event.call_id, None)
                self.add("output", event.output, event.name)
            case McpCallCompleted():
                self._tool(event.item.name or "", event.item.arguments or "{}")
                self.add(
                    "output", event.item.output or str(event.item.error), event.item.name or ""
                )
            case Handoff():
                self.add("handoff", f"{event.from_agent} -> {event.to_agent}", event.to_agent)
            case GuardrailTripped():
                self.add("guardrail", f"{event.name} ({event.then})", event.name)
            case Interrupted():
                self.add("cut", f"after {event.heard_ms / 1000:.1f} s")
            case SessionError():
                self.add("error", f"{event.code}: {event.message}")
            case Connection(status="disconnected") if event.reason != OVER:
                self.add("ended", event.reason or "closed")

    def _output(self) -> None:
        self.outputs.append(self._clock())

    def answered(self, since: float, mark: int) -> float | None:
        """Seconds from ``since`` to the first thing of the agent after it; 0 when it answered
        before that, and behind the first ``mark`` of ``outputs``; None without any."""
        at = bisect_left(self.outputs, since)
        if at < len(self.outputs):
            return self.outputs[at] - since
        return 0.0 if len(self.outputs) > mark else None

    def _tool(self, name: str, arguments: str) -> None:
        try:
            given = loads(arguments or "{}")
        except ValueError:
            given = None
        shown = arguments
        if isinstance(given, dict):
            shown = ", ".join(f"{key}={value}" for key, value in given.items())
        self.add("tool", f"{name}({shown})", name, given if isinstance(given, dict) else None)
