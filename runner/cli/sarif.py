"""Verdicts as SARIF 2.1.0, which code scanners take: GitHub, Azure DevOps, editors."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner import __version__
from runner.cli.formats import file_of, sentence, told
from runner.cli.verdict import Verdict
from runner.config.codes import Code, codes
from runner.errors import Problem

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(verdicts: Sequence[Verdict]) -> str:
    """One run. Its rules are the codes that were told, with explanation and examples."""
    found = list(told(verdicts))
    used = sorted({problem.code for _, _, problem in found if problem.code in codes()})
    failures = [v.failure for v in verdicts if v.failure]
    run = {
        "tool": {
            "driver": {
                "name": "rtrun",
                "semanticVersion": __version__,
                "rules": [_rule(codes()[code]) for code in used],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not failures,
                "toolExecutionNotifications": [
                    {"level": "error", "message": {"text": text}} for text in failures
                ],
            }
        ],
        "results": [
            _result(level, problem, file_of(v, problem), used) for v, level, problem in found
        ],
    }
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _rule(code: Code) -> dict[str, Any]:
    example = f"Wrong:\n\n{code.wrong}\nRight:\n\n{code.right}"
    fenced = (
        f"{code.text}\n\nWrong:\n\n```yaml\n{code.wrong}```\n\nRight:\n\n```yaml\n{code.right}```"
    )
    return {
        "id": code.code,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.text},
        "help": {"text": f"{code.text}\n\n{example}", "markdown": fenced},
        "defaultConfiguration": {"level": "warning" if code.warning else "error"},
    }


def _result(level: str, problem: Problem, file: str, used: Sequence[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"level": level, "message": {"text": sentence(problem)}}
    if problem.code in used:
        out |= {"ruleId": problem.code, "ruleIndex": used.index(problem.code)}
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(file)}}
    if problem.line:
        region: dict[str, Any] = {"startLine": problem.line, "startColumn": max(1, problem.column)}
        if problem.source:
            region["snippet"] = {"text": problem.source}
        place["region"] = region
    location: dict[str, Any] = {"physicalLocation": place}
    if problem.path:
        location["logicalLocations"] = [{"fullyQualifiedName": problem.path}]
    return out | {"locations": [location]}


def uri(file: str) -> str:
    """A file as a URI: relative to the working folder when it stands below it."""
    path = Path(os.path.abspath(file))
    try:
        return quote(path.relative_to(Path.cwd()).as_posix())
    except ValueError:
        return path.as_uri()
