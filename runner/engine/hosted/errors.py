"""What went wrong with an MCP server, in the wire's three kinds.

Source: the ``error`` of an mcp_call item in OpenAI's Realtime API reference.
"""

from __future__ import annotations

from typing import Any, Literal

CLOSED = -32000
"""JSON-RPC codes of the MCP SDKs: the connection closed."""
TIMED_OUT = -32001
INVALID_PARAMS = -32602

Kind = Literal["protocol_error", "http_error", "tool_execution_error"]


class HostedError(Exception):
    """``code`` is JSON-RPC's for a protocol_error, HTTP's for an http_error, else None.
    ``where`` names the field of the tool's definition that is at fault, '' for none."""

    def __init__(self, kind: Kind, message: str, code: int | None = None, where: str = "") -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
        self.code = code
        self.where = where

    def wire(self) -> dict[str, Any]:
        """As the item carries it."""
        if self.code is None:
            return {"type": self.kind, "message": self.message}
        return {"type": self.kind, "code": self.code, "message": self.message}


def protocol_error(code: int, message: str, where: str = "") -> HostedError:
    return HostedError("protocol_error", message, code, where)


def http_error(status: int, message: str) -> HostedError:
    return HostedError("http_error", message, status)


def tool_error(message: str) -> HostedError:
    """The tool ran and failed, or nobody knows whether it ran."""
    return HostedError("tool_execution_error", message)
