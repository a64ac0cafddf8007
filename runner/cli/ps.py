"""`rtrun ps`: what runs, and who is on the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from runner.cli import targets, words
from runner.codec import dumps
from runner.serve.reach import Found

_DEPLOYMENTS = ("DEPLOYMENT", "PID", "REVISION", "CALLS", "STATE")
_CALLS = ("CALL", "DEPLOYMENT", "AGENT", "SINCE", "REVISION", "STATE")


@click.command("ps")
@click.option("--deployment", metavar="NAME", help="Only the deployment of this name.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def ps(deployment: str | None, format_: str) -> None:
    """List every running rtrun of this user: deployments, revisions and calls.

    Exit code 0, also when nothing runs.
    """
    found = targets.answers()
    for _, told in found:
        told.pop("ok", None)
        if deployment is not None:
            told["deployments"] = [
                row for row in told["deployments"] if row["deployment"] == deployment
            ]
    if format_ == "json":
        print(dumps([told for _, told in found if told["deployments"]]))
        return
    lines = _deployments(found)
    print("\n".join([*lines, *_calls(found)]) if lines else "no rtrun of yours is running")


def _deployments(found: Found) -> list[str]:
    rows = []
    notes = []
    for target in targets.deployments(found):
        row, told = target.row, next(t for p, t in found if p is target.process)
        state = "draining" if told.get("draining") else "ready" if row["valid"] else "not valid"
        if (rejected := row["rejected"]) is not None:
            first = rejected["problems"][0]
            place = f"{first['file']}:{first['line']}:{first['column']}"
            notes.append(f"{target.name}: refused: {place}: {first['message']}")
            state = "ready, the newest file is refused" if row["valid"] else state
        revision = "-" if row["revision"] is None else row["revision"]
        rows.append((target.name, target.process.pid, revision, len(row["sessions"]), state))
    return [*_table(_DEPLOYMENTS, rows), *map(words.clean, notes)] if rows else []


def _calls(found: Found) -> list[str]:
    rows = []
    for target in targets.deployments(found):
        for row in target.row["sessions"]:
            state = row["state"]
            if row["pending"]:
                state += ", a revision waits for its turn's end"
            if row["degraded"]:
                state += f", degraded: {row['degraded']}"
            since = words.duration(row["seconds"])
            cells = (row["session"], target.name, row["agent"], since, row["revision"], state)
            rows.append(cells)
    return ["", *_table(_CALLS, rows)] if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [list(head), *([words.clean(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
