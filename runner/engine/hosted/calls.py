"""What an MCP tool is to a response on the wire: a call that the engine makes, and a request for
its approval before, where the definition asks for one.

OpenAI's reference leaves the order open. It is the one that OpenAI's own tests of the service wait
for (openai-dotnet, RealtimeToolTests; openai-ruby, examples/realtime/mcp_approval): the response
streams the call with its arguments and ends, the call without a result in its output. Then the
tool runs: mcp_call.in_progress, .completed or .failed, conversation.item.done, output_item.done.
Nobody speaks of the result before the client asks for the next response.

A request for approval stands at the very end of the response that wants the call, so that a client
that answers it at once, and asks for more, finds no response running. A yes runs the tool; a no
leaves the call as it is, and the brain hears of it when the next response is made.
"""

from __future__ import annotations

from typing import Any

from runner.engine.hosted.errors import HostedError
from runner.engine.hosted.server import Target
from runner.engine.server.context import Context
from runner.engine.server.output import ARGUMENTS_DELTA, OutputItem, pieces
from runner.engine.wire import Items, new_id


class McpCall(OutputItem):
    """Streamed at once, with whole arguments. ``request_id`` is that of the request for its
    approval, None when it needs none."""

    def __init__(
        self,
        context: Context,
        items: Items,
        response_id: str,
        index: int,
        target: Target,
        arguments: str,
    ) -> None:
        super().__init__(context, items, response_id, index)
        self.target = target
        self.arguments = arguments
        self.request_id = new_id("item") if target.needs_approval else None
        self._response_id = response_id
        name = target.tool.name
        self._added(items.start_mcp_call(self.id, target.label, name, self.request_id))
        for delta in pieces(arguments, ARGUMENTS_DELTA):
            items.add_arguments(self.id, delta)
            context.send(self._events.mcp_arguments_delta(delta))
        context.send(self._events.mcp_arguments_done(arguments))
        items.await_outcome(self.id)

    def wire(self) -> dict[str, Any]:
        """The item as it stands."""
        return self._items.wire(self.id)

    def ask(self, index: int) -> dict[str, Any]:
        """Request the approval, as output ``index`` of the same response; the request's item."""
        assert self.request_id is not None
        request = _ApprovalRequest(
            self._context, self._items, self._response_id, index, self.request_id
        )
        return request.send(self.target, self.arguments)

    def begin(self) -> None:
        """The tool runs from now on."""
        self._context.send(self._events.mcp_call("in_progress"))

    def end(self, outcome: str | HostedError) -> None:
        failed = isinstance(outcome, HostedError)
        if isinstance(outcome, HostedError):
            self._items.set_mcp_outcome(self.id, error=outcome.wire())
        else:
            self._items.set_mcp_outcome(self.id, output=outcome)
        self._context.send(self._events.mcp_call("failed" if failed else "completed"))
        self._done("completed")


class _ApprovalRequest(OutputItem):
    def send(self, target: Target, arguments: str) -> dict[str, Any]:
        item = self._items.start_mcp_request(self.id, target.label, target.tool.name, arguments)
        self._added(item)
        return self._done("completed")
