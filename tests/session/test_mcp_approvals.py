"""Hosted MCP in a session: requests of the service for a yes, and calls that it has made."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from support.onaline import OnALine, lingering, on_a_line, settled, while_closing
from support.until import until

from runner import RealtimeAgent, RealtimeSession, ToolApproval, hosted_mcp_tool
from runner.errors import ModelBehaviorError, UserError
from runner.testing import ScriptedTransport, server

pytestmark = pytest.mark.quick

WIKI = hosted_mcp_tool("wiki", server_url="https://mcp.example.com/mcp")
AGENT = RealtimeAgent("desk", tools=[WIKI])


def request(arguments: str = '{"page": "Ada"}', item_id: str = "mcpr_1") -> dict[str, Any]:
    item = {"id": item_id, "type": "mcp_approval_request", "server_label": "wiki"}
    item |= {"name": "read", "arguments": arguments}
    return {"type": "conversation.item.done", "item": item}


def answers(on: OnALine) -> list[dict[str, Any]]:
    return on.items("mcp_approval_response")


@pytest.mark.parametrize(
    ("decide", "answer"),
    [
        (lambda session, asked: session.approve(asked), {"approve": True}),
        (lambda session, asked: session.approve(asked, always=True), {"approve": True}),
        (lambda session, asked: session.reject(asked), {"approve": False}),
        (lambda session, asked: session.reject(asked, always=True), {"approve": False}),
        (
            lambda session, asked: session.reject(asked, message="Private."),
            {"approve": False, "reason": "Private."},
        ),
    ],
    ids=["yes", "yes for good", "no", "no for good", "no with a reason"],
)
def test_the_answer_goes_behind_the_request(decide: Any, answer: dict[str, Any]) -> None:
    """SE87, SE88, SE89, SE90, SE91, SE93, BA24, BA25: the request is told with what the service
    said of it; a reason is sent when one was given, never the formatter's. ``always`` has no
    meaning for tools that the service runs."""

    async def story(on: OnALine) -> None:
        on.emit(request())
        asked = await on.told("tool_approval_requested")
        assert asked == ToolApproval(
            "desk", "mcpr_1", "read", '{"page": "Ada"}', "mcp", "operator", "wiki"
        )
        [entry] = on.session.history
        assert (entry.type, entry.server_label) == ("mcp_approval_request", "wiki")
        await decide(on.session, asked)
        [event] = on.sent("conversation.item.create")
        assert event["previous_item_id"] == "mcpr_1"
        assert event["item"] == {
            "type": "mcp_approval_response",
            "approval_request_id": "mcpr_1",
            **answer,
        }
        assert on.asked == (not answer["approve"])  # a refusal is spoken of
        # Decided once: the rest is silent, and the service's repetition asks nobody.
        await decide(on.session, asked)
        on.emit(request())
        await settled()
        assert len(answers(on)) == 1
        assert len(on.of("tool_approval_requested")) == 1

    on_a_line(story, AGENT, tool_error_formatter=lambda asked: "never this")


@pytest.mark.parametrize("yes", [True, False])
def test_what_was_changed_is_refused(yes: bool) -> None:
    """SE94, SE95: nothing is sent for it; the exact request works once."""

    async def story(on: OnALine) -> None:
        on.emit(request())
        asked = await on.told("tool_approval_requested")
        decide = on.session.approve if yes else on.session.reject
        for change in ({"arguments": "{}"}, {"server_label": "other"}, {"name": "write"}):
            with pytest.raises(ModelBehaviorError):
                decide(replace(asked, **change))
        assert answers(on) == []
        await decide(replace(asked))
        await decide("mcpr_1")
        assert [a["approve"] for a in answers(on)] == [yes]

    on_a_line(story, AGENT)


def test_the_same_request_with_other_words_is_an_error() -> None:
    """SE96: what was asked first stands; exactly repeated it is told once."""

    async def story(on: OnALine) -> None:
        on.emit(request(), request())
        asked = await on.told("tool_approval_requested")
        on.emit(request('{"page": "everything"}'))
        assert on.errors() == ["approval_changed"]
        assert on.of("tool_approval_requested") == [asked]
        assert on.session.approvals == (asked,)

    on_a_line(story, AGENT)


@pytest.mark.parametrize("yes", [True, False])
def test_a_decision_inside_the_handler_is_sent_once(yes: bool) -> None:
    """SE99: also when the handler decides twice."""

    async def story(on: OnALine) -> None:
        def twice(asked: ToolApproval) -> None:
            for _ in range(2):
                (on.session.approve if yes else on.session.reject)(asked)

        on.session.on("tool_approval_requested", twice)
        on.emit(request())
        await until(lambda: answers(on))
        await settled()
        assert [a["approve"] for a in answers(on)] == [yes]

    on_a_line(story, AGENT)


@pytest.mark.parametrize("yes", [True, False])
@pytest.mark.parametrize("how", ["a lost line", "close and connect"])
def test_a_request_of_another_line_is_refused(how: str, yes: bool) -> None:
    """SE100: the next line's server never asked it."""

    async def story(on: OnALine) -> None:
        on.emit(request())
        asked = await on.told("tool_approval_requested")
        if how == "a lost line":
            on.line.disconnect()
            await on.told("reconnected")
        else:
            await on.session.close()
            await on.session.connect()
        with pytest.raises(ModelBehaviorError):
            (on.session.approve if yes else on.session.reject)(asked)
        assert answers(on) == []

    on_a_line(story, AGENT)


def test_after_the_end_nobody_is_asked() -> None:
    """SE101: what the server still says reaches nobody."""

    async def story(on: OnALine) -> None:
        await while_closing(on, lambda: on.emit(request()))
        assert on.of("tool_approval_requested") == []
        assert on.session.approvals == ()
        assert on.items("mcp_approval_response") == []

    on_a_line(story, AGENT.clone(tools=[WIKI, lingering()]))


def test_what_comes_before_connect_returns_is_not_lost() -> None:
    """Defect 12: what the server asks and calls while the session is being set up."""

    def price() -> str:
        return "3"

    async def main() -> None:
        line = ScriptedTransport()
        agent = AGENT.clone(tools=[WIKI, price])
        session = RealtimeSession(agent, transport=line)
        seen: list[ToolApproval] = []
        session.on("tool_approval_requested", seen.append)
        connecting = asyncio.ensure_future(session.connect())
        await line.expect("connect")
        await until(lambda: line.status == "connected")
        line.emit(server.session_created(), request(), *server.tool_call("price", call_id="c"))
        assert not connecting.done()
        update = line.sent[0]
        line.emit(server.session_updated(update["session"]))
        await connecting
        assert [asked.call_id for asked in seen] == ["mcpr_1"]
        await until(lambda: any(e["type"] == "response.create" for e in line.sent))
        [output] = [e["item"] for e in line.sent if "output" in e.get("item", {})]
        assert (output["call_id"], output["output"]) == ("c", "3")
        session.approve(seen[0])
        assert line.sent[-1]["item"]["approve"] is True
        await session.close()

    asyncio.run(main())


# -- tools and calls -------------------------------------------------------------------------
def listed(*names: str, label: str = "wiki") -> dict[str, Any]:
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    item = {"id": f"l_{label}_{len(names)}", "type": "mcp_list_tools", "server_label": label}
    return {"type": "conversation.item.done", "item": {**item, "tools": tools}}


def test_the_tools_of_hosted_servers() -> None:
    """BA38: a listing is told when it changes what the agent may use, and is no history item. A
    tool without a description is one all the same."""
    few = hosted_mcp_tool("few", server_url="https://x.example", allowed_tools=["a"])
    agent = RealtimeAgent("desk", tools=[WIKI, few])

    async def story(on: OnALine) -> None:
        on.emit(listed("read", "write"))
        assert [t["name"] for t in on.session.mcp_tools] == ["read", "write"]
        on.emit(listed("read", "write"))
        assert len(on.of("mcp_tools_changed")) == 1
        on.emit(listed("a", "b", label="few"), listed("c", label="nobody"))
        assert [t["name"] for t in on.session.mcp_tools] == ["read", "write", "a"]
        assert on.session.history == ()

    on_a_line(story, agent)


@pytest.mark.parametrize("answers_by_itself", [True, False])
def test_a_call_that_the_service_made(answers_by_itself: bool) -> None:
    """BA32: it stands in the history with what came of it, is told, and an answer is asked for
    unless the program wants to do that."""
    item = {"id": "m", "type": "mcp_call", "server_label": "wiki", "name": "read"}
    item |= {"arguments": "{}", "output": "Ada was born in 1815."}

    async def story(on: OnALine) -> None:
        on.emit({"type": "conversation.item.added", "item": {**item, "output": None}})
        assert on.session.history[0].status == "in_progress"
        on.emit({"type": "conversation.item.done", "item": item})
        [told] = on.of("mcp_tool_call_completed")
        assert told.item is on.session.history[0]
        assert (told.item.output, told.item.status) == (item["output"], "completed")
        assert on.asked == answers_by_itself

    option = {"automaticallyTriggerResponseForMcpToolCalls": answers_by_itself}
    on_a_line(story, AGENT, **option)


@pytest.mark.parametrize(
    "where",
    [{"server_url": "https://mcp.example.com"}, {"connector_id": "connector_googlecalendar"}],
)
def test_every_field_reaches_the_service(where: dict[str, str]) -> None:
    """Defect 14, BA14, TO8, TO9: also those that the SDK loses on the way from the agent to the
    session's settings, at the beginning and after a handoff. None is not sent."""
    fields = {
        **where,
        "server_description": "What we know.",
        "authorization": "token",
        "headers": {"x-org": "1"},
        "allowed_tools": ["read"],
        "require_approval": {"never": {"read_only": True}, "always": {"tool_names": ["write"]}},
    }
    left_out = {"server_url": None, "connector_id": None}
    made = hosted_mcp_tool("wiki", **left_out | fields)
    wire = {"type": "mcp", "server_label": "wiki", **fields}
    assert made.wire() == wire
    assert "token" not in repr(made)
    other = RealtimeAgent("other", tools=[made])

    async def story(on: OnALine) -> None:
        [sent, _] = on.line.sent[0]["session"]["tools"]
        assert sent == wire
        on.emit(*server.tool_call("transfer_to_other", call_id="c"))
        await until(lambda: on.sent("session.update"))
        [update] = on.sent("session.update")
        assert update["session"]["tools"] == [wire]

    on_a_line(story, RealtimeAgent("desk", tools=[made], handoffs=[other]))


@pytest.mark.parametrize(
    "value",
    [
        "sometimes",
        {},
        {"never": {}},
        {"never": {"names": ["x"]}},
        {"perhaps": {"read_only": True}},
        {"never": {"tool_names": ["x"]}, "always": {"tool_names": ["x"]}},
    ],
)
def test_require_approval_of_no_such_shape(value: Any) -> None:
    """TO7: it is refused before anything is sent."""
    with pytest.raises(UserError):
        hosted_mcp_tool("wiki", server_url="https://x.example", require_approval=value)
