"""The order of MCP's events: lists of tools, calls, and requests for approval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.response_rules import Out, ResponseRules, Running, require

_KINDS = {"protocol_error", "http_error", "tool_execution_error"}


class McpRules(ResponseRules):
    """The rules of responses, with those of MCP items among them."""

    def __init__(self, checker: Any) -> None:
        super().__init__(checker)
        self._lists: dict[str, str] = {}
        self._steps: dict[str, str] = {}
        self._requests: set[str] = set()
        self._approved: set[str] = set()

    # -- what the client did ----------------------------------------------------------------
    def item_asked(self, item: Mapping[str, Any]) -> None:
        """A conversation.item.create of the client's."""
        request = item.get("approval_request_id")
        answers = item.get("type") == "mcp_approval_response"
        if answers and item.get("approve") is True and request in self._requests:
            self._approved.add(str(request))
        if item.get("type") == "mcp_approval_request" and isinstance(item.get("id"), str):
            self._requests.add(item["id"])

    # -- lists ------------------------------------------------------------------------------
    def listing(self, event: dict[str, Any]) -> None:
        """mcp_list_tools.in_progress, .completed or .failed."""
        item_id, step = event["item_id"], event["type"].rpartition(".")[2]
        item = self._checker.items.get(item_id)
        require(item is not None, f"a list of tools without an added item, {item_id}")
        assert item is not None
        require(item["type"] == "mcp_list_tools", f"{item_id} is no list of tools")
        before = self._lists.get(item_id)
        if step == "in_progress":
            require(before is None, f"{item_id} is being listed already")
        else:
            require(before == "in_progress", f"{item_id}: {step} after {before}")
            if step == "failed":
                require(item["tools"] == [], "a failed list has tools")
        self._lists[item_id] = step

    def end(self) -> None:
        super().end()
        lists = [i for i, step in self._lists.items() if step == "in_progress"]
        require(not lists, f"lists of tools that never ended: {lists}")

    # -- calls ------------------------------------------------------------------------------
    def item_added(self, item: dict[str, Any]) -> None:
        if item["type"].startswith("mcp_"):
            item = {**item, "status": "in_progress"}  # MCP's items have none on the wire
        super().item_added(item)

    def event(self, kind: str, event: dict[str, Any]) -> None:
        if not kind.startswith("response.mcp_call."):
            super().event(kind, event)
            return
        item_id, step = event["item_id"], kind.rpartition(".")[2]
        outputs = [
            (place, out)
            for running in self.running.values()
            for place, out in enumerate(running.outputs)
            if out.item["id"] == item_id
        ]
        require(outputs, f"{kind} of no running response's item")
        [(place, out)] = outputs
        require(out.item["type"] == "mcp_call", f"{kind} of an item of type {out.item['type']}")
        require(event["output_index"] == place, f"{kind} with another output_index")
        require(out.done is None, f"{kind} after output_item.done")
        require(out.arguments_done, f"{kind} before mcp_call_arguments.done")
        before = self._steps.get(item_id)
        wanted = None if step == "in_progress" else "in_progress"
        require(before == wanted, f"{kind} after {before}")
        self._steps[item_id] = step

    def _output_added(self, response: Running, event: dict[str, Any]) -> None:
        super()._output_added(response, event)
        item = event["item"]
        if item["type"] != "mcp_call":
            return
        require(item["arguments"] == "", "an MCP call begins with arguments ''")
        request = item.get("approval_request_id")
        if request is not None:
            require(request in self._approved, f"{request} was not approved, and is called")
            self._approved.remove(request)

    def _output_done(self, response: Running, out: Out, item: dict[str, Any]) -> None:
        super()._output_done(response, out, item)
        if item["type"] == "mcp_approval_request":
            require(item == out.item, "a request for approval changed")
            if not response.out_of_band:
                self._requests.add(item["id"])
        if item["type"] != "mcp_call":
            return
        step = self._steps.get(item["id"])
        require(step in ("completed", "failed"), f"an MCP call is done after {step}")
        require(item["arguments"] == out.arguments, "the arguments of an MCP call changed")
        for key in ("server_label", "name", "approval_request_id"):
            require(item[key] == out.item[key], f"the {key} of an MCP call changed")
        error, output = item["error"], item["output"]
        if step == "completed":
            require(error is None and isinstance(output, str), "completed without an output")
        else:
            require(output is None and error["type"] in _KINDS, "failed without an error")
            require(bool(error["message"]), "failed without a message")


def no_keys(session: Mapping[str, Any]) -> None:
    """What a client gave to open its MCP servers is not told to whoever reads the session."""
    for tool in session.get("tools") or ():
        if tool["type"] == "mcp":
            for key in ("authorization", "headers"):
                require(tool.get(key) is None, f"session.tools echoes {key}")
