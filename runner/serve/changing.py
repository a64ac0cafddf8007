"""Reloads that somebody asked for, and what they would do, in plain JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.config.diff import WORDS
from runner.model.deployment import Change
from runner.reload.apply import Applied, Outcome, Rejected, Superseded, Unchanged
from runner.serve.deployed import Deployed
from runner.serve.status import problem


async def reload(deployed: Deployed) -> dict[str, Any]:
    """Take what the file says now."""
    return outcome(await deployed.reload())


def outcome(result: Outcome | None) -> dict[str, Any]:
    match result:
        case None:
            return {"result": "started"}
        case Unchanged():
            return {"result": "unchanged"}
        case Superseded():
            return {"result": "superseded"}
        case Rejected():
            return {"result": "rejected", "problems": [problem(p) for p in result.problems]}
        case Applied():
            return {
                "result": "applied",
                "revision": result.revision,
                "changes": changes(result.changes),
                "sessions": {
                    "applied": result.applied,
                    "pending": result.pending,
                    "total": result.total,
                },
                "ms": round(result.ms, 1),
            }


def changes(found: Iterable[Change]) -> list[Mapping[str, Any]]:
    return [
        {
            "path": change.path,
            "class": change.reload,
            "when": WORDS[change.reload],
            "old": change.old,
            "new": change.new,
        }
        for change in found
    ]
