"""In CI a skipped test is a failed one: what was not run was not shown to work."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest


class NoSkips:
    """A plugin that turns skips into failures, of tests and of whole modules."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(self) -> Generator[None, Any, Any]:
        return _no_skip((yield))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(self) -> Generator[None, Any, Any]:
        return _no_skip((yield))


def _no_skip(report: Any) -> Any:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing is skipped in CI: {reason}"
    return report


def plugin() -> NoSkips | None:
    return NoSkips() if os.environ.get("CI") == "true" else None
