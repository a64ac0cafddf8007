"""Tools that rtrun brings along. The conversation itself carries them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.errors import ToolError
from runner.tools.base import ToolContext, ToolPolicy


@dataclass(frozen=True, slots=True)
class EndCall:
    """``end_call``: the agent ends the call. Its farewell is played out first, for at most 15 s,
    and the caller may still answer it."""

    name: str = "end_call"
    timeout: float = 1.0
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        return {
            "type": "function",
            "name": self.name,
            "description": (
                "End the call. Use it when the caller has said goodbye or has nothing more to "
                "ask. Say goodbye in the same answer."
            ),
            "parameters": {
                "type": "object",
                "properties": {},
                "required": [],
                "additionalProperties": False,
            },
        }

    async def run(self, arguments: str, context: ToolContext) -> str:
        raise ToolError("the conversation ends a call, nobody else")


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


BUILT_IN = {"end_call": EndCall()}
