"""Which screen a run has: the JSON log, the live view of a terminal, or plain lines."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import Protocol

from runner.cli.panel import Panel
from runner.cli.reports import Report
from runner.core.events import SessionEvent


class Screen(Protocol):
    """Where a run tells what happens, in the order in which it was seen."""

    def of(self, deployment: str) -> Screen:
        """Where one deployment's part is told, on the same screen."""
        ...

    def handle(self, session_id: str, event: SessionEvent) -> None: ...

    def report(self, report: Report) -> None: ...

    def prompt(self) -> None:
        """A typed turn is awaited."""
        ...

    def lines(self) -> AsyncIterator[str] | None:
        """Typed turns, when the screen reads the terminal itself; None: read standard input."""
        ...

    def attend(self, panel: Panel) -> bool:
        """Show the microphone's panel and give it the keys; False when there are none here."""
        ...

    def close(self) -> None:
        """The run is over: the summary."""
        ...


def make_screen(*, json: bool, began: float, content: bool = True, several: bool = False) -> Screen:
    """``began``: time.monotonic() of the start, from which times count. ``content``: texts too.
    ``several`` deployments run: their lines carry names, and scroll."""
    if json:
        from runner.cli.jsonlog import JsonLog

        return JsonLog(sys.stdout, began, content=content)
    drawable = sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    if several or not drawable:
        from runner.cli.plain import PlainView

        return PlainView(several=several)
    from runner.cli.view import LiveView

    return LiveView()
