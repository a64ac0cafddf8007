"""Verdicts as text, JSON, lines for GitHub and JUnit's XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import click

from runner.cli.verdict import Verdict
from runner.config.codes import codes
from runner.errors import Problem

#: What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_GITHUB_SHOWS = 10


def told(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, str, Problem]]:
    """Each problem with its file's verdict and ``error`` or ``warning``; one that several files
    share, in a base, once."""
    seen: set[tuple[str, Problem]] = set()
    for verdict in verdicts:
        for level, problems in (("error", verdict.problems), ("warning", verdict.warnings)):
            for problem in problems:
                if (level, problem) not in seen:
                    seen.add((level, problem))
                    yield verdict, level, problem


def text(verdicts: Sequence[Verdict], color: bool) -> str:
    """For people: the place, what is wrong, the line and a caret; at the end what is well."""
    lines = []
    for verdict in verdicts:
        for level, problems in (("error", verdict.problems), ("warning", verdict.warnings)):
            lines += [_rendered(problem, level, color) for problem in problems]
        if verdict.note:
            lines.append(f"{verdict.name}: {verdict.note}")
        elif verdict.well:
            lines.append(_paint(f"{verdict.name}: ok ({_size(verdict)})", color, fg="green"))
    return "".join(f"{line}\n" for line in lines)


def _rendered(problem: Problem, level: str, color: bool) -> str:
    head, *rest = problem.render().split("\n")
    place, _, said = head.partition(": ")
    mark = f" [{problem.code}]" if problem.code else ""
    start = _paint("warning: ", color, fg="yellow") if level == "warning" else ""
    if rest:
        rest[-1] = _paint(rest[-1], color, fg="red" if level == "error" else "yellow")
    first = f"{start}{_paint(place + ':', color, bold=True)} {said}{_paint(mark, color, dim=True)}"
    return "\n".join((first, *rest))


def _paint(words: str, color: bool, **style: Any) -> str:
    return click.style(words, **style) if color and words else words


def _size(verdict: Verdict) -> str:
    if verdict.tests:
        return _count(verdict.tests, "test")
    parts = [_count(verdict.agents, "agent")]
    if verdict.tools:
        parts.append(_count(verdict.tools, "tool"))
    return ", ".join(parts)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def as_json(verdicts: Sequence[Verdict], strict: bool) -> str:
    """One object: ``valid``, the numbers of ``errors`` and ``warnings``, and ``files``."""
    files = []
    for verdict in verdicts:
        problems = [
            _entry(level, problem)
            for level, some in (("error", verdict.problems), ("warning", verdict.warnings))
            for problem in some
        ]
        row = {"file": verdict.name, "valid": verdict.good(strict), "problems": problems}
        if verdict.failure:
            row["failure"] = verdict.failure
        files.append(row)
    levels = [level for _, level, _ in told(verdicts)]
    whole = {
        "valid": all(verdict.good(strict) for verdict in verdicts),
        "errors": levels.count("error"),
        "warnings": levels.count("warning"),
        "files": files,
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _entry(level: str, problem: Problem) -> dict[str, Any]:
    return {
        "level": level,
        "code": problem.code,
        "title": title(problem.code),
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
        "source": problem.source,
    }


def title(code: str) -> str:
    return codes()[code].title if code in codes() else ""


def file_of(verdict: Verdict, problem: Problem) -> str:
    """The file in which a problem stands; what ``--set`` brought belongs to the deployment."""
    return problem.file if problem.line or problem.file != "--set" else verdict.name


def sentence(problem: Problem) -> str:
    """What is wrong and what to do, without the place."""
    where = f"{problem.path}: " if problem.path else ""
    return where + problem.message + (f" ({problem.hint})" if problem.hint else "")


def github(verdicts: Sequence[Verdict]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request, and a sum, since it
    shows ten of a kind at most."""
    lines, levels = [], []
    for verdict, level, problem in told(verdicts):
        levels.append(level)
        where = {"file": file_of(verdict, problem), "line": problem.line, "col": problem.column}
        given = {**where, "title": f"{problem.code} {title(problem.code)}".strip()}
        shown = ",".join(f"{key}={_property(value)}" for key, value in given.items() if value)
        lines.append(f"::{level} {shown}::{_data(sentence(problem))}")
    lines += [f"::error title=rtrun::{_data(v.failure)}" for v in verdicts if v.failure]
    errors, warnings = levels.count("error"), levels.count("warning")
    files = _count(len(verdicts), "file")
    total = f"{_count(errors, 'error')} and {_count(warnings, 'warning')} in {files}"
    if max(errors, warnings) > _GITHUB_SHOWS:
        total += f"; GitHub shows {_GITHUB_SHOWS} of each, all stand in this log"
    return "".join(f"{line}\n" for line in (*lines, total))


def _data(value: object) -> str:
    return str(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def junit(verdicts: Sequence[Verdict], strict: bool) -> str:
    """One test case a file: a failure with all its problems, an error when it cannot be read."""
    failed = [v for v in verdicts if not v.failure and not v.good(strict)]
    numbers = {
        "tests": str(len(verdicts)),
        "failures": str(len(failed)),
        "errors": str(sum(bool(v.failure) for v in verdicts)),
        "time": f"{sum(v.seconds for v in verdicts):.3f}",
    }
    root = ElementTree.Element("testsuites", numbers)
    suite = ElementTree.SubElement(root, "testsuite", {"name": "rtrun validate", **numbers})
    for verdict in verdicts:
        given = {"name": _xml(verdict.name), "classname": "rtrun.validate"}
        case = ElementTree.SubElement(
            suite, "testcase", {**given, "time": f"{verdict.seconds:.3f}"}
        )
        if verdict.failure:
            ElementTree.SubElement(case, "error", {"message": _xml(verdict.failure)})
        elif verdict in failed:
            first = next(iter((*verdict.problems, *verdict.warnings)))
            kind = {"message": _xml(sentence(first)), "type": first.code}
            ElementTree.SubElement(case, "failure", kind).text = _xml(_rest(verdict))
        elif verdict.warnings:
            ElementTree.SubElement(case, "system-out").text = _xml(_rest(verdict))
    ElementTree.indent(root)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    return head + ElementTree.tostring(root, encoding="unicode") + "\n"


def _rest(verdict: Verdict) -> str:
    rows = [_rendered(problem, "error", False) for problem in verdict.problems]
    rows += [_rendered(problem, "warning", False) for problem in verdict.warnings]
    return "\n".join(rows)


def _xml(value: str) -> str:
    return _NOT_XML.sub("\ufffd", value)
