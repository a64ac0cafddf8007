"""Tools, approvals and hosted calls over a real WebSocket, in the order of the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.lines import Lines, lines
from support.until import until

from runner import RealtimeAgent, RealtimeSession, hosted_mcp_tool, tool
from runner.core.events import ToolApproval
from runner.testing import server as says

Test = Callable[[RealtimeSession, Lines, list[Any]], Awaitable[None]]


def on_a_socket(test: Test, agent: RealtimeAgent) -> None:
    async def main() -> None:
        async with lines() as peer:
            session = RealtimeSession(agent)
            seen: list[Any] = []
            session.on("*", seen.append)
            await session.connect(api_key="key", url=peer.url)
            try:
                async with asyncio.timeout(30):
                    await test(session, peer, seen)
            finally:
                await session.close()

    asyncio.run(main())


def order(peer: Lines) -> list[str]:
    """What the server got after the first settings, in a word each."""
    told = []
    for event in peer.heard[0][1:]:
        item = event.get("item", {})
        told.append(item.get("output") or item.get("type") or event["type"])
    return told


def calls(*names: str, response_id: str = "r") -> list[dict[str, Any]]:
    """An answer that calls all these tools."""
    out = [says.response_created(response_id)]
    for name in names:
        item = {"id": f"i_{name}", "type": "function_call", "call_id": name, "name": name}
        item |= {"arguments": "{}", "status": "completed"}
        done = {"type": "response.output_item.done", "response_id": response_id}
        out.append({**done, "output_index": 0, "item": item})
    return [*out, says.response_done(response_id)]


def test_two_siblings_of_which_one_is_slow() -> None:
    """Defect 6: the fast output goes at once, the answer is asked for behind the slow one. What
    the caller types meanwhile is answered meanwhile."""
    gate = asyncio.Event()

    async def slow() -> str:
        await gate.wait()
        return "slow output"

    def fast() -> str:
        return "fast output"

    async def test(session: RealtimeSession, peer: Lines, seen: list[Any]) -> None:
        await peer.send(0, *calls("slow", "fast"))
        await until(lambda: order(peer) == ["fast output"])
        session.send_message("Are you there?")
        await until(lambda: order(peer)[1:] == ["message", "response.create"])
        [asked] = peer.of(0, "response.create")
        wire = says.response_created("r2")
        wire["response"]["metadata"] = asked["response"]["metadata"]
        await peer.send(0, wire, says.response_done("r2"))
        await until(lambda: [e for e in seen if e.type == "agent_end"][1:])
        gate.set()
        await until(lambda: order(peer)[3:] == ["slow output", "response.create"])
        await until(lambda: [e.call_id for e in seen if e.type == "agent_tool_end"][1:])

    on_a_socket(test, RealtimeAgent("desk", tools=[slow, fast]))


def test_a_refused_call_a_granted_one_and_one_of_the_service() -> None:
    """SE45, SE59, SE87: nothing goes out before the decision; each has one output and the two
    are answered together; the service's request is answered behind itself."""
    ran: list[str] = []

    @tool(needs_approval=True)
    def book() -> str:
        ran.append("book")
        return "is booked"

    @tool(needs_approval=True)
    def cancel() -> str:
        ran.append("cancel")
        return "is cancelled"

    wiki = hosted_mcp_tool("wiki", server_url="https://mcp.example.com/mcp")

    async def test(session: RealtimeSession, peer: Lines, seen: list[Any]) -> None:
        await peer.send(0, *calls("book", "cancel"))
        await until(lambda: len(session.approvals) == 2)
        assert order(peer) == []
        book, cancel = session.approvals
        await session.reject(cancel, message="Not that one.")
        await session.approve(book)
        await until(lambda: order(peer) == ["Not that one.", "is booked", "response.create"])
        assert ran == ["book"]
        item = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "wiki"}
        item |= {"name": "read", "arguments": "{}"}
        await peer.send(0, {"type": "conversation.item.done", "item": item})
        await until(lambda: session.approvals)
        [asked] = session.approvals
        assert isinstance(asked, ToolApproval)
        await session.approve(asked)
        await until(lambda: order(peer)[3:] == ["mcp_approval_response"])
        assert peer.heard[0][-1]["previous_item_id"] == "mcpr_1"

    on_a_socket(test, RealtimeAgent("desk", tools=[book, cancel, wiki]))


def test_an_agent_without_tools_has_none_on_the_server() -> None:
    """Defect 2: the list is sent empty, before the output that tells the model of its new role."""
    plain = RealtimeAgent("plain", "Just talk.")

    def price() -> str:
        return "3"

    async def test(session: RealtimeSession, peer: Lines, seen: list[Any]) -> None:
        assert len(peer.sessions[0]["tools"]) == 2
        await peer.send(0, *calls("transfer_to_plain"))
        handed = ["session.update", '{"assistant":"plain"}', "response.create"]
        await until(lambda: order(peer) == handed)
        assert peer.of(0, "session.update")[1]["session"]["tools"] == []
        assert peer.sessions[0]["tools"] == []
        assert session.agent is plain

    on_a_socket(test, RealtimeAgent("desk", tools=[price], handoffs=[plain]))
