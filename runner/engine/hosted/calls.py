"""What an MCP tool is to a response on the wire: a call that the engine makes, or a request for
its approval.

Order: output_item.added, conversation.item.added, mcp_call_arguments.delta and .done,
mcp_call.in_progress, then .completed or .failed, conversation.item.done, output_item.done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.engine.hosted.errors import HostedError, tool_error
from runner.engine.hosted.server import Target
from runner.engine.server.context import Context
from runner.engine.server.output import ARGUMENTS_DELTA, OutputItem, pieces
from runner.engine.wire import Items

CUT_OFF = "The response was cancelled while the tool ran. Whether it did its work is not known."


@dataclass(frozen=True, slots=True)
class Approved:
    """A call that the client has approved. ``target`` None: nobody offers it any more."""

    target: Target | None
    label: str
    name: str
    arguments: str
    request_id: str


class McpCall(OutputItem):
    """Announced at once; ``end`` it with what came of it."""

    def __init__(
        self,
        context: Context,
        items: Items,
        response_id: str,
        index: int,
        *,
        label: str,
        name: str,
        arguments: str,
        request_id: str | None = None,
    ) -> None:
        super().__init__(context, items, response_id, index)
        self._added(items.start_mcp_call(self.id, label, name, request_id))
        for delta in pieces(arguments, ARGUMENTS_DELTA):
            items.add_arguments(self.id, delta)
            context.send(self._events.mcp_arguments_delta(delta))
        context.send(self._events.mcp_arguments_done(arguments))
        context.send(self._events.mcp_call("in_progress"))

    def end(self, outcome: str | HostedError) -> dict[str, Any]:
        """The finished item."""
        failed = isinstance(outcome, HostedError)
        if isinstance(outcome, HostedError):
            self._items.set_mcp_outcome(self.id, error=outcome.wire())
        else:
            self._items.set_mcp_outcome(self.id, output=outcome)
        self._context.send(self._events.mcp_call("failed" if failed else "completed"))
        return self._done("completed")

    def cut_off(self) -> dict[str, Any]:
        """The response ended first."""
        return self.end(tool_error(CUT_OFF))


class _ApprovalRequest(OutputItem):
    def send(self, target: Target, arguments: str) -> dict[str, Any]:
        item = self._items.start_mcp_request(self.id, target.label, target.tool.name, arguments)
        self._added(item)
        return self._done("completed")


def approval_request(
    context: Context,
    items: Items,
    response_id: str,
    index: int,
    target: Target,
    arguments: str,
) -> dict[str, Any]:
    """Ask the client whether the tool may be called; the finished item."""
    return _ApprovalRequest(context, items, response_id, index).send(target, arguments)
