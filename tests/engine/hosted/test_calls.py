"""The engine calls MCP servers for a session, as the service does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from support.engine import Client, Puppet, Serving, connected
from support.mcp_server import HttpServer, http_server

from runner.engine.hosted.offer import STILL_RUNNING
from runner.engine.ports import Call, Prompt

ORDER_OF_A_CALL = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "rate_limits.updated",
    "response.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "conversation.item.done",
    "response.output_item.done",
]


def hosted(server: HttpServer, label: str = "invoices", **fields: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, "server_url": server.url, **fields}


def free(server: HttpServer, **fields: Any) -> dict[str, Any]:
    return hosted(server, require_approval="never", **fields)


def call_then_tell(name: str, **arguments: Any) -> Any:
    """A brain's answer: the call, and once its output is there, the output."""

    def answer(prompt: Prompt) -> list:
        last = prompt.items[-1]
        if last["type"] == "function_call_output":
            return [f"It says {last['output']}"]
        return [Call(name, json.dumps(arguments))]

    return answer


async def mcp(client: Client, *tools: dict[str, Any], listed: int = 1) -> None:
    await client.update(tools=list(tools))
    for _ in range(listed):
        await client.listed()


def said(done: dict[str, Any]) -> str:
    return str(done["response"]["output"][0]["content"][0]["text"])


def test_a_call_is_made_behind_its_response_and_spoken_of_in_the_next(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = call_then_tell("add", a=2, b=40)

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            done = await client.ask("two and forty?")
            [wanted] = done["response"]["output"]
            assert wanted["type"] == "mcp_call"
            assert wanted["server_label"] == "invoices"
            assert wanted["output"] is wanted["error"] is wanted["approval_request_id"] is None
            assert json.loads(wanted["arguments"]) == {"a": 2, "b": 40}
            assert await client.result() == {**wanted, "output": "42"}
            start = client.types().index("response.created")
            assert client.types()[start:] == ORDER_OF_A_CALL
            await client.send("response.create")
            assert said(await client.until("response.done")) == "It says 42"
            call, output = puppet.prompts[-1].items[-2:]
            assert (call["type"], call["name"]) == ("function_call", "add")
            assert call["call_id"] == output["call_id"]

    asyncio.run(story())


def test_the_engine_waits_for_the_client_to_ask_for_the_next_response(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = call_then_tell("add", a=1, b=1)

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("one and one?")
            await client.result()
            await client.update(instructions="Anything that is answered.")
            assert len(client.of("response.created")) == 1

    asyncio.run(story())


def test_words_before_a_call_are_said_first(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: ["Let me see. ", Call("add", '{"a": 3, "b": 4}'), "There."]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            done = await client.ask("three and four?")
            kinds = [item["type"] for item in done["response"]["output"]]
            assert kinds == ["message", "mcp_call", "message"]
            assert (await client.result())["output"] == "7"

    asyncio.run(story())


def test_structured_answers_and_pictures_are_put_in_words(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [
        Call("find_invoice", '{"number": "1001"}'),
        Call("picture", "{}"),
        Call("silent", ""),
    ]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("invoice 1001?")
            results = [await client.result() for _ in range(3)]
            outputs = {item["name"]: item["output"] for item in results}
            invoice, picture = outputs["find_invoice"], outputs["picture"]
            assert json.loads(invoice)["customer"] == "Ada Lovelace"
            assert "Here it is." in picture
            assert "image/png" in picture
            assert "call back at nine" in picture
            assert "AAEC" not in picture
            assert outputs["silent"] == "Done; the tool gave no output."

    asyncio.run(story())


def test_a_tool_that_raises_is_a_failed_call_and_the_session_goes_on(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = call_then_tell("fail")

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            done = await client.ask("fail please")
            assert done["response"]["status"] == "completed"
            item = await client.result()
            assert len(client.of("response.mcp_call.failed")) == 1
            assert item["error"]["type"] == "tool_execution_error"
            assert "the ledger is closed" in item["error"]["message"]
            assert item["output"] is None
            await client.send("response.create")
            assert "the ledger is closed" in said(await client.until("response.done"))

    asyncio.run(story())


def test_arguments_that_are_no_object_or_of_wrong_types_fail(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [Call("add", "[1]"), Call("add", '{"a": "many", "b": 1}')]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("add")
            results = [await client.result() for _ in range(2)]
            errors = {item["arguments"]: item["error"] for item in results}
            assert errors["[1]"]["type"] == "protocol_error"
            assert errors["[1]"]["code"] == -32602
            assert errors['{"a": "many", "b": 1}']["message"]

    asyncio.run(story())


def test_a_server_that_is_killed_during_a_call_fails_it_and_the_next(
    engine: Serving, puppet: Puppet
) -> None:
    puppet.answer = lambda prompt: [Call("hang", "{}")]

    async def story() -> None:
        with http_server("--extra") as server:
            async with connected(engine) as client:
                await mcp(client, free(server))
                await client.type_in("hang on")
                await client.send("response.create")
                await client.until("response.mcp_call.in_progress")
                os.kill(server.pid, signal.SIGKILL)
                item = await client.result()
                assert item["error"]["type"] == "protocol_error"
                await client.ask("and again")
                item = await client.result()
                assert item["error"]["type"] == "protocol_error"
                assert "invoices" in item["error"]["message"]

    asyncio.run(story())


def test_a_server_that_was_started_anew_is_called_again(engine: Serving, puppet: Puppet) -> None:
    puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 2}')]

    async def story() -> None:
        async with connected(engine) as client:
            with http_server() as server:
                await mcp(client, free(server))
                await client.ask("add")
                assert (await client.result())["output"] == "3"
            port = server.url.rpartition(":")[2].partition("/")[0]
            with http_server(port=int(port)):
                await client.ask("again")
                item = await client.result()
                # What was under way on the old connection may fail once, never for good.
                if item["error"]:
                    await client.ask("and again")
                    item = await client.result()
                assert item["output"] == "3"

    asyncio.run(story())


def test_a_tool_under_way_is_not_part_of_a_response_that_could_be_cancelled(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [Call("slow", '{"seconds": 0.5}')]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("wait a little")
            await client.send("response.cancel")
            error = (await client.until("error"))["error"]
            assert error["code"] == "response_cancel_not_active"
            assert (await client.result())["output"] == "waited 0.5 s"

    asyncio.run(story())


def test_a_response_asked_for_while_a_tool_runs_waits_for_it_if_nothing_was_said(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = call_then_tell("slow", seconds=0.5)

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("wait a little")
            await client.send("response.create")
            assert said(await client.until("response.done")) == "It says waited 0.5 s"
            created = [n for n, t in enumerate(client.types()) if t == "response.created"]
            assert created[1] < client.types().index("response.mcp_call.completed")

    asyncio.run(story())


def test_words_said_while_a_tool_runs_are_answered_at_once(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = call_then_tell("slow", seconds=2)

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices))
            await client.ask("wait a little")
            puppet.answer = lambda prompt: [str(prompt.items[-2]["output"])]
            assert said(await client.ask("well?")) == STILL_RUNNING
            assert not client.of("response.mcp_call.completed")
            await client.result()
            puppet.answer = call_then_tell("slow")
            await client.send("response.create")
            assert said(await client.until("response.done")) == "It says waited 2 s"

    asyncio.run(story())


def test_a_call_under_way_when_the_client_leaves_leaves_nothing_behind(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    from support.until import until

    puppet.answer = lambda prompt: [Call("hang", "{}")]
    before = engine.tasks()

    async def story() -> None:
        async with connected(engine, judge=False) as client:
            await mcp(client, free(invoices))
            await client.type_in("hang on")
            await client.send("response.create")
            await client.until("response.mcp_call.in_progress")
        await until(lambda: engine.tasks() <= before)

    asyncio.run(story())


def test_function_tools_and_mcp_tools_stand_side_by_side(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    own = {"type": "function", "name": "add", "description": "The client's own."}
    puppet.answer = lambda prompt: [Call("add", "{}")]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices), own)
            done = await client.ask("add")
            assert done["response"]["output"][0]["type"] == "function_call"
            offered = [t["name"] for t in puppet.prompts[-1].tools]
            assert offered[0] == "add"
            assert offered.count("add") == 1
            assert {"find_invoice", "slow"} <= set(offered)
            assert all(t["type"] == "function" for t in puppet.prompts[-1].tools)

    asyncio.run(story())


def test_the_choice_of_a_server_or_of_its_tool_reaches_the_brain(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    own = {"type": "function", "name": "weather"}

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(client, free(invoices), own)
            await client.ask("a", tool_choice={"type": "mcp", "server_label": "invoices"})
            prompt = puppet.prompts[-1]
            assert prompt.tool_choice == "required"
            assert "weather" not in [t["name"] for t in prompt.tools]
            choice = {"type": "mcp", "server_label": "invoices", "name": "slow"}
            await client.ask("b", tool_choice=choice)
            assert puppet.prompts[-1].tool_choice == {"type": "function", "name": "slow"}

    asyncio.run(story())


def test_an_out_of_band_response_calls_without_writing_to_the_conversation(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [Call("add", '{"a": 5, "b": 5}')]

    async def story() -> None:
        async with connected(engine) as client:
            await mcp(
                client, free(invoices, allowed_tools=["add"]), hosted(invoices, "b"), listed=2
            )
            await client.ask("add", conversation="none")
            item = await client.result()
            assert item["output"] == "10"
            assert item["id"] not in [e["item"]["id"] for e in client.of("conversation.item.added")]
            # Nobody could approve one of the second server's, which asks for each.
            assert [t["name"] for t in puppet.prompts[-1].tools] == ["add"]

    asyncio.run(story())
