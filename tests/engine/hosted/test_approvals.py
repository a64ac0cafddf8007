"""An MCP call that needs a yes waits for the client's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from support.engine import Client, Puppet, Serving, connected, last_words
from support.mcp_server import HttpServer

from runner.engine.ports import Call, Prompt

ORDER_OF_A_REQUEST = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_item.added",
    "conversation.item.added",
    "conversation.item.done",
    "response.output_item.done",
    "rate_limits.updated",
    "response.done",
]


def hosted(server: HttpServer, **fields: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "invoices", "server_url": server.url, **fields}


@pytest.fixture
def adding(puppet: Puppet) -> Puppet:
    """Adds 2 and 40 when it is asked something, and repeats what comes of it."""

    def answer(prompt: Prompt) -> list:
        if prompt.items[-1]["type"] == "function_call_output":
            return [last_words(prompt)]
        return [Call("add", '{"a": 2, "b": 40}')]

    puppet.answer = answer
    return puppet


async def asked(client: Client, server: HttpServer, **fields: Any) -> dict[str, Any]:
    """The request for approval that the puppet's call becomes."""
    await client.update(tools=[hosted(server, **fields)])
    await client.listed()
    done = await client.ask("two and forty?")
    call, request = done["response"]["output"]
    assert call["type"] == "mcp_call"
    assert request["type"] == "mcp_approval_request"
    assert call["approval_request_id"] == request["id"]
    return dict(request)


async def decide(client: Client, request: str, approve: bool, **fields: Any) -> None:
    item = {"type": "mcp_approval_response", "approval_request_id": request, "approve": approve}
    await client.send(
        "conversation.item.create", event_id=f"evt_{len(client.events)}", item={**item, **fields}
    )


def test_left_out_every_call_is_asked_for_and_a_yes_makes_it(
    engine: Serving, adding: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            request = await asked(client, invoices)
            start = client.types().index("response.created")
            assert client.types()[start:] == ORDER_OF_A_REQUEST
            assert (request["server_label"], request["name"]) == ("invoices", "add")
            assert json.loads(request["arguments"]) == {"a": 2, "b": 40}
            await decide(client, request["id"], True)
            call = await client.result()
            assert call["approval_request_id"] == request["id"]
            assert call["output"] == "42"
            assert len(client.of("response.created")) == 1
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "42"
            kinds = [i["type"] for i in adding.prompts[-1].items]
            assert kinds == ["message", "function_call", "function_call_output"]

    asyncio.run(story())


def test_a_client_that_approves_and_asks_at_once_gets_an_answer_with_the_result(
    engine: Serving, adding: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices)])
            await client.listed()
            await client.type_in("two and forty?")
            await client.send("response.create")
            done = await client.until(
                "conversation.item.done",
                lambda event: event["item"]["type"] == "mcp_approval_request",
            )
            await decide(client, done["item"]["id"], True)
            await client.send("response.create")
            await client.until("response.done")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == "42"
            assert not client.of("error")

    asyncio.run(story())


def test_a_no_makes_none_and_the_brain_is_told_why(
    engine: Serving, adding: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            request = await asked(client, invoices, require_approval="always")
            await decide(client, request["id"], False, reason="not today")
            await client.send("response.create")
            done = await client.until("response.done")
            told = done["response"]["output"][0]["content"][0]["text"]
            assert told == "The call was not approved: not today"
            assert not client.of("response.mcp_call.in_progress")
            call, output = adding.prompts[-1].items[-2:]
            assert call["call_id"] == output["call_id"] == request["id"]

    asyncio.run(story())


def test_while_nobody_has_decided_the_brain_sees_a_call_without_output(
    engine: Serving, adding: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await asked(client, invoices)
            await client.ask("and?")
            kinds = [i["type"] for i in adding.prompts[-1].items]
            assert kinds == ["message", "function_call", "message"]

    asyncio.run(story())


@pytest.mark.parametrize("approve", [True, False])
def test_an_answer_to_no_request_is_refused(
    engine: Serving, adding: Puppet, invoices: HttpServer, approve: bool
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await decide(client, "mcpr_unknown", approve)
            error = (await client.until("error"))["error"]
            assert error["param"] == "item.approval_request_id"
            assert error["code"] == "invalid_value"
            assert error["event_id"].startswith("evt_")

    asyncio.run(story())


@pytest.mark.parametrize("first", [True, False])
def test_a_second_answer_is_refused_and_calls_nothing(
    engine: Serving, adding: Puppet, invoices: HttpServer, first: bool
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            request = await asked(client, invoices)
            await decide(client, request["id"], first)
            if first:
                await client.result()
            await decide(client, request["id"], True)
            error = (await client.until("error"))["error"]
            assert error["param"] == "item.approval_request_id"
            await client.send("response.create")
            await client.until("response.done")
            assert len(client.of("response.mcp_call.in_progress")) == int(first)

    asyncio.run(story())


def test_two_calls_are_asked_for_and_approved_one_by_one(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [
        Call("slow", '{"seconds": 0.2}'),
        Call("add", '{"a": 1, "b": 2}'),
    ]

    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices)])
            await client.listed()
            done = await client.ask("both")
            kinds = [item["type"] for item in done["response"]["output"]]
            assert kinds == ["mcp_call"] * 2 + ["mcp_approval_request"] * 2
            slow, add = done["response"]["output"][2:]
            await decide(client, add["id"], True)
            assert (await client.result())["output"] == "3"
            await decide(client, slow["id"], True)
            assert (await client.result())["output"] == "waited 0.2 s"

    asyncio.run(story())


def test_a_yes_for_a_tool_of_a_server_that_left_is_a_failed_call(
    engine: Serving, adding: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            request = await asked(client, invoices)
            await client.update(tools=[])
            await decide(client, request["id"], True)
            call = await client.result()
            assert call["error"]["type"] == "protocol_error"
            assert "not offered any more" in call["error"]["message"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"never": {"tool_names": ["add"]}}, "mcp_call"),
        ({"never": {"tool_names": ["slow"]}}, "mcp_approval_request"),
        ({"always": {"tool_names": ["add"]}}, "mcp_approval_request"),
        ({"always": {"tool_names": ["slow"]}}, "mcp_call"),
        ({"never": {"read_only": True}}, "mcp_approval_request"),
        ({"never": {"read_only": False}}, "mcp_call"),
        ({"always": {"read_only": True}, "never": {"tool_names": ["add"]}}, "mcp_call"),
        ({"always": {"tool_names": ["x"]}, "never": {}}, "mcp_approval_request"),
        ({}, "mcp_approval_request"),
    ],
)
def test_filters_say_which_tools_ask(
    engine: Serving, adding: Puppet, invoices: HttpServer, rule: dict[str, Any], kind: str
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices, require_approval=rule)])
            await client.listed()
            done = await client.ask("two and forty?")
            assert done["response"]["output"][-1]["type"] == kind
            if kind == "mcp_call":
                await client.result()

    asyncio.run(story())
