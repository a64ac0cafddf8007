"""Reloads that somebody asked for, and what they would do, in plain JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from runner.config.compare import compare
from runner.config.load import Loaded
from runner.errors import ConfigError
from runner.model.deployment import Change
from runner.reload.apply import Applied, Applier, Outcome, Rejected, Superseded, Unchanged
from runner.reload.plan import Plan
from runner.serve.asked import Refused
from runner.serve.deployed import Deployed
from runner.serve.status import problem, when
from runner.tasks import in_thread


async def reload(deployed: Deployed, to: int | None) -> dict[str, Any]:
    """Take what the file says now, or put revision ``to`` in force again. UserError when that is
    not kept."""
    if to is None:
        return outcome(await deployed.reload())
    since = time.monotonic()
    return outcome(deployed.settle(await _applier(deployed).back_to(to), since))


def revisions(deployed: Deployed) -> dict[str, Any]:
    """Those that can be gone back to, the oldest first, each with its changes against the one
    before."""
    rows = [
        {
            "revision": revision.number,
            "at": when(revision.at),
            "how": revision.how,
            "changes": _changes(revision.changes),
        }
        for revision in _applier(deployed).revisions
    ]
    in_force = None if deployed.desk is None else deployed.desk.revision
    return {"in_force": in_force, "revisions": rows}


async def plan(
    deployed: Deployed, file: str | None, load: Callable[[Path], Loaded]
) -> dict[str, Any]:
    """What ``file``, its own when left out, would change if it were saved now. Nothing is applied
    and no tool imported. InputError when it cannot be read."""
    path = deployed.file.absolute() if file is None else Path(file)
    try:
        loaded = await in_thread(load, path)
    except ConfigError as error:
        told = [problem(found) for found in error.problems]
        return {"result": "invalid", "file": str(path), "problems": told}
    planned = _applier(deployed).plan(loaded)
    return {
        "result": "planned",
        "file": str(path),
        "revision": None if deployed.desk is None else deployed.desk.revision,
        "model": loaded.deployment.model,
        "changes": _planned(planned, deployed, loaded),
        "calls": planned.total,
    }


def _planned(planned: Plan, deployed: Deployed, loaded: Loaded) -> list[dict[str, Any]]:
    assert deployed.desk is not None
    # A candidate beside the file has another name and folder: no change, once it is saved.
    real = {change.path for change in compare(deployed.desk.deployment, loaded.deployment)}
    rows = [
        {**row, "calls": calls}
        for row, (_, calls) in zip(_changes(change for change, _ in planned), planned, strict=True)
    ]
    return [row for row in rows if row["path"] in real]


def outcome(result: Outcome | None) -> dict[str, Any]:
    match result:
        case None:
            return {"result": "started"}
        case Unchanged():
            return {"result": "unchanged"}
        case Superseded():
            return {"result": "superseded"}
        case Rejected():
            return {
                "result": "rejected",
                "problems": [problem(found) for found in result.problems],
                "session": result.session or None,
                "degraded": list(result.degraded),
            }
        case Applied():
            return {
                "result": "applied",
                "revision": result.revision,
                "changes": _changes(result.changes),
                "sessions": {
                    "applied": result.applied,
                    "pending": result.pending,
                    "total": result.total,
                },
                "ms": round(result.ms, 1),
            }


def _changes(found: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"path": change.path, "class": change.reload, "old": change.old, "new": change.new}
        for change in found
    ]


def _applier(deployed: Deployed) -> Applier:
    if deployed.applier is None:
        raise Refused(f"{deployed.name} has never been valid", "mend its file: then it starts")
    return deployed.applier
