"""A screen whose lines also go to those who run `rtrun tail`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import StringIO

from runner.cli.jsonlog import JsonLog
from runner.cli.panel import Panel
from runner.cli.reports import Report
from runner.cli.screens import Screen
from runner.codec import loads
from runner.core.events import SessionEvent
from runner.serve.tail import Tails


class _Lines(StringIO):
    """What the JSON log writes into; each write is one line."""

    def __init__(self, tails: Tails) -> None:
        super().__init__()
        self._tails = tails

    def write(self, text: str, /) -> int:
        self._tails.put("log", loads(text))
        return len(text)


class Tee:
    """``log`` writes for the readers of ``tails``; while there is none, it is not asked to."""

    def __init__(self, screen: Screen, log: JsonLog, tails: Tails) -> None:
        self._screen = screen
        self._log = log
        self._tails = tails
        self._of: dict[str, Tee] = {}

    @classmethod
    def on(cls, screen: Screen, tails: Tails, began: float) -> Tee:
        """``began`` is the time.monotonic() that ``t`` counts from."""
        # Warnings are words for whoever started the process.
        return cls(screen, JsonLog(_Lines(tails), began, err=StringIO()), tails)

    def of(self, deployment: str) -> Tee:
        known = self._of.get(deployment)
        if known is None:  # asked for with every event
            known = Tee(self._screen.of(deployment), self._log.of(deployment), self._tails)
            self._of[deployment] = known
        return known

    def handle(self, session_id: str, event: SessionEvent) -> None:
        self._screen.handle(session_id, event)
        if len(self._tails):
            self._log.handle(session_id, event)

    def report(self, report: Report) -> None:
        self._screen.report(report)
        if len(self._tails):
            self._log.report(report)

    def prompt(self) -> None:
        self._screen.prompt()

    def lines(self) -> AsyncIterator[str] | None:
        return self._screen.lines()

    def attend(self, panel: Panel) -> bool:
        return self._screen.attend(panel)

    def close(self) -> None:
        self._screen.close()
