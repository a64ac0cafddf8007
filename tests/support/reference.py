"""The tables of docs/configuration.md, made from the schema.

A table stands between `<!-- keys: PATH -->` and `<!-- end -->`: every key below PATH, but for
those below a path that has a table of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.config import schema as schemas
from runner.config.diff import OF_A_KEY

Path = tuple[Any, ...]

_TABLE = re.compile(r"(<!-- keys:(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)
_CLASS = re.compile(r" (?:A change|A running call)\b[^.]*\.$")
_KINDS = {
    "object": "map",
    "array": "list",
    "string": "text",
    "integer": "number",
    "number": "number",
    "boolean": "true, false",
    "null": "null",
}


def sections(page: str) -> list[str]:
    return [found[1] for found in _TABLE.findall(page)]


def written(page: str) -> str:
    """``page`` with every table as the schema has it."""
    own = {_steps(name) for name in sections(page)}
    return _TABLE.sub(lambda m: m[1] + _table(_steps(m[2] or ""), own) + m[3], page)


def keys(path: Path = (), own: frozenset[Path] = frozenset()) -> Iterator[tuple[Path, list[Any]]]:
    """Every key below ``path`` with what the schema says of it, nearest first."""
    schema = schemas.load()
    found: dict[Path, None] = {}
    for node in schema.at(path):
        for name in node.get("properties", {}):
            found[(*path, name)] = None
        if isinstance(node.get("additionalProperties"), Mapping):
            found[(*path, "NAME")] = None
        if isinstance(node.get("items"), Mapping):
            found[(*path, 0)] = None
    for child in found:
        nodes = schema.at(child)
        if any("description" in node for node in nodes):
            yield child, nodes
        # In a body, and in options, anything stands in anything.
        if child not in own and child[-2:-1] not in (("body",), ("options",)):
            yield from keys(child, own)


def _steps(name: str) -> Path:
    found = re.findall(r"[^.\[\]]+|\[\]", name)
    return tuple(0 if step == "[]" else step for step in found)


def _table(path: Path, own: set[Path]) -> str:
    rows = ["| key | value | what it says | an edit acts |", "| --- | --- | --- | --- |"]
    for child, nodes in keys(path, frozenset(own - {path})):
        told = next(node for node in nodes if "description" in node)
        name = "".join("[]" if s == 0 else f".{s}" for s in child[len(path) :]).removeprefix(".")
        needed = any(child[-1] in n.get("required", ()) for n in schemas.load().at(child[:-1]))
        what = _cell(_CLASS.sub("", told["description"]))
        if needed and "needs it" not in what and "need it" not in what:
            what = f"Needed. {what}"
        rows.append(f"| `{name}` | {_value(nodes)} | {what} | {OF_A_KEY[told['x-reload']]} |")
    return "\n" + "\n".join(rows) + "\n\n"


def _value(nodes: list[Any]) -> str:
    kinds: dict[str, None] = {}
    names: dict[str, None] = {}
    for node in nodes:
        given = node.get("type", ())
        for kind in [given] if isinstance(given, str) else given:
            kinds[_KINDS[kind]] = None
        for name in node.get("enum", ()):
            names[f"`{name}`"] = None
        if "const" in node:
            names[f"`{node['const']}`"] = None
    expect = " ".join(str(node.get("x-expect", "")) for node in nodes)
    text = "duration" if "duration" in expect else "URL" if "URL" in expect else "text"
    out = [", ".join(names) if names and kind == "text" else kind for kind in kinds if kind]
    out = [text if kind == "text" else kind for kind in out]
    if names and "text" not in kinds:
        out = [", ".join(names)]
    return " or ".join(dict.fromkeys(out))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
