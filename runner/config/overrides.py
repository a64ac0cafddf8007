"""``--set path=value``: one value of a deployment, given on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from runner.config.scalars import resolve
from runner.config.schema import Schema
from runner.config.source import Source, make_source, shown
from runner.config.tree import Path, Place, Tree, dotted, parse
from runner.errors import ConfigError, Problem, UsageError

_STEP = re.compile(r"(?:\.|\A)([^.\[\]]+)|\[([0-9]+)\]")
_SOURCE = Source("--set", "", ())


def parse_path(text: str) -> Path:
    """``agents.desk.tools[1]`` as steps, a list's being whole numbers; ValueError for no path."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at) if at else re.compile(r"([^.\[\]]+)()").match(text)
        if not found:
            raise ValueError(text)
        name, index = found.groups()
        steps.append(name if name is not None else int(index))
        at = found.end()
    if not steps:
        raise ValueError(text)
    return tuple(steps)


def apply(tree: Tree, overrides: Sequence[tuple[str, str]], schema: Schema) -> Tree:
    """``tree`` with every ``(path, value)`` laid on top, in their order.

    A value that begins with a bracket, a brace or a quote is YAML; any other is one scalar,
    a text where the schema wants one. ConfigError when a path leads nowhere.
    """
    problems: list[Problem] = []
    for text, value in overrides:
        try:
            path = parse_path(text)
        except ValueError:
            hint = "a path such as agents.front_desk.voice or agents.desk.tools[0]"
            raise UsageError(f"--set {shown(text)}: this is no path", hint) from None
        if path[0] == "extends":
            hint = "write another file that names its base"
            message = "a file's base is settled before --set"
            problems.append(Problem("--set", 0, 0, dotted(path), message, hint, code="RT021"))
            continue
        try:
            _put(tree, path, value, schema)
        except _NoWayError as error:
            problems.append(Problem("--set", 0, 0, dotted(path), str(error), code="RT021"))
        except ConfigError as error:
            why = error.problems[0]
            problem = Problem("--set", 0, 0, dotted(path), why.message, why.hint, code=why.code)
            problems.append(problem)
    if problems:
        raise ConfigError(problems)
    return tree


class _NoWayError(Exception):
    pass


def _put(tree: Tree, path: Path, text: str, schema: Schema) -> None:
    value, places = _value(path, text, schema)
    node: Any = tree.value
    for i, step in enumerate(path[:-1]):
        node = _enter(node, step, path[: i + 1], path[i + 1])
    last = path[-1]
    if isinstance(last, int):
        if not isinstance(node, list) or last > len(node):
            raise _NoWayError(f"the list has no item {last}")
        if last == len(node):
            node.append(value)
        else:
            node[last] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise _NoWayError("a list is counted: [0], [1], ...")
    for old in [p for p in tree.places if p[: len(path)] == path]:
        del tree.places[old]
    tree.places.update(places)


def _enter(node: Any, step: str | int, path: Path, following: str | int) -> Any:
    """The map or list at ``step``; a missing map is made."""
    if isinstance(step, int):
        if isinstance(node, list) and step < len(node):
            return _container(node[step], path)
        raise _NoWayError(f"{dotted(path)} is not there")
    if not isinstance(node, dict):
        raise _NoWayError("a list is counted: [0], [1], ...")
    if node.get(step) is None:
        node[step] = [] if isinstance(following, int) else {}
    return _container(node[step], path)


def _container(node: Any, path: Path) -> Any:
    if isinstance(node, (dict, list)):
        return node
    raise _NoWayError(f"{dotted(path)} holds {shown(node)}, so nothing can be set inside it")


def _value(path: Path, text: str, schema: Schema) -> tuple[Any, dict[Path, Place]]:
    scalar = Place(_SOURCE, 0, 0, 0, 0, text, True)
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise _NoWayError("the value is not UTF-8 text")
    if text[:1] in ("{", "[", '"', "'"):
        inner = parse(make_source("--set", f"value: {text}"))
        places = {(*path, *p[1:]): _nowhere(q) for p, q in inner.places.items() if p}
        return inner.value["value"], places
    if schema.takes(path, text):
        return text, {path: scalar}
    try:
        return resolve(text), {path: scalar}
    except ValueError as error:
        raise _NoWayError(str(error)) from None


def _nowhere(place: Place) -> Place:
    return Place(_SOURCE, 0, 0, 0, 0, place.text, place.plain, place.flow)
