"""The order of MCP's events: lists of tools, calls, and requests for approval.

A response streams a call with its arguments and ends; the tool runs behind response.done, and the
call's item is done when it has ended. A call that needs a yes is followed by the request for it in
the same response, and stays open until the client says yes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.response_rules import Out, ResponseRules, Running, require

_KINDS = {"protocol_error", "http_error", "tool_execution_error"}


@dataclass
class _Call:
    """A call whose response is done."""

    response: Running
    place: int
    out: Out
    step: str = ""
    mirror_done: bool = False
    done: bool = False

    @property
    def request(self) -> str | None:
        request: str | None = self.out.item["approval_request_id"]
        return request


class McpRules(ResponseRules):
    """The rules of responses, with those of MCP items among them."""

    def __init__(self, checker: Any) -> None:
        super().__init__(checker)
        self._lists: dict[str, str] = {}
        self._calls: dict[str, _Call] = {}
        self._requests: set[str] = set()
        self._approved: set[str] = set()

    # -- what the client did ----------------------------------------------------------------
    def item_asked(self, item: Mapping[str, Any]) -> None:
        """A conversation.item.create of the client's."""
        request = item.get("approval_request_id")
        answers = item.get("type") == "mcp_approval_response"
        if answers and item.get("approve") is True and request in self._requests:
            self._approved.add(str(request))

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
        self._lists[item_id] = step

    def _list_done(self, item: dict[str, Any]) -> None:
        step = self._lists.get(item["id"])
        if step is None:
            return  # a client may put one into the conversation, and nothing is listed for it
        require(step != "in_progress", f"{item['id']} is done and still being listed")
        require(step != "failed" or item["tools"] == [], "a failed list has tools")

    def end(self) -> None:
        super().end()
        lists = [i for i, step in self._lists.items() if step == "in_progress"]
        require(not lists, f"lists of tools that never ended: {lists}")
        calls = {i: c for i, c in self._calls.items() if i not in self.waiting()}
        ended = all(c.done and (c.mirror_done or c.response.out_of_band) for c in calls.values())
        deleted = any(i not in self._checker.order for i in calls)
        require(ended or deleted, f"MCP calls that never ended: {list(calls)}")

    def waiting(self) -> set[str]:
        """The calls that nobody has approved: their items stay open."""
        return {i for i, call in self._calls.items() if call.request and not call.step}

    # -- calls ------------------------------------------------------------------------------
    def item_added(self, item: dict[str, Any]) -> None:
        if item["type"].startswith("mcp_"):
            item = {**item, "status": "in_progress"}  # MCP's items have none on the wire
        super().item_added(item)

    def item_done(self, item: dict[str, Any]) -> None:
        if item["type"] == "mcp_list_tools":
            self._list_done(item)
        call = self._calls.get(item["id"])
        if call is not None:
            self._finished(call, item)
            call.mirror_done = True
        super().item_done(item)

    def event(self, kind: str, event: dict[str, Any]) -> None:
        if kind.startswith("response.mcp_call."):
            self._step(kind, event)
        elif kind == "response.output_item.done" and event["item"]["type"] == "mcp_call":
            self._call_done(event)
        else:
            super().event(kind, event)

    def _step(self, kind: str, event: dict[str, Any]) -> None:
        call, step = self._calls.get(event["item_id"]), kind.rpartition(".")[2]
        require(call is not None, f"{kind} of no call, or before its response is done")
        assert call is not None
        require(event["output_index"] == call.place, f"{kind} with another output_index")
        if step == "in_progress":
            require(not call.step, f"{kind} after {call.step}")
            if call.request is not None:
                require(call.request in self._approved, f"{call.request} was not approved")
                self._approved.remove(call.request)
        else:
            require(call.step == "in_progress", f"{kind} after {call.step or 'nothing'}")
        call.step = step

    def _call_done(self, event: dict[str, Any]) -> None:
        call = self._calls.get(event["item"]["id"])
        require(call is not None, "an MCP call is done before its response")
        assert call is not None
        require(not call.done, "output_item.done twice")
        require(event["response_id"] == call.response.id, "a call of another response")
        require(event["output_index"] == call.place, "a call with another output_index")
        self._finished(call, event["item"])
        call.done = True

    def _finished(self, call: _Call, item: dict[str, Any]) -> None:
        require(call.step in ("completed", "failed"), f"an MCP call is done while {call.step}")
        self._same_call(call.out, item)
        error, output = item["error"], item["output"]
        if call.step == "completed":
            require(error is None and isinstance(output, str), "completed without an output")
        else:
            require(output is None and error["type"] in _KINDS, "failed without an error")
            require(bool(error["message"]), "failed without a message")

    def _same_call(self, out: Out, item: dict[str, Any]) -> None:
        require(item["arguments"] == out.arguments, "the arguments of an MCP call changed")
        for key in ("server_label", "name", "approval_request_id"):
            require(item[key] == out.item[key], f"the {key} of an MCP call changed")

    def _output_added(self, response: Running, event: dict[str, Any]) -> None:
        super()._output_added(response, event)
        item = event["item"]
        if item["type"] == "mcp_call":
            require(item["arguments"] == "", "an MCP call begins with arguments ''")
            self._unanswered(item)
        if item["type"] == "mcp_approval_request":
            self._requested(response, item)

    def _unanswered(self, item: dict[str, Any]) -> None:
        require(item["output"] is None and item["error"] is None, "a result before the call")

    def _output_done(self, response: Running, out: Out, item: dict[str, Any]) -> None:
        super()._output_done(response, out, item)
        if item["type"] == "mcp_approval_request":
            require(item == out.item, "a request for approval changed")

    def _requested(self, response: Running, item: dict[str, Any]) -> None:
        calls = [o for o in response.outputs if o.item.get("approval_request_id") == item["id"]]
        require(len(calls) == 1, f"a request for the approval of {len(calls)} calls")
        [call] = calls
        require(call.arguments_done, "a request before mcp_call_arguments.done")
        require(item["arguments"] == call.arguments, "the request has other arguments")
        for key in ("server_label", "name"):
            require(item[key] == call.item[key], f"the request has another {key}")
        self._requests.add(item["id"])  # a client may answer before it has all the events of it

    def _done(self, response: dict[str, Any]) -> None:
        running = self.running.get(response["id"])
        for place, out in enumerate(running.outputs if running else ()):
            if out.item["type"] != "mcp_call":
                continue
            assert running is not None
            require(out.arguments_done, "response.done before mcp_call_arguments.done")
            require(running.out_of_band or out.mirrored, "an output item was never added")
            require(not out.mirror_done, "an MCP call is done before its response")
            request = out.item["approval_request_id"]
            require(request is None or request in self._requests, "nobody asked for the approval")
            self._calls[out.item["id"]] = _Call(running, place, out)
            out.done, out.mirror_done = out.item, True  # of the response's part, no more comes
        super()._done(response)
        for item in response["output"]:
            if item["type"] == "mcp_call":
                self._unanswered(item)
                self._same_call(self._calls[item["id"]].out, item)


def no_keys(session: Mapping[str, Any]) -> None:
    """What a client gave to open its MCP servers is not told to whoever reads the session."""
    for tool in session.get("tools") or ():
        if tool["type"] == "mcp":
            for key in ("authorization", "headers"):
                require(tool.get(key) is None, f"session.tools echoes {key}")
