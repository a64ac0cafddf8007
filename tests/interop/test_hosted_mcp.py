"""Other people's clients, unchanged, with an MCP server that the engine calls for them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from support.engine import Serving, serving
from support.mcp_server import HttpServer, http_server

from runner.engine.brain import make_brain

SCRIPT = Path(__file__).with_name("hosted_mcp.mjs")
HOME = os.environ.get("RTRUN_TEST_NODE", "")


@pytest.fixture(scope="module")
def invoices() -> Iterator[HttpServer]:
    with http_server() as running:
        yield running


@pytest.fixture(scope="module")
def desk() -> Iterator[Serving]:
    """An engine for text that thinks by its own rules."""
    with serving(make_brain(), None, "not needed here", key="sk-interop") as running:
        yield running


@pytest.mark.skipif(not (HOME and shutil.which("node")), reason="needs Node.js and RTRUN_TEST_NODE")
def test_the_agents_sdk_for_javascript_approves_one_call_and_refuses_another(
    invoices: HttpServer,
) -> None:
    script = shutil.copy(SCRIPT, Path(HOME) / SCRIPT.name)  # modules are found beside the script
    with serving(make_brain(), None, "not needed here") as engine:
        done = subprocess.run(
            ["node", script, engine.url, invoices.url],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["errors"] == []
    assert told["tools"] == ["find_invoice"]
    assert told["asked"] == ["find_invoice", "find_invoice"]
    assert told["calls"] == [["find_invoice", "completed", "Ada Lovelace"]]
    found, refused = told["said"]
    assert "Ada Lovelace" in found
    assert "Turing" not in refused
    assert "not that one" in refused


@asynccontextmanager
async def session(desk: Serving, server: HttpServer, approval: str) -> AsyncIterator[Any]:
    """A session of OpenAI's Python client whose tools are listed."""
    async with (
        AsyncOpenAI(
            api_key="sk-interop",
            base_url=desk.http,
            websocket_base_url=f"ws://127.0.0.1:{desk.port}/v1",
        ) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        tool = {
            "type": "mcp",
            "server_label": "invoices",
            "server_url": server.url,
            "authorization": "key-1",
            "require_approval": approval,
        }
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [tool]}
        )
        await until(connection, "mcp_list_tools.completed")
        done = await until(connection, "conversation.item.done")
        assert "find_invoice" in [tool.name for tool in done.item.tools]
        yield connection


async def until(connection: Any, kind: str, seen: list[Any] | None = None) -> Any:
    async with asyncio.timeout(20):
        async for event in connection:
            if seen is not None:
                seen.append(event)
            assert event.type != "error", event
            if event.type == kind:
                return event
    raise AssertionError(f"the session ended before {kind}")


async def ask(connection: Any, number: str) -> None:
    text = f"Find invoice number {number}, please."
    await connection.conversation.item.create(
        item={
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
    )
    await connection.response.create()


async def spoken(connection: Any) -> str:
    await connection.response.create()
    done = await until(connection, "response.done")
    return str(done.response.output[0].content[0].text)


def test_openais_python_client_sees_a_call_that_completes_behind_its_response(
    desk: Serving, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with session(desk, invoices, "never") as connection:
            await ask(connection, "1001")
            seen: list[Any] = []
            response = await until(connection, "response.done", seen)
            [call] = response.response.output
            assert (call.type, call.server_label, call.name) == (
                "mcp_call",
                "invoices",
                "find_invoice",
            )
            assert call.output is call.error is None
            completed = await until(connection, "response.mcp_call.completed", seen)
            assert completed.item_id == call.id
            done = await until(connection, "conversation.item.done", seen)
            assert json.loads(done.item.output)["customer"] == "Ada Lovelace"
            arguments = [e for e in seen if e.type == "response.mcp_call_arguments.done"]
            assert [json.loads(e.arguments) for e in arguments] == [{"number": "1001"}]
            assert "Ada Lovelace" in await spoken(connection)

    asyncio.run(story())


def test_openais_python_client_approves_a_call(desk: Serving, invoices: HttpServer) -> None:
    """As OpenAI's own example for Ruby does it: of one response come the call and the request, and
    the next is made when the client asks for it."""

    async def story() -> None:
        async with session(desk, invoices, "always") as connection:
            await ask(connection, "1002")
            seen: list[Any] = []
            response = await until(connection, "response.done", seen)
            [arguments] = [e for e in seen if e.type == "response.mcp_call_arguments.done"]
            assert arguments.response_id == response.response.id
            [request] = [
                e.item
                for e in seen
                if e.type == "conversation.item.done" and e.item.type == "mcp_approval_request"
            ]
            assert (request.server_label, request.name) == ("invoices", "find_invoice")
            assert request.arguments == arguments.arguments
            await connection.conversation.item.create(
                item={
                    "id": "approval_1",
                    "type": "mcp_approval_response",
                    "approval_request_id": request.id,
                    "approve": True,
                }
            )
            seen = []
            completed = await until(connection, "response.mcp_call.completed", seen)
            assert completed.item_id == arguments.item_id
            done = await until(connection, "response.output_item.done", seen)
            assert done.item.approval_request_id == request.id
            assert not [e for e in seen if e.type == "response.created"]
            assert "Alan Turing" in await spoken(connection)

    asyncio.run(story())
