"""Our own session and the engine meet over hosted MCP: listed, asked, approved, spoken of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from support.engine import serving
from support.mcp_server import HttpServer
from support.until import until

from runner import RealtimeAgent, RealtimeSession, hosted_mcp_tool
from runner.engine.brain import make_brain

Of = Callable[[str], list[Any]]


def asked(
    invoices: HttpServer, story: Callable[[RealtimeSession, Of, Any], Awaitable[None]]
) -> None:
    """A session that has asked for an invoice, and its request for approval."""
    tool = hosted_mcp_tool(
        "invoices", server_url=invoices.url, allowed_tools=["find_invoice"], authorization="key-1"
    )
    agent = RealtimeAgent("desk", "You answer questions about invoices.", tools=[tool])

    async def main() -> None:
        with serving(make_brain(), None, "not needed here") as engine:
            session = RealtimeSession(agent, config={"output_modalities": ["text"]})
            seen: list[Any] = []
            session.on("*", seen.append)

            def of(kind: str) -> list[Any]:
                return [event for event in seen if event.type == kind]

            await session.connect(api_key="key", url=engine.url)
            try:
                await until(lambda: of("mcp_tools_changed"))
                assert [t["name"] for t in session.mcp_tools] == ["find_invoice"]
                session.send_message("Find invoice number 1001, please.")
                await until(lambda: of("tool_approval_requested"))
                [request] = of("tool_approval_requested")
                assert (request.kind, request.server_label) == ("mcp", "invoices")
                assert "1001" in request.arguments
                await story(session, of, request)
                assert not of("error")
            finally:
                await session.close()

    asyncio.run(main())


def said(session: RealtimeSession) -> str:
    return " ".join(
        item.text or ""
        for item in session.history
        if item.type == "message" and item.role == "assistant"
    )


def test_a_hosted_tool_is_listed_approved_called_and_spoken_of(invoices: HttpServer) -> None:
    async def story(session: RealtimeSession, of: Of, request: Any) -> None:
        await session.approve(request)
        await until(lambda: of("mcp_tool_call_completed"))
        [completed] = of("mcp_tool_call_completed")
        assert "Ada Lovelace" in completed.item.output
        await until(lambda: "Ada Lovelace" in said(session))

    asked(invoices, story)


def test_a_hosted_tool_that_is_refused_is_not_called_and_the_caller_hears_of_it(
    invoices: HttpServer,
) -> None:
    async def story(session: RealtimeSession, of: Of, request: Any) -> None:
        await session.reject(request, message="the books are closed")
        session.respond()
        await until(lambda: "the books are closed" in said(session))
        assert "not approved" in said(session)
        assert not of("mcp_tool_call_completed")

    asked(invoices, story)
