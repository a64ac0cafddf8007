"""What `rtrun test` prints: a line a test, what failed with the call around it, and a sum."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import click

from runner.codec import dumps
from runner.errors import InputError, Problem
from runner.testing.report import Report

_MARKS = {"passed": ("ok", "green"), "failed": ("FAILED", "red"), "error": ("ERROR", "red")}


class Printer(Protocol):
    def report(self, report: Report) -> None: ...

    def end(self, reports: Sequence[Report], seconds: float, *, stopped: str) -> None:
        """``stopped`` says why not all of them were played, "" when they were."""
        ...


class TextPrinter:
    def report(self, report: Report) -> None:
        word, color = _MARKS[report.outcome]
        mark = click.style(f"{word:<6}", fg=color)
        note = "  (a question had no judge)" if report.skipped and report.passed else ""
        click.echo(f"{mark}  {report.deployment}: {report.name}  {report.seconds:.1f} s{note}")

    def end(self, reports: Sequence[Report], seconds: float, *, stopped: str) -> None:
        for report in reports:
            if not report.passed:
                click.echo()
                click.echo(click.style(f"-- {report.deployment}: {report.name}", bold=True))
                _failure(report)
        reasons = {problem.message for report in reports for problem in report.skipped}
        for reason in sorted(reasons):
            click.echo(f"\nnot looked at: {reason}")
        click.echo()
        if stopped:
            click.echo(stopped)
        click.echo(f"{_sum(reports)} in {seconds:.1f} s")


class JsonPrinter:
    """One object a line: ``test`` each, ``summary`` at the end."""

    def report(self, report: Report) -> None:
        row = {"event": "test", **asdict(report)}
        for key in ("failures", "skipped"):
            row[key] = [_problem(problem) for problem in getattr(report, key)]
        click.echo(dumps(row))

    def end(self, reports: Sequence[Report], seconds: float, *, stopped: str) -> None:
        count = Counter(report.outcome for report in reports)
        row = {"passed": count["passed"], "failed": count["failed"], "errors": count["error"]}
        click.echo(dumps({"event": "summary", **row, "seconds": seconds, "stopped": stopped}))


def _failure(report: Report) -> None:
    for failure in report.failures:
        click.echo(failure.render())
    if report.entries:
        click.echo("  the call:")
        for line in report.transcript().splitlines():
            click.echo(f"  {line}")


def _sum(reports: Sequence[Report]) -> str:
    count = Counter(report.outcome for report in reports)
    parts = [f"{count['passed']} passed"]
    parts += [f"{count['failed']} failed"] if count["failed"] else []
    if count["error"]:
        parts.append(f"{count['error']} error" + ("s" if count["error"] > 1 else ""))
    return ", ".join(parts)


def _problem(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }


def write_junit(path: Path, reports: Sequence[Report], seconds: float) -> None:
    """JUnit's XML as CI services read it: a suite for each deployment. InputError."""
    root = ET.Element("testsuites", _counts(reports, seconds))
    for name in dict.fromkeys(report.deployment for report in reports):
        own = [report for report in reports if report.deployment == name]
        suite = ET.SubElement(root, "testsuite", {"name": _xml(name), **_counts(own, None)})
        for report in own:
            case = ET.SubElement(
                suite, "testcase", name=_xml(report.name), classname=_xml(name),
                file=_xml(report.file), line=str(report.line), time=f"{report.seconds:.3f}",
            )  # fmt: skip
            if not report.passed:
                kind = "failure" if report.outcome == "failed" else "error"
                first = report.failures[0].headline() if report.failures else report.outcome
                failed = ET.SubElement(case, kind, message=_xml(first))
                failed.text = _xml("\n".join(f.render() for f in report.failures))
            out = ET.SubElement(case, "system-out")
            out.text = _xml(report.transcript())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InputError(f"--junit {path}: cannot be written ({error.strerror})") from None


def _counts(reports: Sequence[Report], seconds: float | None) -> dict[str, str]:
    count = Counter(report.outcome for report in reports)
    time = sum(report.seconds for report in reports) if seconds is None else seconds
    return {
        "tests": str(len(reports)),
        "failures": str(count["failed"]),
        "errors": str(count["error"]),
        "time": f"{time:.3f}",
    }


def _xml(text: str) -> str:
    """Without signs that XML has no way to write."""
    return "".join(c for c in text if c in "\t\n" or (c >= " " and c not in "\ufffe\uffff"))
