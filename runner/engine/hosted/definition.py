"""An ``mcp`` entry of a session's tools, and what it lets the model do.

Source: the MCP tool of OpenAI's Realtime API reference (allowed_tools, require_approval).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner import codec

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as its server lists it."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    annotations: Mapping[str, Any] | None = None

    @property
    def safe_name(self) -> str:
        """Without the signs that a function's name may not hold."""
        return safe_name(self.name)

    @property
    def read_only(self) -> bool:
        return bool((self.annotations or {}).get("readOnlyHint"))

    def wire(self) -> dict[str, Any]:
        """As an mcp_list_tools item carries it. ``description`` is a string even when there is
        none: a client of OpenAI's own drops a list without."""
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": dict(self.input_schema),
            "annotations": None if self.annotations is None else dict(self.annotations),
        }

    def function(self) -> dict[str, Any]:
        """As a brain is offered it: a function tool."""
        schema = dict(self.input_schema)
        schema.setdefault("type", "object")
        schema.setdefault("properties", {})
        return {
            "type": "function",
            "name": self.safe_name,
            "description": self.description,
            "parameters": schema,
        }


def safe_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]


def key_of(entry: Mapping[str, Any]) -> str:
    """Equal for equal definitions: one that changed is listed again."""
    return codec.dumps({key: entry[key] for key in sorted(entry)})


def headers_of(entry: Mapping[str, Any]) -> dict[str, str]:
    """What goes to the server. An ``authorization`` without a scheme is an OAuth token.

    ValueError, naming no value, for what HTTP cannot carry.
    """
    headers = {str(k): str(v) for k, v in (entry.get("headers") or {}).items()}
    token = entry.get("authorization")
    if token:
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
        headers["Authorization"] = token if " " in token else f"Bearer {token}"
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError("the name of a header is none that HTTP carries")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name} is none that HTTP carries")
    return headers


def allowed(entry: Mapping[str, Any], tool: Listed) -> bool:
    wanted = entry.get("allowed_tools")
    if wanted is None:
        return True
    if isinstance(wanted, Mapping):
        return not wanted or _matches(wanted, tool)
    return tool.name in wanted


def needs_approval(entry: Mapping[str, Any], tool: Listed) -> bool:
    """Left out is ``always``. Of the filters ``always`` goes first; a tool in neither needs
    approval unless ``always`` stands alone, for then the others are meant to go free."""
    rule = entry.get("require_approval", "always")
    if not isinstance(rule, Mapping):
        return bool(rule != "never")
    always, never = rule.get("always"), rule.get("never")
    if always and _matches(always, tool):
        return True
    if never and _matches(never, tool):
        return False
    return not (always and never is None)


def _matches(wanted: Mapping[str, Any], tool: Listed) -> bool:
    names, read_only = wanted.get("tool_names"), wanted.get("read_only")
    if names is not None and tool.name not in names:
        return False
    return read_only is None or tool.read_only == read_only
