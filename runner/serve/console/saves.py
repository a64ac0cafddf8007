"""What became of each save, as a page shows it: what it changed and when that acts, or what is
wrong with it, with the line and the place in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from runner.config import schema as schemas
from runner.config.compare import changed_lines, in_file, resends
from runner.config.diff import WORDS
from runner.errors import Problem
from runner.model.deployment import Change
from runner.reload.apply import Applied, Rejected
from runner.serve.console.story import now
from runner.serve.deployed import Later, Pending, Told

#: Saves of a deployment that are kept.
MOST_SAVES = 30

Save = dict[str, Any]


class Saves:
    """Those of one deployment, the oldest first."""

    def __init__(self) -> None:
        self.rows: list[Save] = []
        self._count = 0
        #: Calls that have to end their turn first, by revision.
        self._waiting: dict[int, list[str]] = {}

    def hear(self, what: Told) -> Save | None:
        """The save that this is about, as it is now."""
        match what:
            case Applied():
                return self._add(_applied(what), self._waiting.pop(what.revision, []))
            case Rejected():
                return self._add(_rejected(what), [])
            case Pending():
                save = self._of(what.revision)
                if save is None:
                    self._waiting = {what.revision: self._waiting.get(what.revision, [])}
                    self._waiting[what.revision].append(what.call)
                elif what.call not in save["waiting"]:
                    save["waiting"].append(what.call)
                return save
            case Later():
                save = self._of(what.revision)
                if save is not None:
                    sessions = save["sessions"]
                    sessions["applied"] += 1
                    sessions["pending"] = max(0, sessions["pending"] - 1)
                    save["waiting"] = [call for call in save["waiting"] if call != what.call]
                    save["ms"] = round(what.ms, 1)
                return save
        return None

    def _of(self, revision: int) -> Save | None:
        return next((s for s in reversed(self.rows) if s.get("revision") == revision), None)

    def _add(self, save: Save, waiting: list[str]) -> Save:
        self._count += 1
        row = {"id": self._count, "at": now(), "waiting": waiting, **save}
        self.rows.append(row)
        del self.rows[:-MOST_SAVES]
        return row


def _applied(what: Applied) -> Save:
    return {
        "kind": "applied",
        "revision": what.revision,
        "changes": changes(what.changes),
        "sessions": {"applied": what.applied, "pending": what.pending, "total": what.total},
        "ms": round(what.ms, 1),
    }


def _rejected(what: Rejected) -> Save:
    return {
        "kind": "rejected",
        "problems": [_problem(problem) for problem in what.problems],
        "session": what.session or None,
    }


def changes(found: Iterable[Change]) -> list[dict[str, Any]]:
    """``lines`` are ``[sign, text]`` of a text that changed within: " ", "+", "-", "…"."""
    out = []
    for change in found:
        row = {
            "path": change.path,
            "class": change.reload,
            "words": WORDS[change.reload],
            "old": in_file(change.path, change.old),
            "new": in_file(change.path, change.new),
            "resends": resends(change),
        }
        if isinstance(change.old, str) and isinstance(change.new, str):
            row["lines"] = [list(pair) for pair in changed_lines(change.old, change.new)]
        out.append(row)
    return out


def _problem(problem: Problem) -> dict[str, Any]:
    """With its line, as the terminal shows it to the same person, unless a secret stands there."""
    told = asdict(problem)
    path = tuple(int(s) if s.isdigit() else s for s in _steps(problem.path))
    if path and schemas.load().secret(path):
        told["source"] = ""
    return told


def _steps(path: str) -> list[str]:
    return [step for step in path.replace("[", ".").replace("]", "").split(".") if step]
