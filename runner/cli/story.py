"""What a person is told of a run, line by line: the same for a terminal and for plain output."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from runner.cli import reports, words
from runner.cli.strand import Kind, Line, Status, Strand
from runner.cli.tally import Tally
from runner.core.events import SessionEvent

__all__ = ["Kind", "Line", "Status", "Story"]

#: Problems of one save that are shown; the file shows the rest as soon as these are mended.
_PROBLEMS = 3
#: Calls that are over, kept for what still comes of them.
_KEPT = 16


@dataclass(slots=True)
class Story:
    """Events and reports in, lines out; ``hold`` as in :class:`Strand`. While more than one call
    is on the line, each line says of which it is."""

    hold: bool = False
    clock: Callable[[], float] = time.monotonic
    tally: Tally = field(init=False)
    #: What the run waits for when nobody calls from here.
    waits: str = ""
    _agent: str = ""
    _strands: dict[str, Strand] = field(default_factory=dict)
    _made: int = 0
    _pending: int | None = None

    def __post_init__(self) -> None:
        self.tally = Tally(self.clock)

    @property
    def live(self) -> list[Strand]:
        """The calls on the line, in the order in which they came."""
        return [strand for name, strand in self._strands.items() if name in self.tally.live]

    @property
    def status(self) -> Status:
        """Of the one call on the line; of the run when there is none."""
        if (front := self._front) is not None:
            return front.status
        if self.waits:
            return "waiting"
        return "starting" if self.tally.began is None else "ended"

    @property
    def agent(self) -> str:
        """Who has the one call on the line, or will."""
        front = self._front
        return self._agent if front is None else front.agent or self._agent

    @property
    def seconds(self) -> float:
        """Length of that call so far; of all that there were when none is on the line."""
        front = self._front
        if front is None or front.began is None:
            return self.tally.seconds
        return self.clock() - front.began

    @property
    def _front(self) -> Strand | None:
        shown = self.live or [s for s in self._strands.values() if s.status != "ended"]
        return shown[-1] if shown else None

    @property
    def growing(self) -> list[Line]:
        """What is being said just now, not told yet."""
        return [
            line
            for session, strand in self._strands.items()
            for line in self._marked(session, strand.growing)
        ]

    def handle(self, session: str, event: SessionEvent) -> list[Line]:
        self.tally.handle(event)
        return self._marked(session, self._strand(session).handle(event))

    def report(self, report: reports.Report) -> list[Line]:
        match report:
            case reports.SessionStart():
                return self._began(report)
            case reports.SessionEnd():
                return self._ended(report)
        self.tally.report(report)
        match report:
            case reports.Ready():
                self._agent, self.waits = self._agent or report.agent, words.clean(report.waits)
                urls = tuple(f"{words.clean(n)} {words.clean(u)}" for n, u in report.urls.items())
                text = f"{words.clean(report.deployment)} is ready"
                return [Line("head", "rtrun", text, f"engine: {words.clean(report.engine)}", urls)]
            case reports.ConfigPending():
                self._pending = report.revision
                line = Line("saved", "saved", words.pending(report))
                return [*self._release(), *self._marked(report.session, [line])]
            case reports.ConfigApplied():
                return [*self._release(), *self._marked(report.session, self._applied(report))]
            case reports.ConfigRejected():
                return [*self._release(), *self._marked(report.session, _rejected(report))]
            case reports.Warn():
                first, *more = report.message.splitlines() or [""]
                below = tuple(_verbatim(line) for line in more)
                return [*self._release(), Line("note", "note", words.clean(first), below=below)]

    # -- calls ---------------------------------------------------------------------------------
    def _began(self, report: reports.SessionStart) -> list[Line]:
        others = self.live
        self.tally.report(report)
        strand = self._strand(report.session)
        strand.status, strand.began, strand.who = "listening", self.clock(), report.who
        strand.agent = report.agent or strand.agent
        if not report.who:
            return []
        text = f"from {words.clean(report.who)}; {words.clean(report.agent)} answers"
        here = [other.mark for other in others if not other.who]
        aside = f"{here[0]} is the call from here" if len(others) == 1 and here else ""
        return [Line("tool", "call", text, aside, mark=strand.mark)]

    def _ended(self, report: reports.SessionEnd) -> list[Line]:
        strand = self._strand(report.session)
        lines = self._marked(report.session, strand.end())
        self.tally.report(report)
        if strand.who:
            took = words.duration(self.clock() - (strand.began or self.clock()))
            text = f"over after {took}: {words.clean(report.reason)}"
            lines.append(Line("tool", "call", text, mark=strand.mark))
        over = [name for name, one in self._strands.items() if one.status == "ended"]
        for name in over[:-_KEPT]:
            del self._strands[name]
        return lines

    def _strand(self, session: str) -> Strand:
        if session not in self._strands:
            self._made += 1
            self._strands[session] = Strand(self.hold, f"#{self._made}")
        return self._strands[session]

    def _marked(self, session: str | None, lines: list[Line]) -> list[Line]:
        """Which call it was, when it might have been another."""
        strand = self._strands.get(session or "")
        if strand is None or not self.tally.live - {session}:
            return lines
        return [replace(line, mark=strand.mark) for line in lines]

    def _release(self) -> list[Line]:
        return [
            line
            for session, strand in self._strands.items()
            for line in self._marked(session, strand.release())
        ]

    def _applied(self, report: reports.ConfigApplied) -> list[Line]:
        waiting = report.session is None and report.pending and not report.applied
        if waiting and self._pending == report.revision:
            # Said already that it waits; this is what.
            return [Line("quiet", "", words.when(report))]
        return [Line("saved", "saved", words.applied(report))]


def _rejected(report: reports.ConfigRejected) -> list[Line]:
    shown = report.problems[:_PROBLEMS]
    below = [_verbatim(row) for problem in shown for row in problem.render().splitlines()]
    if len(report.problems) > len(shown):
        below.append(f"and {len(report.problems) - len(shown)} more")
    if not report.runs:
        return [Line("bad", "broken", "not on the line until it is mended", below=tuple(below))]
    return [Line("bad", "saved", "not applied; the version before stays", below=tuple(below))]


def _verbatim(row: str) -> str:
    """Spaces and tabs are kept: a caret stands under its column."""
    lead = row[: len(row) - len(row.lstrip())]
    return lead + words.clean(row)
