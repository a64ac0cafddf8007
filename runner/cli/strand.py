"""One call as it is told, line by line: what of it stands, and what is only growing yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Literal

from runner.cli import words
from runner.core.events import (
    AgentStart,
    AudioStart,
    Connection,
    Dtmf,
    GuardrailTripped,
    Handoff,
    Interrupted,
    Reconnected,
    SessionError,
    SessionEvent,
    SpeechStarted,
    SpeechStopped,
    ToolApproval,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
    Transfer,
    TurnEnd,
)
from runner.serve.sockets import supported

Kind = Literal["head", "caller", "agent", "tool", "saved", "bad", "note", "quiet"]
Status = Literal[
    "starting",
    "waiting",
    "listening",
    "caller speaks",
    "thinking",
    "agent speaks",
    "no line",
    "ended",
]

#: What the time at the end of an answer is; said once, and where it stands alone.
_FIRST = " to the first sound"
#: Items whose line is out, remembered for what is said of them later.
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Line:
    """One thing told. ``label`` stands left of it, ``mark`` before that when more than one call is
    on the line; ``aside`` is small print at its end; ``below`` are lines that stand exactly as they
    are."""

    kind: Kind
    label: str
    text: str
    aside: str = ""
    below: tuple[str, ...] = ()
    mark: str = ""


@dataclass(slots=True)
class Strand:
    """Events in, lines out. With ``hold`` an answer's line waits for the end of its turn, so that
    it can say how it went; ``growing`` then shows it meanwhile. ``mark`` names the call among
    several; ``who`` calls, "" for the caller of this machine."""

    hold: bool
    mark: str
    who: str = ""
    began: float | None = None
    status: Status = "starting"
    agent: str = ""
    _growing: dict[str, tuple[Kind, str]] = field(default_factory=dict)
    _held: tuple[str, Line] | None = None
    _told: list[str] = field(default_factory=list)
    _running: dict[str, str] = field(default_factory=dict)
    _explained: bool = False

    @property
    def growing(self) -> list[Line]:
        """What is being said just now, not told yet."""
        held = [] if self._held is None else [self._held[1]]
        return held + [
            Line(kind, kind, words.clean(text)) for kind, text in self._growing.values() if text
        ]

    def handle(self, event: SessionEvent) -> list[Line]:
        match event:
            case TranscriptDelta() if event.role in ("user", "assistant"):
                kind: Kind = "caller" if event.role == "user" else "agent"
                before = self._growing.get(event.item_id, (kind, ""))[1]
                self._growing[event.item_id] = (kind, before + event.delta)
            case Transcript():
                return self._said(event)
            case AgentStart():
                self.agent = event.agent
                self.status = "thinking"
            case AudioStart():
                self.status = "agent speaks"
            case SpeechStarted():
                self.status = "caller speaks"
            case SpeechStopped():
                self.status = "thinking"
            case Interrupted():
                return self._cut(event)
            case TurnEnd():
                return self._turn_over(event)
            case ToolStart():
                self.status = "thinking"
                self._running[event.call_id] = event.name
                return [
                    *self.release(),
                    Line("tool", "tool", words.call(event.name, event.arguments)),
                ]
            case ToolEnd():
                self._running.pop(event.call_id, None)
                several = bool(self._running)
                name = f"{words.clean(event.name)} " if several else ""
                return [Line("tool", "", f"{name}→ {words.result(event.output)}")]
            case Handoff():
                self.agent = event.to_agent
                who = f"{words.clean(event.from_agent)} → {words.clean(event.to_agent)}"
                return [*self.release(), Line("tool", "handoff", who)]
            case ToolApproval():
                return [*self.release(), Line("note", "asks", _question(event))]
            case GuardrailTripped():
                text = f"{words.clean(event.name)}, {words.guardrail(event.check, event.then)}"
                return [*self.release(), Line("note", "guardrail", text)]
            case Dtmf():
                return [*self.release(), Line("caller", "keys", words.clean(event.key))]
            case Transfer():
                text = f"put through to {words.clean(event.to)}"
                if event.failed:
                    return [Line("bad", "phone", f"not {text}", words.clean(event.failed))]
                return [*self.release(), Line("tool", "phone", text)]
            case SessionError():
                text = words.clean(event.message) or event.code
                return [*self.release(), Line("bad", "error", text, words.clean(event.code))]
            case Connection() if event.status == "connected":
                self.status = "listening"
            case Connection() if event.status == "reconnecting":
                self.status = "no line"
                why = f" ({words.clean(event.reason)})" if event.reason else ""
                return [*self.release(), Line("bad", "line", f"lost{why}, trying again")]
            case Connection() if event.status == "disconnected" and self.began is None:
                self.status = "ended"  # it never came about
            case Reconnected():
                return [Line("note", "line", f"back after {words.took(event.ms)}")]
        return []

    def _said(self, event: Transcript) -> list[Line]:
        self._growing.pop(event.item_id, None)
        text = words.clean(event.text)
        if event.role == "user":
            # Recognition comes late: the answer may be growing already, and still stands below.
            self.status = "thinking" if self.status == "listening" else self.status
            return [self._tell(event.item_id, Line("caller", "caller", text or "(not understood)"))]
        if event.role != "assistant" or not text or event.item_id in self._told:
            return []
        if self._held is not None and self._held[0] == event.item_id:
            # What was heard of an answer that was cut.
            self._held = (event.item_id, replace(self._held[1], text=text))
            return []
        line = Line("agent", "agent", text)
        if not self.hold:
            return [self._tell(event.item_id, line)]
        out = self.release()
        self._held = (event.item_id, line)
        return out

    def _cut(self, event: Interrupted) -> list[Line]:
        heard = f"cut after {words.took(event.heard_ms)}"
        if event.item_id in self._told:
            return [Line("quiet", "", heard)]
        if self._held is None or self._held[0] != event.item_id:
            text = words.clean(self._growing.pop(event.item_id, ("agent", ""))[1])
            out = self.release()
            self._held = (event.item_id, Line("agent", "agent", f"{text}…" if text else "…"))
        else:
            out = []
        self._held = (self._held[0], replace(self._held[1], aside=heard))
        return out if self.hold else [*out, *self.release()]

    def _turn_over(self, event: TurnEnd) -> list[Line]:
        self.status = "listening"
        first = "" if event.first_audio_ms is None else words.took(event.first_audio_ms)
        # An answer that never came to its end.
        for item_id, (kind, text) in list(self._growing.items()):
            if kind == "agent":
                del self._growing[item_id]
                if text.strip() and self._held is None:
                    self._held = (item_id, Line("agent", "agent", words.clean(text) + "…"))
        if self._held is not None:
            item_id, line = self._held
            if first and not self._explained:
                self._explained = True
                first += _FIRST
            aside = ", ".join(part for part in (line.aside, first) if part)
            self._held = (item_id, replace(line, aside=aside))
            return self.release()
        return [Line("quiet", "", first + _FIRST)] if first else []

    def release(self) -> list[Line]:
        """What waits for the end of its turn, told now."""
        if self._held is None:
            return []
        item_id, line = self._held
        self._held = None
        return [self._tell(item_id, line)]

    def _tell(self, item_id: str, line: Line) -> Line:
        self._told = [*self._told[1 - _REMEMBERED :], item_id]
        return line

    def end(self) -> list[Line]:
        """The call is over: what was still being said."""
        self.status = "ended"
        growing, self._growing = list(self._growing.values()), {}
        rest = [Line(kind, kind, words.clean(text) + "…") for kind, text in growing if text]
        return [*self.release(), *rest]


def _question(event: ToolApproval) -> str:
    """Who has to agree to a tool, and how."""
    call = words.call(event.name, event.arguments)
    if event.asks == "caller":
        return f"the caller, whether {call} may be done"
    how = f": rtrun approve {quote(words.clean(event.call_id))}" if supported() else ""
    return f"{call} needs your yes{how}"
