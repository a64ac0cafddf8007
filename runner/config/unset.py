"""A deployment without its environment: for a check where no secrets are.

``load(..., no_env=True)`` leaves a text with a variable that is not set as it is written. Nothing
is said of such a value, and a stand-in that fits the schema takes its place in what is built.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from runner.config.schema import Schema
from runner.config.tree import Path, dotted
from runner.errors import Problem
from runner.model.secret import Secret

_STAND_INS: tuple[Any, ...] = (
    "unset", "1s", "https://unset.invalid/", "unset:unset", "00:00-24:00", 1, True,
)  # fmt: skip
_UNKNOWN_NAME = re.compile("no [a-z_ ]+ is called '")
_PROMPT = ("instructions", "file")


def known(
    problems: Iterable[Problem], broken: Collection[Path], unset: Collection[Path] = ()
) -> list[Problem]:
    """``problems`` without those at or below a ``broken`` path, and without what may hang on a
    value of ``unset``: in the same map, or a name that may be the one that nobody knows."""
    around = [dotted(path) for path in broken]
    around += [dotted(path[:-1]) for path in unset if len(path) > 2 and isinstance(path[-1], str)]
    nameless = any(path[-1:] in (("name",), ("server_label",)) for path in unset)
    return [
        p
        for p in problems
        if not any(_below(p.path, name) for name in around)
        and not (nameless and _UNKNOWN_NAME.match(p.message))
    ]


def _below(path: str, name: str) -> bool:
    return path == name or path.startswith((f"{name}.", f"{name}["))


def fill_in(document: Any, unset: Collection[Path], schema: Schema) -> None:
    """Puts a value that fits at each path of ``unset`` in ``document``."""
    for path in unset:
        if path[-2:] == _PROMPT:
            path = path[:-1]
        node = document
        for step in path[:-1]:
            node = node[step]
        if path[-1:] != _PROMPT[:1] or not isinstance(node[path[-1]], str):
            value = _stand_in(path, schema)
            node[path[-1]] = Secret(value) if schema.secret(path) is True else value


def _stand_in(path: Path, schema: Schema) -> Any:
    choices = [v for node in schema.at(path) for v in node.get("enum", ()) if v is not None]
    return next(
        (value for value in (*choices, *_STAND_INS) if schema.takes(path, value) is not False),
        "unset",
    )
