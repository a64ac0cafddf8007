"""The schema of a deployment: one file, asked for validation, reload classes and secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator

from runner import codec
from runner.errors import InputError
from runner.model.deployment import ReloadClass

FILE_NAME = "rtrun.v1.schema.json"
_PLACEHOLDER = r"\$\{"
_PLACEHOLDER_REF = {"$ref": "#/$defs/placeholder"}
_EXTENDS = {"required": ["extends"]}

Step = str | int


def find() -> Path:
    """The schema file: beside this module in a wheel, in schemas/ of a checkout."""
    here = Path(__file__).resolve().parent
    for path in (here / FILE_NAME, here.parent.parent / "schemas" / FILE_NAME):
        if path.is_file():
            return path
    raise InputError(
        f"the schema {FILE_NAME} is missing from this installation",
        "nothing can be checked without it: install rtrun again",
    )


@cache
def load() -> Schema:
    """The schema, read once; InputError (exit 2) when it is missing or damaged."""
    path = find()
    try:
        root = codec.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the schema cannot be read ({error})") from None
    return Schema(root)


class Schema:
    """``authoring`` is the file as editors see it, where a scalar may be a ``${...}`` text, and a
    file that extends another need not be whole; ``resolved`` the same after merging and expansion,
    where neither holds."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.authoring = root
        self.resolved = cast("dict[str, Any]", _resolved(root))
        self._validator = Draft202012Validator(self.resolved)

    def errors(self, document: Any) -> list[Any]:
        """jsonschema's errors of an expanded document, leaves only: the schema has no unions
        that would nest them."""
        return list(self._validator.iter_errors(document))

    def at(self, path: tuple[Step, ...]) -> list[Mapping[str, Any]]:
        """Every subschema that describes the value at ``path``, nearest first; empty when the
        schema knows no such path. All branches of an if are taken."""
        found = list(self._closure(self.resolved))
        for step in path:
            children = [child for node in found for child in _step(node, step)]
            found = [part for child in children for part in self._closure(child)]
        return found

    def reload_class(self, path: tuple[Step, ...]) -> ReloadClass:
        """The ``x-reload`` of the field at ``path``, or of the nearest parent that has one."""
        for end in range(len(path), 0, -1):
            for node in self.at(path[:end]):
                if "x-reload" in node:
                    return cast("ReloadClass", node["x-reload"])
        return "restart"

    def secret(self, path: tuple[Step, ...]) -> bool | str:
        """True when the value is always a secret, ``"expanded"`` when it is one if ``${...}``
        had a part in it, ``"url"`` when it must be a URL besides, else False."""
        for node in self.at(path):
            if "x-secret" in node:
                return cast("bool | str", node["x-secret"])
        return False

    def takes(self, path: tuple[Step, ...], value: Any) -> bool | None:
        """Whether a scalar fits the field at ``path``; None when the schema leaves it open."""
        nodes = [n for n in self.at(path) if any(k in n for k in ("type", "enum", "const"))]
        if not nodes:
            return None
        alone = ("type", "pattern", "enum", "const", "minLength", "minimum", "maximum")
        for node in nodes:
            test = {key: node[key] for key in alone if key in node}
            if Draft202012Validator(test).is_valid(value):
                return True
        return False

    def homes(self, key: str) -> list[str]:
        """Paths where a key of this name belongs, ``NAME`` for one that the user chooses."""
        return [path for path in self._index() if path.rpartition(".")[2] == key]

    def _index(self) -> list[str]:
        out: dict[str, None] = {}

        def visit(node: Mapping[str, Any], path: str, above: tuple[str, ...]) -> None:
            for part in self._closure(node):
                for name, child in part.get("properties", {}).items():
                    where = f"{path}.{name}" if path else name
                    out[where] = None
                    visit(child, where, above)
                more = part.get("additionalProperties")
                ref = more.get("$ref") if isinstance(more, Mapping) else None
                if ref and ref not in above:  # a body holds maps that hold maps
                    visit(cast("Mapping[str, Any]", more), f"{path}.NAME", (*above, ref))

        visit(self.resolved, "", ())
        return list(out)

    def _closure(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """``node`` and all that it refers to: $ref, allOf, then, else."""
        yield node
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            yield from self._closure(self.resolved["$defs"][name])
        for part in (*node.get("allOf", ()), node.get("then"), node.get("else")):
            if isinstance(part, Mapping):
                yield from self._closure(part)


def _step(node: Mapping[str, Any], step: Step) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, int):
        items = node.get("items")
        if isinstance(items, Mapping):
            yield items
        return
    properties = node.get("properties", {})
    if step in properties:
        yield properties[step]
        return
    for pattern, child in node.get("patternProperties", {}).items():
        if re.search(pattern, step):
            yield child
            return
    more = node.get("additionalProperties")
    if isinstance(more, Mapping):
        yield more


def _resolved(node: Any) -> Any:
    """``node`` without the alternatives of the authoring view (``${...}``, a file that extends
    another), and without what is there for other validators alone: rtrun says that in its own
    words (``semantics``)."""
    if isinstance(node, list):
        return [
            _resolved(item)
            for item in node
            if not (isinstance(item, Mapping) and "x-own-words" in item)
        ]
    if not isinstance(node, Mapping):
        return node
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "if" and value in (_PLACEHOLDER_REF, _EXTENDS):
            continue
        if key == "else" and node.get("if") in (_PLACEHOLDER_REF, _EXTENDS):
            out.update(_resolved(value))
        elif key == "pattern" and isinstance(value, str):
            rest = value.removesuffix(_PLACEHOLDER).removesuffix("|")
            if rest:
                out["pattern"] = rest
        elif key != "allOf" or (value := _resolved(value)):  # an empty allOf is no schema
            out[key] = _resolved(value)
    if node.get("x-null") == "deletes":  # a word to a base, gone when they are merged
        kinds = [kind for kind in node["type"] if kind != "null"]
        out["type"] = kinds[0] if len(kinds) == 1 else kinds
    if node.get("pattern") == _PLACEHOLDER and isinstance(node.get("type"), list):
        kinds = [kind for kind in node["type"] if kind != "string"]
        out["type"] = kinds[0] if len(kinds) == 1 else kinds
    elif isinstance(out.get("enum"), list) and not any(isinstance(v, str) for v in out["enum"]):
        out.pop("type", None)
    return out
