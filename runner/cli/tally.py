"""What a run adds up to: the lines at its end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from statistics import median

from runner.cli import reports, words
from runner.core.events import Handoff, Interrupted, SessionError, SessionEvent, ToolStart, TurnEnd


class Tally:
    """Counts events and reports. ``lines()`` is empty when there was no call."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.began: float | None = None
        self.ended: float | None = None
        #: Calls on the line: beside the one from here, browsers may be.
        self.live: set[str] = set()
        self.calls = 0
        self.reason = ""
        self.turns = 0
        self.first_audio: list[float] = []
        self._interrupted = 0
        self._tools = 0
        self._handoffs = 0
        self._errors = 0
        self._applied: set[int] = set()
        self._rejected = 0
        self._usage: Counter[str] = Counter()
        #: None once a call has no price.
        self._cost: float | None = 0.0
        self._sound: Mapping[str, int] = {}

    @property
    def seconds(self) -> float:
        """Length of the call so far."""
        if self.began is None:
            return 0.0
        return (self._clock() if self.ended is None else self.ended) - self.began

    def handle(self, event: SessionEvent) -> None:
        match event:
            case TurnEnd():
                self.turns += 1
                if event.first_audio_ms is not None:
                    self.first_audio.append(event.first_audio_ms)
            case Interrupted():
                self._interrupted += 1
            case ToolStart():
                self._tools += 1
            case Handoff():
                self._handoffs += 1
            case SessionError():
                self._errors += 1

    def report(self, report: reports.Report) -> None:
        match report:
            case reports.SessionStart():
                self.began = self.began or self._clock()
                self.ended = None
                self.live.add(report.session)
                self.calls += 1
            case reports.SessionEnd():
                self.live.discard(report.session)
                self.ended = None if self.live else self._clock()
                self.reason = report.reason
                if report.usage is not None:
                    self._usage.update(report.usage)
                    known = self._cost is not None and report.cost is not None
                    self._cost = (self._cost or 0.0) + (report.cost or 0.0) if known else None
                self._sound = report.sound or self._sound
            case reports.ConfigApplied():
                self._applied.add(report.revision)
            case reports.ConfigRejected():
                self._rejected += 1

    def lines(self) -> list[tuple[str, str]]:
        """(what, how much): the call, its turns, their first audio, tools and edits, and
        its tokens when they are known, of all calls together."""
        if self.began is None:
            return []
        call = words.duration(self.seconds)
        if self.calls > 1:
            call = f"{self.calls} in {call}"
        elif self.reason:
            call += f", {words.clean(self.reason)}"
        turns = str(self.turns)
        if self._interrupted:
            turns += f", {self._interrupted} cut short"
        if self._errors:
            turns += f", {words.count(self._errors, 'error')}"
        if self.first_audio:
            first = f"median {words.took(median(self.first_audio))}"
            if len(self.first_audio) > 1:
                low, high = min(self.first_audio), max(self.first_audio)
                first += f" ({words.took(low)} to {words.took(high)})"
        else:
            first = "none measured"
        work = words.count(self._tools, "tool call")
        if self._handoffs:
            work += f", {words.count(self._handoffs, 'handoff')}"
        work += f"; {words.count(len(self._applied), 'edit')} applied"
        if self._rejected:
            work += f", {self._rejected} rejected"
        lines = [
            ("call" if self.calls == 1 else "calls", call),
            ("turns", turns),
            ("first audio", first),
            ("tools, edits", work),
        ]
        if self._usage:
            lines.append(("tokens", words.tokens(self._usage, self._cost)))
        if self._sound:
            lines.append(("sound", words.slips(self._sound)))
        return lines
