"""What a person sees of a run where there is no live view: plain lines, for files and pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import TextIO

from runner.cli import reports, words
from runner.cli.jsonlog import discard
from runner.cli.panel import Panel
from runner.cli.story import Line, Story
from runner.core.events import SessionEvent

#: Cells of the label left of a line.
LABEL = 7


class PlainView:
    """One line a happening on ``out``, warnings on ``err``; for files, pipes and dumb terminals.
    With ``several`` deployments each line begins with the name of its own."""

    def __init__(
        self,
        out: TextIO | None = None,
        err: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        several: bool = False,
    ) -> None:
        self._several = several
        self._name = ""
        self._clock = clock
        self._parts: dict[str, PlainView] = {}
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._story = Story(clock=clock)
        self._reader_gone = False
        self._closed = False

    def of(self, deployment: str) -> PlainView:
        """The part of one deployment, which tells its own summary."""
        if not self._several:
            return self
        if deployment not in self._parts:
            self._parts[deployment] = part = PlainView(self._out, self._err, self._clock)
            part._name = words.clean(deployment)
        return self._parts[deployment]

    def handle(self, session_id: str, event: SessionEvent) -> None:
        self._print(self._story.handle(session_id, event))

    def report(self, report: reports.Report) -> None:
        lines = self._story.report(report)
        if isinstance(report, reports.Warn):
            name = f" {self._name}:" if self._name else ""
            print(f"rtrun:{name} {report.message}", file=self._err, flush=True)
        else:
            self._print(lines)

    def prompt(self) -> None:
        """A pipe is not asked; its lines come when they come."""

    def lines(self) -> AsyncIterator[str] | None:
        """None: standard input is read line by line."""
        return None

    def attend(self, panel: Panel) -> bool:
        """False: there are no keys here."""
        return False

    def close(self) -> None:
        """The summary. Idempotent."""
        if not self._closed:
            self._closed = True
            summary = self._story.tally.lines()
            for what, much in summary:
                self._put(f"{what + ':':14}{much}\n")
            for part in self._parts.values():
                part.close()

    def _print(self, lines: list[Line]) -> None:
        for line in lines:
            label = f"{line.label}:" if line.label else ""
            label = f"{line.mark + ' ' if line.mark else ''}{label:{LABEL + 1}}"
            aside = f" ({line.aside})" if line.aside and line.text else line.aside
            self._put(f"{label} {line.text}{aside}".rstrip() + "\n")
            for row in line.below:
                self._put(f"  {row}\n")

    def _put(self, text: str) -> None:
        if self._reader_gone or not text:
            return
        if self._name:
            text = f"{self._name + ':':14} {text}"
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        try:
            self._out.write(text.encode(encoding, "replace").decode(encoding))
            self._out.flush()
        except (OSError, ValueError):
            self._reader_gone = True
            discard(self._out)
