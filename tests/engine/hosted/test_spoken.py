"""MCP calls of a spoken session."""

from __future__ import annotations

import asyncio

from support.engine import Client, Puppet, connected, serving, speech_models
from support.mcp_server import HttpServer

from runner.engine.ports import Call, Prompt


def test_a_caller_who_speaks_while_a_tool_runs_is_answered_and_the_tool_is_not_undone(
    puppet: Puppet, invoices: HttpServer
) -> None:
    def answer(prompt: Prompt) -> list:
        last = prompt.items[-1]
        if last["type"] == "function_call_output":
            return [f"It {last['output']}."]
        if any(item["type"] == "function_call" for item in prompt.items):
            return ["Here I am."]
        return ["One moment.", Call("slow", '{"seconds": 6}')]

    puppet.answer = answer
    tool = {"type": "mcp", "server_label": "invoices", "server_url": invoices.url}

    async def story() -> None:
        with serving(puppet, speech_models()) as engine:
            async with connected(engine) as client:
                await client.detection(type="server_vad", silence_duration_ms=300)
                await client.update(tools=[{**tool, "require_approval": "never"}])
                await client.listed()
                await client.type_in("wait a little")
                await client.send("response.create")
                await client.until("response.mcp_call.in_progress")
                await client.say("Are you still there?")
                assert await spoken_answer(client) == "Here I am."
                call = next(e for e in client.events if e["type"] == "response.done")
                assert call["response"]["status"] == "completed"
                await client.result()
                await client.send("response.create")
                assert await spoken_answer(client) == "It waited 6 s."

    asyncio.run(story())


async def spoken_answer(client: Client) -> str:
    done = await client.until("response.done")
    return str(done["response"]["output"][0]["content"][0]["transcript"])
