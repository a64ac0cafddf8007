"""What a session's MCP servers offer is listed by the engine."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.engine import Client, Puppet, Serving, connected, serving
from support.mcp_server import HttpServer, http_server

from runner.engine.ports import Call


def hosted(url: str, label: str = "invoices", **fields: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": label, "server_url": url, **fields}


def tools_of(client: Client) -> list[list[str]]:
    """The names in each finished list, in order."""
    return [
        [tool["name"] for tool in event["item"]["tools"]]
        for event in client.of("conversation.item.done")
        if event["item"]["type"] == "mcp_list_tools"
    ]


async def offered(client: Client, puppet: Puppet) -> list[str]:
    await client.ask("hello")
    return [tool["name"] for tool in puppet.prompts[-1].tools]


async def refused(client: Client, tool: dict[str, Any]) -> dict[str, Any]:
    """The error behind a list that fails."""
    await client.update(tools=[tool])
    assert (await client.listed("failed"))["tools"] == []
    error: dict[str, Any] = (await client.until("error"))["error"]
    assert error["code"] == "mcp_list_tools_failed"
    assert error["param"].startswith("session.tools[0]")
    return error


def dead_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"


def test_a_new_server_is_listed_behind_the_update(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices.url)])
            await client.listed()
            assert client.types() == [
                "session.created",
                "session.updated",
                "conversation.item.added",
                "mcp_list_tools.in_progress",
                "mcp_list_tools.completed",
                "conversation.item.done",
            ]
            item = client.of("conversation.item.done")[0]["item"]
            assert item["server_label"] == "invoices"
            add = next(tool for tool in item["tools"] if tool["name"] == "add")
            assert add["description"] == "Add two numbers."
            assert set(add["input_schema"]["properties"]) == {"a", "b"}
            assert add["annotations"] is None

    asyncio.run(story())


def test_pages_are_read_to_the_end(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        with http_server("--page", "1") as server:
            async with connected(engine) as client:
                await client.update(tools=[hosted(server.url)])
                await client.listed()
                assert tools_of(client) == [["add", "find_invoice", "fail", "slow"]]

    asyncio.run(story())


def test_a_list_is_kept_until_the_definition_changes(
    engine: Serving, puppet: Puppet, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"

    def lists() -> int:
        return journal.read_text().split().count("tools/list")

    async def story() -> None:
        with http_server("--journal", str(journal)) as server:
            async with connected(engine) as client:
                await client.update(tools=[hosted(server.url)])
                await client.listed()
                await client.update(tools=[hosted(server.url)], instructions="Be brief.")
                await client.ask("hello")
                assert lists() == 1
                await client.update(tools=[hosted(server.url, allowed_tools=["add"])])
                await client.listed()
                assert lists() == 2
                assert tools_of(client)[1] == ["add"]
                assert await offered(client, puppet) == ["add"]

    asyncio.run(story())


def test_allowed_tools_may_be_a_filter(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            some = {"tool_names": ["slow", "add", "no such tool"]}
            await client.update(tools=[hosted(invoices.url, allowed_tools=some)])
            await client.listed()
            assert await offered(client, puppet) == ["add", "slow"]
            none = {"read_only": True}
            await client.update(tools=[hosted(invoices.url, allowed_tools=none)])
            await client.listed()
            assert await offered(client, puppet) == []

    asyncio.run(story())


def test_a_response_waits_for_the_list(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        with http_server() as server:
            async with connected(engine) as client:
                await client.send(
                    "session.update",
                    session={"type": "realtime", "tools": [hosted(server.url)]},
                )
                assert "add" in await offered(client, puppet)
                types = client.types()
                assert types.index("session.updated") < types.index("mcp_list_tools.completed")

    asyncio.run(story())


def test_a_response_may_bring_a_server_of_its_own(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 1}')]

    async def story() -> None:
        async with connected(engine) as client:
            own = hosted(invoices.url, "own", require_approval="never")
            await client.ask("add", tools=[own])
            assert (await client.result())["output"] == "2"
            assert len(client.of("mcp_list_tools.completed")) == 1

    asyncio.run(story())


def test_of_the_servers_that_responses_bring_the_latest_are_kept(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            for number in (0, 1, 2, 3, 4, 4, 0):
                await client.ask("hello", tools=[hosted(invoices.url, f"guest{number}")])
                assert "add" in [tool["name"] for tool in puppet.prompts[-1].tools]
            assert len(client.of("mcp_list_tools.completed")) == 6

    asyncio.run(story())


def test_more_servers_than_a_session_may_have_are_left_out(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            some = [
                {"type": "mcp", "server_label": f"s{n}", "connector_id": "connector_gmail"}
                for n in range(40)
            ]
            await client.update(tools=some)
            error = await client.until("error", lambda e: "More than 32" in e["error"]["message"])
            assert error["error"]["param"] == "session.tools[32]"
            for _ in range(32):
                await client.listed("failed")
            await client.ask("hello")
            assert len(client.of("mcp_list_tools.failed")) == 32

    asyncio.run(story())


def test_a_client_secret_may_bring_the_servers_of_its_session(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        with http_server("--token", "letmein-7") as server:
            tool = hosted(server.url, authorization="letmein-7")
            session = {"type": "realtime", "model": "gpt-realtime", "tools": [tool]}
            async with httpx.AsyncClient() as http:
                made = await http.post(
                    f"{engine.http}/realtime/client_secrets", json={"session": session}
                )
            assert "letmein" not in made.text
            key = {"Authorization": f"Bearer {made.json()['value']}"}
            async with connected(engine, additional_headers=key) as client:
                await client.listed()
                assert "letmein" not in json.dumps(client.events)
                assert "add" in await offered(client, puppet)

    asyncio.run(story())


def test_a_server_that_leaves_is_used_no_more(
    engine: Serving, puppet: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices.url)])
            await client.listed()
            assert "add" in await offered(client, puppet)
            await client.update(tools=[])
            assert await offered(client, puppet) == []

    asyncio.run(story())


def test_two_sessions_do_not_share_their_servers(
    engine: Serving, puppet: Puppet, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"

    async def story() -> None:
        with http_server("--token", "key-1", "--journal", str(journal)) as server:
            async with connected(engine) as one, connected(engine) as other:
                tool = hosted(server.url, authorization="key-1", allowed_tools=["add"])
                await one.update(tools=[tool])
                await one.listed()
                assert await offered(one, puppet) == ["add"]
                assert await offered(other, puppet) == []
                # What one session has opened is not open to the other without the key.
                await other.update(tools=[hosted(server.url)])
                await other.listed("failed")
                await other.update(tools=[tool])
                await other.listed()
                await one.update(tools=[])
                assert await offered(other, puppet) == ["add"]
                assert await offered(one, puppet) == []
        assert journal.read_text().count("tools/list") == 2

    asyncio.run(story())


def test_a_server_that_leaves_while_it_is_listed_ends_its_list(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        # It accepts and never answers.
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
            async with connected(engine) as client:
                await client.update(tools=[hosted(url)])
                await client.until("mcp_list_tools.in_progress")
                await client.update(tools=[])
                await client.listed("failed")
                assert await offered(client, puppet) == []

    asyncio.run(story())


def test_a_dead_port_fails_and_the_session_answers_all_the_same(
    engine: Serving, puppet: Puppet
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            error = await refused(client, hosted(dead_url()))
            assert "'invoices'" in error["message"]
            assert await offered(client, puppet) == []

    asyncio.run(story())


def test_401_fails_and_the_right_key_opens(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        with http_server("--token", "letmein-7") as server:
            async with connected(engine) as client:
                error = await refused(client, hosted(server.url, authorization="wrong-key"))
                assert "401" in error["message"]
                assert "wrong-key" not in json.dumps(client.events)
                await client.update(tools=[hosted(server.url, authorization="letmein-7")])
                await client.listed()
                headers = {"authorization": "Bearer letmein-7"}
                await client.update(tools=[hosted(server.url, headers=headers)])
                await client.listed()

    asyncio.run(story())


def test_keys_are_neither_echoed_nor_logged(
    engine: Serving, puppet: Puppet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 1}')]

    async def story() -> None:
        with http_server("--token", "letmein-7") as server:
            async with connected(engine) as client:
                keys = {"authorization": "letmein-7", "headers": {"X-Key": "other-key-9"}}
                tool = hosted(server.url, require_approval="never", **keys)
                updated = await client.update(tools=[tool])
                [echoed] = updated["session"]["tools"]
                assert echoed == hosted(server.url, require_approval="never")
                await client.listed()
                await client.ask("add")
                assert (await client.result())["output"] == "2"
                told = json.dumps(client.events)
                assert "letmein" not in told
                assert "other-key" not in told

    asyncio.run(story())
    # Below the debug level of the sockets at both ends, which shows whole frames.
    ours = [r for r in caplog.records if r.name.partition(".")[0] not in ("websockets", "uvicorn")]
    assert {r.name.partition(".")[0] for r in ours} >= {"mcp", "httpx2"}
    logged = "\n".join(r.getMessage() for r in ours)
    assert "letmein" not in logged
    assert "other-key" not in logged


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"connector_id": "connector_gmail"}, "server_url", "connectors and tunnels are OpenAI's"),
        ({"server_url": "ftp://example.com/x"}, "server_url", "no http(s) URL"),
        ({"server_url": "http://[half"}, "server_url", "no http(s) URL"),
        ({"server_url": "http://127.0.0.1:9/", "headers": {"a b": "c"}}, "headers", "HTTP carries"),
        (
            {"server_url": "http://127.0.0.1:9/", "authorization": "line\nbreak"},
            "headers",
            "the header Authorization",
        ),
    ],
)
def test_what_cannot_be_called_is_refused_with_the_reason(
    engine: Serving, puppet: Puppet, fields: dict[str, Any], param: str, words: str
) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            error = await refused(client, {"type": "mcp", "server_label": "mail", **fields})
            assert words in error["message"]
            assert error["param"] == f"session.tools[0].{param}"

    asyncio.run(story())


def test_without_the_package_the_error_says_how_to_install_it(
    engine: Serving, puppet: Puppet, invoices: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)

    async def story() -> None:
        async with connected(engine) as client:
            error = await refused(client, hosted(invoices.url))
            assert "pip install 'rtrun[mcp]'" in error["message"]

    asyncio.run(story())


def test_a_proxy_of_the_environment_is_not_for_this_machine(
    engine: Serving, puppet: Puppet, invoices: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, dead_url())
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def story() -> None:
        # The test's own way to the engine is by no proxy either.
        async with connected(engine, proxy=None) as client:
            await client.update(tools=[hosted(invoices.url)])
            assert (await client.listed())["tools"]

    asyncio.run(story())


def test_an_engine_that_others_reach_does_not_call_into_its_own_network(
    puppet: Puppet, invoices: HttpServer
) -> None:
    async def story() -> None:
        with serving(puppet, None, "not needed here", host="0.0.0.0", key="test") as open_engine:
            async with connected(open_engine) as client:
                error = await refused(client, hosted(invoices.url))
                assert "private or loopback address" in error["message"]
                local = hosted(invoices.url.replace("127.0.0.1", "localhost"))
                error = await refused(client, local)
                assert "private or loopback address" in error["message"]
                mapped = hosted(invoices.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"))
                error = await refused(client, mapped)
                assert "private or loopback address" in error["message"]

    asyncio.run(story())
