"""Tools that rtrun brings along. The conversation itself carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.codec import loads
from runner.errors import ToolError
from runner.model.deployment import ToolSpec
from runner.model.names import telephone_name
from runner.tools.base import Tool, ToolContext, ToolPolicy


@dataclass(frozen=True, slots=True)
class EndCall:
    """``end_call``: the agent ends the call. Its farewell is played out first, for at most 15 s,
    and the caller may still answer it."""

    name: str = "end_call"
    timeout: float = 1.0
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        return _function(
            self.name,
            "End the call. Use it when the caller has said goodbye or has nothing more to "
            "ask. Say goodbye in the same answer.",
            {},
        )

    async def run(self, arguments: str, context: ToolContext) -> str:
        raise ToolError("the conversation ends a call, nobody else")


@dataclass(frozen=True, slots=True)
class TransferCall:
    """Puts the caller of a phone call through to ``uri`` (tel: or sip:), once what the agent says
    about it was heard. ``when`` tells the model the reason to do so."""

    uri: str
    when: str = ""
    tool_name: str = ""
    timeout: float = 1.0
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    @property
    def name(self) -> str:
        return self.tool_name or telephone_name(self.uri)

    def wire(self) -> dict[str, Any]:
        words = f"Transfer the call to {self.uri}. {self.when}".strip()
        return _function(self.name, words, {})

    async def run(self, arguments: str, context: ToolContext) -> str:
        raise ToolError("the conversation puts a caller through, nobody else")


@dataclass(frozen=True, slots=True)
class CollectDigits:
    """``collect_digits``: what the caller presses on the telephone, as text."""

    name: str = "collect_digits"
    timeout: float = 1.0
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        return _function(
            self.name,
            "Wait for the caller to press keys on the telephone, and get them. Ask the caller for "
            "them in the same answer, before you use it.",
            {
                "count": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": _MOST_DIGITS,
                    "description": "How many keys; left out, the caller ends with the terminator.",
                },
                "terminator": {
                    "type": "string",
                    "enum": ["#", "*", "none"],
                    "description": "The key that ends it before, # when left out.",
                },
                "timeout": {
                    "type": "number",
                    "minimum": 1,
                    "maximum": _LONGEST_WAIT,
                    "description": "Seconds without a key after which it ends, 10 when left out.",
                },
            },
        )

    def asked(self, arguments: str) -> dict[str, Any]:
        """The model's arguments as ``Conversation.collect_digits`` takes them. ToolError."""
        try:
            given = loads(arguments or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise ToolError("the arguments are no JSON object")
        end = given.get("terminator", "#")
        if end not in ("#", "*", "none"):
            raise ToolError("terminator is #, * or none")
        return {
            "count": int(_number(given, "count", 0, _MOST_DIGITS, 0)),
            "terminator": "" if end == "none" else end,
            "timeout": _number(given, "timeout", 1, _LONGEST_WAIT, 10),
        }

    async def run(self, arguments: str, context: ToolContext) -> str:
        raise ToolError("the conversation gathers keys, nobody else")


#: A card's number has 19 digits at most; the rest is for codes of one's own.
_MOST_DIGITS = 32
_LONGEST_WAIT = 60


def _number(given: dict[str, Any], key: str, least: float, most: float, default: float) -> float:
    value = given.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ToolError(f"{key} is a number from {least} to {most}")
    return value


def _function(name: str, description: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": [],
            "additionalProperties": False,
        },
    }


@dataclass(frozen=True, slots=True)
class HostedMcpTool:
    """Tools of an MCP server that the Realtime service itself calls: the wire's own fields
    (`tools` of type mcp, OpenAI Realtime GA): server_label, server_url or connector_id,
    server_description, authorization, headers, allowed_tools, require_approval."""

    name: str
    fields: dict[str, Any] = field(repr=False)  # may hold keys
    timeout: float = 0.0
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        return {"type": "mcp", **self.fields}

    async def run(self, arguments: str, context: ToolContext) -> str:
        raise ToolError("the server carries out the tools of a hosted MCP server")


def hosted_tool(spec: ToolSpec) -> HostedMcpTool:
    """The hosted MCP server of a deployment's ``spec``."""
    fields = {key: value for key, value in spec.hosted_wire().items() if key != "type"}
    return HostedMcpTool(spec.name, fields)


BUILT_IN: Mapping[str, Tool] = {"end_call": EndCall(), "collect_digits": CollectDigits()}
