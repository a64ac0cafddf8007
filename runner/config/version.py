"""``apiVersion``: which format a file is written in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from runner.config.schema import Schema
from runner.config.source import shown
from runner.config.tree import Path, Tree
from runner.errors import Problem

_AT: Path = ("apiVersion",)


def version_problems(
    tree: Tree, document: Any, schema: Schema, broken: Collection[Path]
) -> Iterator[Problem]:
    """A version that this rtrun does not know: nothing else can be said of such a file."""
    if _AT[0] not in document or _AT in broken:
        return
    known = [name for node in schema.at(_AT) for name in node.get("enum", ())]
    written = document[_AT[0]]
    if written in known:
        return
    names = ", ".join(known)
    number = written.removeprefix("rtrun/v") if isinstance(written, str) else ""
    if number.isdigit():
        hint = f"known are {names}; a newer version needs a newer rtrun"
        message = f"this rtrun does not know version {shown(written)}"
    else:
        hint = f"known are {names}"
        message = f"{shown('null' if written is None else written)} is no version of this format"
    yield tree.problem(_AT, message, hint, code="RT022")
