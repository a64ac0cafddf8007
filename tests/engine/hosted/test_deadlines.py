"""MCP servers that do not answer, answer nonsense, or know us no more."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.engine import Puppet, Serving, connected
from support.mcp_server import HttpServer, http_server

from runner.engine.hosted import link, offer, running, server, servers
from runner.engine.ports import Call


def hosted(url: str, **fields: Any) -> dict[str, Any]:
    tool = {"type": "mcp", "server_label": "invoices", "server_url": url}
    return {**tool, "require_approval": "never", **fields}


@contextmanager
def silent() -> Iterator[str]:
    """Accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"


@contextmanager
def web_server(status: int, body: bytes, kind: str) -> Iterator[str]:
    """Answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            if status in (301, 307):
                self.send_header("location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_DELETE = do_POST

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{web.server_port}/mcp"
        finally:
            web.shutdown()
            thread.join()


def test_a_server_that_does_not_answer_fails_in_time(
    engine: Serving, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "CONNECT", 0.5)

    async def story() -> None:
        with silent() as url:
            async with connected(engine) as client:
                await client.update(tools=[hosted(url)])
                await client.listed("failed")
                error = (await client.until("error"))["error"]
                assert "did not answer within 0.5 s" in error["message"]

    asyncio.run(story())


def test_a_response_does_not_wait_for_a_list_for_ever(
    engine: Serving, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "PATIENCE", 0.3)

    async def story() -> None:
        with silent() as url:
            async with connected(engine) as client:
                await client.update(tools=[hosted(url)])
                done = await client.ask("hello")
                assert done["response"]["status"] == "completed"
                assert not client.of("mcp_list_tools.failed")
                await client.update(tools=[])
                await client.listed("failed")

    asyncio.run(story())


def test_a_response_that_waits_for_a_list_can_be_cancelled(engine: Serving, puppet: Puppet) -> None:
    async def story() -> None:
        with silent() as url:
            async with connected(engine) as client:
                await client.update(tools=[hosted(url)])
                await client.type_in("hello")
                await client.send("response.create")
                await client.until("response.created")
                await client.send("response.cancel")
                done = await client.until("response.done")
                assert done["response"]["status"] == "cancelled"
                await client.update(tools=[])
                await client.listed("failed")

    asyncio.run(story())


def test_a_call_has_a_limit(
    engine: Serving, puppet: Puppet, invoices: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CALL", 0.4)
    puppet.answer = lambda prompt: [Call("hang", "{}")]

    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices.url)])
            await client.listed()
            await client.ask("hang on")
            error = (await client.result())["error"]
            assert (error["type"], error["code"]) == ("protocol_error", -32001)
            assert "within 0.4 s" in error["message"]
            # The connection is good for the next call.
            puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 2}')]
            await client.ask("add")
            assert (await client.result())["output"] == "3"

    asyncio.run(story())


def test_a_response_does_not_wait_for_a_tool_for_ever(
    engine: Serving, puppet: Puppet, invoices: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.2)
    puppet.answer = lambda prompt: [Call("slow", '{"seconds": 2}')]

    async def story() -> None:
        async with connected(engine) as client:
            await client.update(tools=[hosted(invoices.url)])
            await client.listed()
            await client.ask("wait")
            puppet.answer = lambda prompt: [str(prompt.items[-1]["output"])]
            await client.send("response.create")
            done = await client.until("response.done")
            assert done["response"]["output"][0]["content"][0]["text"] == offer.STILL_RUNNING
            assert (await client.result())["output"] == "waited 2 s"

    asyncio.run(story())


def test_a_key_that_is_taken_back_is_an_http_error_of_the_call(
    engine: Serving, puppet: Puppet
) -> None:
    puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 2}')]

    async def story() -> None:
        async with connected(engine) as client:
            with http_server("--token", "old-key") as before:
                await client.update(tools=[hosted(before.url, authorization="old-key")])
                await client.listed()
            port = int(before.url.rpartition(":")[2].partition("/")[0])
            with http_server("--token", "new-key", port=port):
                await client.ask("add")
                error = (await client.result())["error"]
                if error["type"] != "http_error":  # the old connection's end
                    await client.ask("add")
                    error = (await client.result())["error"]
                assert (error["type"], error["code"]) == ("http_error", 401)
                assert "old-key" not in error["message"]

    asyncio.run(story())


def test_a_server_of_the_older_protocol_that_forgot_us_is_greeted_anew(
    engine: Serving, puppet: Puppet
) -> None:
    puppet.answer = lambda prompt: [Call("add", '{"a": 1, "b": 2}')]

    async def story() -> None:
        async with connected(engine) as client:
            with http_server("--legacy") as before:
                await client.update(tools=[hosted(before.url)])
                await client.listed()
                await client.ask("add")
                assert (await client.result())["output"] == "3"
            port = int(before.url.rpartition(":")[2].partition("/")[0])
            with http_server("--legacy", port=port):
                await client.ask("add")
                item = await client.result()
                if item["error"]:  # the old connection's end
                    await client.ask("add")
                    item = await client.result()
                assert item["output"] == "3"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (200, b"<html>Welcome</html>", "text/html", ""),
        (200, b"{half", "application/json", ""),
        (200, b'{"jsonrpc": "2.0", "id": 77, "result": {}}', "application/json", ""),
        (500, b"oh no", "text/plain", "HTTP 500"),
        (307, b"", "text/plain", "HTTP 307"),
    ],
)
def test_what_is_no_mcp_server_fails(
    engine: Serving,
    puppet: Puppet,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    kind: str,
    words: str,
) -> None:
    monkeypatch.setattr(link, "CONNECT", 3.0)

    async def story() -> None:
        with web_server(status, body, kind) as url:
            async with connected(engine) as client:
                await client.update(tools=[hosted(url)])
                await client.listed("failed")
                error = (await client.until("error"))["error"]
                assert "'invoices'" in error["message"]
                assert words in error["message"]
                done = await client.ask("hello")
                assert done["response"]["status"] == "completed"

    asyncio.run(story())
