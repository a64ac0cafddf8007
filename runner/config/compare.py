"""Two deployments read from two files, and what a change between them costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, unified_diff
from pathlib import Path
from typing import Any

from runner.config import schema as schemas
from runner.config.diff import diff
from runner.config.units import duration
from runner.model.deployment import Change, Deployment
from runner.model.prices import rates

#: Of an agent, what the session sends in front of the conversation.
_HEAD = ("instructions", "tools", "handoffs")
_ALIKE = 0.6


def compare(old: Deployment, new: Deployment) -> tuple[Change, ...]:
    """:func:`runner.config.diff.diff` of two files, which may stand in two folders: what follows
    from the files' names and places alone is no change."""
    named = "name" in old.document or "name" in new.document
    return tuple(
        change
        for change in diff(old, new)
        if not (change.path == "name" and not named) and not _same_folder(change, old, new)
    )


def resends(change: Change) -> bool:
    """True when the change alters what heads the prompt of a running call, its instructions or
    its tools: all that the server has cached of the call is then read anew."""
    if change.reload != "next" or change.old is None or change.new is None:
        # An agent or a tool that came or went shows in the agents that name it.
        return change.reload == "next" and change.path.count(".") > 1 and _heads(change.path)
    return _heads(change.path)


def price_of_resending(model: str) -> str:
    """What reading anew costs, in words: ``$4.00 instead of $0.40 per million tokens of text,
    $32.00 instead of $0.40 of audio``. Empty for a model without a list price."""
    told = [
        f"${rate.into:.2f} instead of ${rate.cached:.2f} {of}"
        for kind, of in (("text", "per million tokens of text"), ("audio", "of audio"))
        if (rate := (rates(model) or {}).get(kind)) is not None
    ]
    return ", ".join(told)


def renamed(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Pairs ``(went, came)`` of paths that look like one thing under another name."""
    went = [c for c in changes if c.new is None and isinstance(c.old, dict)]
    came = [c for c in changes if c.old is None and isinstance(c.new, dict)]
    out: list[tuple[str, str]] = []
    for old in went:
        kind = old.path.partition(".")[0]
        alike = [
            (_likeness(old.old, new.new), new.path)
            for new in came
            if new.path.partition(".")[0] == kind and new.path not in dict(out).values()
        ]
        if alike and max(alike)[0] >= _ALIKE:
            out.append((old.path, max(alike)[1]))
    return out


def changed_lines(old: str, new: str) -> Iterator[tuple[str, str]]:
    """A unified diff of two texts without its headers: ``(sign, line)``, the sign one of ``+``,
    ``-``, a space, and ``…`` for lines that are left out."""
    for line in list(unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[3:]:
        yield ("…", "") if line.startswith("@@") else (line[0], line[1:])


def in_file(path: str, value: Any) -> Any:
    """A value of a Change as a file would write it: seconds with their unit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for node in schemas.load().at(tuple(path.split("."))):
            if str(node.get("x-expect", "")).startswith("a duration"):
                return duration(value)
    return value


def _heads(path: str) -> bool:
    kind, _, rest = path.partition(".")
    if kind == "agents":
        return rest.rpartition(".")[2] in _HEAD
    return kind == "tools" or path == "timezone"


def _likeness(old: dict[str, Any], new: dict[str, Any]) -> float:
    """0 to 1, by the fields of both that say something."""
    keys = [key for key in {*old, *new} if old.get(key) or new.get(key)]
    if not keys:
        return 0.0
    total = 0.0
    for key in keys:
        a, b = old.get(key), new.get(key)
        if a == b:
            total += 1.0
        elif isinstance(a, str) and isinstance(b, str):
            total += SequenceMatcher(None, a[:2000], b[:2000], autojunk=False).ratio()
    return total / len(keys)


def _same_folder(change: Change, old: Deployment, new: Deployment) -> bool:
    """A program's folder, the same one as seen from each of the two files."""
    if not change.path.endswith(".command.cwd") or None in (change.old, change.new):
        return False
    was, now = Path(change.old), Path(change.new)
    bases = old.source.parent, new.source.parent
    if not (was.is_relative_to(bases[0]) and now.is_relative_to(bases[1])):
        return False
    return was.relative_to(bases[0]) == now.relative_to(bases[1])
