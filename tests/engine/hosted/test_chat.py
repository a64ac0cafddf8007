"""The chat brain is offered MCP tools as functions, and its answer becomes a call."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from support.chat_server import chat_server, chunk, streaming, tool_part
from support.engine import connected, serving
from support.mcp_server import HttpServer

from runner.engine.brain import make_brain


async def answer(writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
    results = [m["content"] for m in body["messages"] if m["role"] == "tool"]
    if results:
        customer = json.loads(results[-1])["customer"]
        pieces = [chunk(content=f"It is {customer}'s.")]
    else:
        part = tool_part(0, "call_1", "find_invoice", '{"number": "1002"}')
        pieces = [chunk(tool_calls=[part])]
    await streaming(pieces)(writer, body)


def test_a_model_calls_an_mcp_tool_and_is_told_the_result(invoices: HttpServer) -> None:
    tool = {
        "type": "mcp",
        "server_label": "invoices",
        "server_url": invoices.url,
        "require_approval": "never",
        "allowed_tools": ["find_invoice"],
    }

    async def story() -> None:
        async with chat_server(answer) as model:
            brain = make_brain({"type": "chat", "url": model.url, "model": "m"})
            with serving(brain, None, "not needed here") as engine:
                async with connected(engine) as client:
                    await client.update(tools=[tool])
                    await client.listed()
                    await client.ask("Whose is 1002?")
                    call = await client.result()
                    assert (call["server_label"], call["name"]) == ("invoices", "find_invoice")
                    await client.send("response.create")
                    done = await client.until("response.done")
                    [message] = done["response"]["output"]
                    assert message["content"][0]["text"] == "It is Alan Turing's."
            first, second = model.requests
            [offered] = first["tools"]
            assert offered["function"]["name"] == "find_invoice"
            assert offered["function"]["description"] == "Find an invoice by its number."
            assert "number" in offered["function"]["parameters"]["properties"]
            asked, told = second["messages"][-2:]
            assert asked["tool_calls"][0]["id"] == told["tool_call_id"]

    asyncio.run(story())
