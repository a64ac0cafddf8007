"""What the schema says of one path of a deployment: the one source of `rtrun explain`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from runner.config.build import build
from runner.config.check import near
from runner.config.overrides import parse_path
from runner.config.resolved import with_defaults
from runner.config.schema import Schema
from runner.config.source import shown
from runner.config.tree import Path, dotted
from runner.errors import UsageError
from runner.model.deployment import DEFAULT_TRANSPORT, ReloadClass

#: Stands for a name that the user chooses.
NAME = "NAME"
_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
#: The sentence of a description that says in words what its class says.
_WHEN = re.compile(r"\s*(?:A change|A running call (?:has|takes) a change)\b[^.]*\.\Z")
#: Their default is that of the machine or of the file's name.
_OWN = frozenset({"name", "timezone", "entry"})


@dataclass(frozen=True, slots=True)
class Key:
    """A key below a path, ``NAME`` for one that the user chooses, ``[0]`` for the items of a
    list. ``about`` is the first sentence of its description."""

    name: str
    about: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """One path. ``kinds`` are in words, ``choices`` the values that may stand there (``also``
    what else), ``expects`` what a text has to look like; ``default`` is None without one;
    ``secret`` is True, ``expanded`` (when ``${...}`` fills it in) or False; ``parent`` is the map
    that it stands in, empty for the top level."""

    path: str
    description: str
    kinds: tuple[str, ...]
    choices: tuple[Any, ...]
    also: str
    expects: str
    default: Any
    reload: ReloadClass
    secret: bool | str
    required: bool
    parent: str
    keys: tuple[Key, ...] = field(default=())


def explain(text: str, schema: Schema) -> Explained:
    """The path ``text``, with names of the file or ``NAME``, and with list items by number or by
    their name. UsageError, with the nearest that there is, when the schema has no such path."""
    try:
        given = parse_path(text)
    except ValueError:
        hint = "a path such as session.audio.input.format, or a code such as RT202"
        raise UsageError(f"{shown(text)}: this is no path", hint) from None
    path = _known(given, schema)
    nodes = schema.at(path)
    description = _description(path, schema)
    if not description and isinstance(path[-1], int):
        description = f"One item. {_description(path[:-1], schema)}"
    choices = _once(value for node in nodes for value in node.get("enum", ()))
    parent = schema.at(path[:-1])
    return Explained(
        path=dotted(given),
        description=description,
        kinds=_once(_KINDS[kind] for node in nodes for kind in _types(node)),
        choices=choices,
        also=next((node["x-also"] for node in nodes if "x-also" in node), ""),
        expects=next((str(node["x-expect"]) for node in nodes if "x-expect" in node), ""),
        default=None if path[0] in _OWN else _default(path),
        reload=schema.reload_class(path),
        secret=schema.secret(path),
        required=any(path[-1] in node.get("required", ()) for node in parent),
        parent=dotted(given[:-1]),
        keys=keys_below(path, schema),
    )


def keys_below(path: Path, schema: Schema) -> tuple[Key, ...]:
    """The keys that may stand in the value at ``path``, in the order of the schema."""
    found: dict[str, Key] = {}
    nodes = schema.at(path)
    needed = {name for node in nodes for name in node.get("required", ())}
    for node in nodes:
        for name in node.get("properties", {}):
            found.setdefault(name, Key(name, _about((*path, name), schema), name in needed))
        if isinstance(node.get("items"), Mapping):
            about = _about((*path, 0), schema)
            if about or any("properties" in item for item in schema.at((*path, 0))):
                found.setdefault("[0]", Key("[0]", about or "One item."))
        if isinstance(node.get("additionalProperties"), Mapping):
            found.setdefault(NAME, Key(NAME, _about((*path, NAME), schema)))
    return tuple(found.values())


def _known(given: Path, schema: Schema) -> Path:
    """``given`` as steps that the schema has; an item of a list may be named as in a diff."""
    path: Path = ()
    for step in given:
        following: Path = (*path, step)
        if not schema.at(following) and isinstance(step, str) and schema.at((*path, 0)):
            following = (*path, 0)
        if not schema.at(following):
            raise UsageError(f"there is no {dotted((*path, step))}", _hint(path, step, schema))
        path = following
    return path


def _hint(path: Path, step: str | int, schema: Schema) -> str:
    known = [key.name for key in keys_below(path, schema)]
    if isinstance(step, int):
        return f"{dotted(path)} is no list" if path else "the file is a map"
    if not known and any("object" in _types(node) for node in schema.at(path)):
        return f"{dotted(path)} takes keys of your own"
    homes = schema.homes(step)[:3]
    if homes:  # the very key, somewhere else
        return f"did you mean {' or '.join(homes)}?"
    close = near(step, known)
    if close:
        whole = dotted((*path, close.removeprefix("did you mean ").rstrip("?")))
        return f"did you mean {whole}?"
    where = f"in {dotted(path)}" if path else "at the top level"
    return f"{where} are: {', '.join(known)}" if known else f"{dotted(path)} has no keys"


def _description(path: Path, schema: Schema) -> str:
    """Without the sentence that says the class in words."""
    found = (str(node["description"]) for node in schema.at(path) if "description" in node)
    return _WHEN.sub("", next(found, ""))


def _about(path: Path, schema: Schema) -> str:
    return re.split(r"(?<=[^.][.])\s", _description(path, schema), maxsplit=1)[0]


def _types(node: Mapping[str, Any]) -> Iterator[str]:
    kinds = node.get("type", ())
    yield from (kinds,) if isinstance(kinds, str) else kinds


def _once(values: Iterator[Any]) -> tuple[Any, ...]:
    """Each value once, 1 and true being two."""
    return tuple({(type(value), value): value for value in values}.values())


@cache
def _defaults() -> Any:
    """What stands in a deployment whose author said as little as possible."""
    document = {
        "agents": {NAME: {"instructions": "x"}},
        "tools": {NAME: {"python": "x:y"}},
        "guardrails": [{"name": NAME, "regex": "x"}],
        "silence": {"ask_after": "15s"},
        "transport": "websocket",  # where audio formats have a default
    }
    here = FilePath.cwd()
    value = with_defaults(build(document, here / "x.yaml", {}, {}, lambda path: here))
    for key in ("agents", "guardrails"):
        value[key] = {NAME: {}} if key == "agents" else [dict(value[key][0], name=None, regex=None)]
    value["transport"] = DEFAULT_TRANSPORT
    value["tools"][NAME].pop("python")
    value["silence"].pop("ask_after")
    return value


def _default(path: Path) -> Any:
    node = _defaults()
    for step in path:
        if isinstance(node, dict) and path[0] in ("agents", "tools") and step not in node:
            step = NAME if set(node) == {NAME} else step
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    containers = isinstance(node, (dict, list)) and len(path) == 1
    return None if containers else node
