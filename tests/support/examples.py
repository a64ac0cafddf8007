"""What an editor proposes as a value: ``examples`` in the schema, the words of each choice.

Editors do not look for an enum behind the condition that lets ``${...}`` stand there too.
"""

from __future__ import annotations

import json
from typing import Any

_PLACEHOLDER = {"$ref": "#/$defs/placeholder"}


def written(text: str) -> str:
    """The schema's text with the examples of every field as its choices are."""
    schema = json.loads(text)
    _visit(schema, False)
    return json.dumps(schema, indent=2) + "\n"


def _visit(node: Any, is_field: bool) -> None:
    if isinstance(node, list):
        for item in node:
            _visit(item, False)
    if not isinstance(node, dict):
        return
    for key, child in node.items():
        for part in child.values() if key in ("properties", "$defs") else (child,):
            _visit(part, key == "properties")
    words = _choices(node)
    if is_field and words and node.get("examples") != words:
        rest = {key: value for key, value in node.items() if key != "examples"}
        node.clear()
        for key, value in rest.items():
            node[key] = value
            if key == "type":
                node["examples"] = words


def _choices(field: dict[str, Any]) -> list[str]:
    found: list[Any] = []
    for part in (field, *(rule.get("then") for rule in field.get("allOf", ()))):
        if isinstance(part, dict) and part.get("if") == _PLACEHOLDER:
            behind = part.get("else", {})
            found = found or behind.get("enum") or behind.get("else", {}).get("enum", [])
    return [word for word in found if isinstance(word, str)]
