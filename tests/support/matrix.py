"""docs/conformance.md: which event was reached by which test. Also a small pytest plugin.

``RTRUN_WRITE_MATRIX=1 pytest tests/engine`` writes the page from what its Checkers saw; without
the variable, tests/engine/test_matrix.py, which runs last, holds the page against the run. Under
pytest-xdist each process sees its own share, so the whole is held against the page at the end.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
LAST = "test_matrix.py"
SHOWN = 2

Seen = Mapping[tuple[str, str], set[str]]

SEEN: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
"""(``client`` or ``server``, event type) to the tests of this run that reached it."""

OPEN = {
    ("server", "conversation.item.created"): "never sent: the beta's name for item.added",
    ("server", "conversation.created"): "never sent: the service is seen without it",
}
"""What no test reaches yet, and what it waits for."""

_HEAD = """# Conformance of the embedded engine

Written by the test run (`RTRUN_WRITE_MATRIX=1 pytest tests/engine`); do not edit. Each event below
went over a real session of the engine in the tests named, and was held against the types of the
`openai` package (missing and undeclared keys, wrong types and unknown values are faults) and
against the order in which the service sends its events (tests/support/conformance.py).
"""

_ROW = re.compile(r"^\| `([^`]+)` \| (.*) \|$")


def reached(side: str, kind: str) -> None:
    """The running test saw an event of this type."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    if test:
        SEEN[side, kind].add(test)


def render(seen: Seen) -> str:
    from support.openai_types import client_types, server_types

    out = [_HEAD]
    for side, types in (("server", server_types()), ("client", client_types())):
        rows = {kind: _cell(seen, side, kind) for kind in sorted(types)}
        count = sum(cell.startswith("`") for cell in rows.values())
        out.append(f"## {side.title()} events: {count} of {len(types)}\n")
        out.append("| event | reached by |\n|---|---|")
        out += [f"| `{kind}` | {cell} |" for kind, cell in rows.items()]
        out.append("")
    return "\n".join(out)


def _cell(seen: Seen, side: str, kind: str) -> str:
    tests = sorted(seen.get((side, kind), ()))
    if tests:
        shown = ", ".join(f"`{t.removeprefix('tests/engine/')}`" for t in tests[:SHOWN])
        return shown if len(tests) <= SHOWN else f"{shown} and {len(tests) - SHOWN} more"
    return f"open: {OPEN.get((side, kind), 'not reached')}"


def parse(page: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """(side, event type) to the tests named on the page; () for an open row."""
    out: dict[tuple[str, str], tuple[str, ...]] = {}
    side = ""
    for line in page.splitlines():
        if line.startswith("## "):
            side = line.split()[1].lower()
        elif (row := _ROW.match(line)) and row[1] != "event":
            tests = re.findall(r"`([^`]+)`", row[2])
            out[side, row[1]] = tuple(f"tests/engine/{t}" for t in tests)
    return out


def unlisted(page: Mapping[tuple[str, str], tuple[str, ...]], seen: Seen) -> list[Any]:
    """Events that were reached and whose row on the page is open."""
    return sorted(kind for kind, tests in seen.items() if tests and not page[kind])


def stale(page: Mapping[tuple[str, str], tuple[str, ...]], ran: set[str], seen: Seen) -> list[Any]:
    """Rows that name a test which ran without reaching the event."""
    return [
        (kind, test)
        for kind, tests in page.items()
        for test in tests
        if test in ran and test not in seen.get(kind, ())
    ]


class Plugin:
    """Runs the matrix test last and writes the page when asked to."""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.faults: list[Any] = []

    def passed(self) -> Seen:
        """What the tests that passed so far have reached."""
        return {kind: tests & self.ran for kind, tests in SEEN.items()}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items.sort(key=lambda item: item.path.name == LAST)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            self.ran.add(report.nodeid)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for kind, tests in getattr(node, "workeroutput", {}).get("matrix", ()):
            SEEN[tuple(kind)].update(tests)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for fault in self.faults:
            terminalreporter.write_line(f"docs/conformance.md is not true: {fault}", red=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:
        if hasattr(session.config, "workeroutput"):
            seen = [(list(kind), sorted(tests)) for kind, tests in SEEN.items()]
            session.config.workeroutput["matrix"] = seen
            return
        if os.environ.get("RTRUN_WRITE_MATRIX") == "1":
            if SEEN and exitstatus in (0, 1):
                PAGE.parent.mkdir(exist_ok=True)
                PAGE.write_text(render(self.passed()), encoding="utf-8")
            return
        page = parse(PAGE.read_text(encoding="utf-8"))
        self.faults = unlisted(page, self.passed()) + stale(page, self.ran, SEEN)
        if self.faults and exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


plugin = Plugin()
