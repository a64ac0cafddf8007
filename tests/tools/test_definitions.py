"""Tools as the session sends them: functions, hosted MCP servers, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runner import BackgroundResult, RealtimeAgent, ToolContext, hosted_mcp_tool, tool
from runner.errors import RtrunError, UserError
from runner.model.settings import SessionSettings

pytestmark = pytest.mark.quick

APPROVAL = {"always": {"tool_names": ["refund"]}, "never": {"read_only": True}}


@tool
def price(item: str) -> str:
    """What an item costs."""
    return "one"


def on_the_wire(*tools: Any) -> list[dict[str, Any]]:
    resolved = asyncio.run(RealtimeAgent("shop", tools=tools).resolve(SessionSettings()))
    found: list[dict[str, Any]] = resolved.view.settings.get("tools")
    return found


def test_a_result_that_wants_no_answer() -> None:
    """TO1: is made by a tool, and recognised with its content as text."""

    @tool
    def note(text: str) -> Any:
        return BackgroundResult({"noted": text})

    result = asyncio.run(note.run('{"text":"x"}', ToolContext("a", "note", "c")))
    assert result == BackgroundResult('{"noted":"x"}')
    assert not isinstance("noted", BackgroundResult)


def test_functions_and_hosted_servers_are_tools() -> None:
    """TO2: others are refused."""
    hosted = hosted_mcp_tool("crm", server_url="https://crm.example.com/mcp")
    assert [t["type"] for t in on_the_wire(price, hosted)] == ["function", "mcp"]
    for other in ({"type": "web_search"}, "price", 5):
        with pytest.raises(RtrunError):
            on_the_wire(other)


def test_a_function_has_four_fields() -> None:
    """TO3, BA13: type, name, description and parameters, whatever else the tool knows."""

    @tool(timeout=3, needs_approval=True, while_waiting="One moment.", respond=False)
    def refund(amount: float) -> str:
        """Give money back."""
        return "done"

    (wire,) = on_the_wire(refund)
    assert set(wire) == {"type", "name", "description", "parameters"}
    assert (wire["type"], wire["name"], wire["description"]) == (
        "function",
        "refund",
        "Give money back.",
    )
    assert wire["parameters"]["properties"]["amount"]["type"] == "number"


def test_a_hosted_server_has_nine_fields() -> None:
    """TO3, BA14: those of the wire; any other is refused and not dropped."""
    fields = {
        "server_url": "https://crm.example.com/mcp",
        "connector_id": "connector_gmail",
        "server_description": "Our customers.",
        "authorization": "token",
        "headers": {"X-Tenant": "north"},
        "allowed_tools": ["look_up"],
        "require_approval": "never",
    }
    (wire,) = on_the_wire(hosted_mcp_tool("crm", **fields))
    assert wire == {"type": "mcp", "server_label": "crm", **fields}
    with pytest.raises(UserError, match="has no on_approval"):
        hosted_mcp_tool("crm", server_url="https://x.example", on_approval=print)


def test_a_server_that_programs_may_call() -> None:
    """TO6: callers beside the model are nothing that the Realtime API knows."""
    with pytest.raises(UserError, match="has no allowed_callers"):
        hosted_mcp_tool("crm", server_url="https://x.example", allowed_callers=["programmatic"])


@pytest.mark.parametrize("given", [{}, {"require_approval": None}])
def test_nothing_said_about_approval_is_nothing_sent(given: dict[str, Any]) -> None:
    """TO8, BA15: the key is absent."""
    (wire,) = on_the_wire(hosted_mcp_tool("crm", server_url="https://x.example", **given))
    assert "require_approval" not in wire


@pytest.mark.parametrize("given", ["always", "never", APPROVAL, {"always": {"read_only": False}}])
def test_what_needs_approval(given: Any) -> None:
    """TO9, BA16: filters of read_only and tool_names are kept."""
    tool = hosted_mcp_tool("crm", server_url="https://x.example", require_approval=given)
    assert on_the_wire(tool)[0]["require_approval"] == given


@pytest.mark.parametrize(
    "wrong",
    [
        "sometimes",
        True,
        {},
        {"maybe": {"tool_names": ["x"]}},
        {"always": ["x"]},
        {"always": {}},
        {"always": {"names": ["x"]}},
        {"always": {"tool_names": ["x"]}, "never": {"tool_names": ["x"]}},
    ],
)
def test_what_cannot_be_required(wrong: Any) -> None:
    """TO7: bad values of require_approval are refused."""
    with pytest.raises(UserError, match="require_approval"):
        hosted_mcp_tool("crm", server_url="https://x.example", require_approval=wrong)
