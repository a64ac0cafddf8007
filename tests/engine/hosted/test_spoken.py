"""MCP calls of a spoken session."""

from __future__ import annotations

import asyncio

from support.engine import Puppet, connected, serving, speech_models
from support.mcp_server import HttpServer

from runner.engine.ports import Call, Prompt


def test_a_caller_who_speaks_does_not_undo_a_call_under_way_and_is_answered_behind_it(
    puppet: Puppet, invoices: HttpServer
) -> None:
    def answer(prompt: Prompt) -> list:
        if any(item["type"] == "function_call_output" for item in prompt.items):
            return ["Here I am."]
        return ["One moment.", Call("slow", '{"seconds": 3}')]

    puppet.answer = answer
    tool = {"type": "mcp", "server_label": "invoices", "server_url": invoices.url}

    async def story() -> None:
        with serving(puppet, speech_models()) as engine:
            async with connected(engine) as client:
                await client.detection(type="server_vad", silence_duration_ms=300)
                await client.update(tools=[{**tool, "require_approval": "never"}])
                await client.until("mcp_list_tools.completed")
                await client.type_in("wait a little")
                await client.send("response.create")
                await client.until("response.mcp_call.in_progress")
                await client.say("Are you still there?")
                done = await client.until("response.done")
                assert done["response"]["status"] == "completed"
                assert done["response"]["output"][-1]["output"] == "waited 3 s"
                types = client.types()
                heard = types.index("input_audio_buffer.speech_started")
                assert heard < types.index("response.mcp_call.completed")
                second = await client.until("response.done")
                [message] = second["response"]["output"]
                assert message["content"][0]["transcript"] == "Here I am."

    asyncio.run(story())
