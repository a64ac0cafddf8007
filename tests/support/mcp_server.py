"""A small MCP server for tests, real and as a program of its own.

``python tests/support/mcp_server.py`` serves over stdio; ``--http PORT`` over streamable HTTP at
``http://127.0.0.1:PORT/mcp`` (0 takes a free port) and prints ``ready URL`` when it answers.
Tools: ``add(a: int, b: int)``, ``find_invoice(number: str)`` (structured and as text), ``fail()``
(raises), ``slow(seconds: float)``. In a test over HTTP: ``with http_server() as s: s.url``.

Options, all at will:
``--extra``       more tools: pid, where (cwd and environment), picture, silent, grow, shrink, hang
``--page N``      tools are listed N at a time
``--token TOKEN`` HTTP asks for ``Authorization: Bearer TOKEN``, 401 without
``--journal FILE``each request's method is added as a line, ``start`` first
``--legacy``      knows the protocol up to 2025-11-25 only
``--garbage``     lines that are no JSON-RPC on standard output
``--die TEXT``    says TEXT on standard error and exits 3 instead of serving
``--stubborn``    ignores SIGTERM and the end of its input, and has a child that does the same
"""

# No postponed annotations: the SDK reads the types of functions made inside functions.
import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
INVOICES = {
    "1001": {"number": "1001", "customer": "Ada Lovelace", "amount": "120.00", "paid": True},
    "1002": {"number": "1002", "customer": "Alan Turing", "amount": "75.50", "paid": False},
}


@dataclass(frozen=True, slots=True)
class HttpServer:
    url: str
    pid: int


@contextmanager
def http_server(*options: str, port: int = 0) -> Iterator[HttpServer]:
    """The server over HTTP as a child, ended at the end."""
    command = [sys.executable, str(HERE), "--http", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            word, _, url = child.stdout.readline().strip().partition(" ")
            assert word == "ready", f"the server said {word!r}"
            yield HttpServer(url, child.pid)
        finally:
            child.kill()


def build(page: int = 0, extra: bool = False, journal: str = "", legacy: bool = False) -> Any:
    """The MCPServer object itself."""
    import anyio
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    server = MCPServer("invoices", log_level="ERROR")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def find_invoice(number: str) -> dict[str, Any]:
        """Find an invoice by its number."""
        return INVOICES.get(number, {"number": number, "found": False})

    @server.tool()
    def fail() -> str:
        """Always fails."""
        raise ToolError("the ledger is closed")

    @server.tool()
    async def slow(seconds: float) -> str:
        """Takes its time."""
        await anyio.sleep(seconds)
        return f"waited {seconds:g} s"

    if extra:
        _add_extra(server)
    if journal:
        server.middleware.append(_journal(Path(journal)))
    if legacy:
        server.middleware.append(_legacy)
    if page:
        server.middleware.append(_paging(page))
    return server


def _add_extra(server: Any) -> None:
    import anyio
    from mcp.server.mcpserver import Context
    from mcp_types import (
        BlobResourceContents,
        CallToolResult,
        EmbeddedResource,
        ImageContent,
        ResourceLink,
        TextContent,
        TextResourceContents,
    )

    @server.tool()
    def pid() -> int:
        """The process that serves."""
        return os.getpid()

    @server.tool()
    def where() -> dict[str, Any]:
        """The working directory and the environment."""
        return {"cwd": os.getcwd(), "env": dict(os.environ)}

    @server.tool()
    def picture() -> CallToolResult:
        """Everything but plain text."""
        return CallToolResult(
            content=[
                TextContent(type="text", text="Here it is."),
                ImageContent(type="image", data="AAECAw==", mime_type="image/png"),
                ResourceLink(type="resource_link", name="terms", uri="file:///terms.pdf"),
                EmbeddedResource(
                    type="resource",
                    resource=TextResourceContents(uri="memo://1", text="call back at nine"),
                ),
                EmbeddedResource(
                    type="resource",
                    resource=BlobResourceContents(
                        uri="memo://2", blob="AAECAw==", mime_type="audio/wav"
                    ),
                ),
            ]
        )

    @server.tool()
    def silent() -> CallToolResult:
        """Answers nothing at all."""
        return CallToolResult(content=[])

    async def changed(context: Any) -> None:
        # Both ways to tell it: a subscriber of the newer protocol, everybody of the older one.
        await context.notify_tools_changed()
        await context.session.send_tool_list_changed()

    @server.tool()
    async def grow(context: Context) -> str:
        """Brings one tool more."""

        def grown() -> str:
            """Was not there at first."""
            return "grown"

        server.add_tool(grown)
        await changed(context)
        return "one more"

    @server.tool()
    async def shrink(context: Context) -> str:
        """Takes the tool `add` away."""
        server.remove_tool("add")
        await changed(context)
        return "one less"

    @server.tool()
    async def hang() -> str:
        """Never answers."""
        await anyio.sleep_forever()
        return ""


async def _legacy(context: Any, call_next: Any) -> Any:
    from mcp.shared.exceptions import MCPError

    if context.method == "server/discover":
        raise MCPError(-32601, "Method not found")
    return await call_next(context)


def _paging(size: int) -> Callable[..., Any]:
    async def page(context: Any, call_next: Any) -> Any:
        if context.method != "tools/list":
            return await call_next(context)
        params = dict(context.params or {})
        first = int(params.pop("cursor", None) or 0)
        result = await call_next(replace(context, params=params))
        if not isinstance(result, dict):
            result = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        tools = result["tools"]
        result["tools"] = tools[first : first + size]
        if first + size < len(tools):
            result["nextCursor"] = str(first + size)
        return result

    return page


def _journal(file: Path) -> Callable[..., Any]:
    def write(line: str) -> None:
        with file.open("a") as journal:
            journal.write(line + "\n")

    write("start")

    async def note(context: Any, call_next: Any) -> Any:
        write(context.method)
        return await call_next(context)

    return note


def _serve_http(server: Any, port: int, token: str) -> None:
    import socket

    import uvicorn
    from starlette.responses import PlainTextResponse

    app = server.streamable_http_app()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and token:
            given = dict(scope["headers"]).get(b"authorization", b"").decode()
            if given != f"Bearer {token}":
                await PlainTextResponse("who are you", status_code=401)(scope, receive, send)
                return
        await app(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", port))

    class Ready(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            _say(f"ready http://127.0.0.1:{listener.getsockname()[1]}/mcp")

    Ready(uvicorn.Config(guarded, log_level="error")).run(sockets=[listener])


def _serve_legacy(server: Any) -> None:
    """Over stdio the first request settles the protocol: take the handshake alone."""
    import anyio
    from mcp.server.runner import serve_loop
    from mcp.server.stdio import stdio_server

    async def serve() -> None:
        async with stdio_server() as (read, write):
            await serve_loop(server._lowlevel_server, read, write, lifespan_state={})

    anyio.run(serve)


def _be_stubborn() -> None:
    """Stay, whatever happens to the input, and have a child that stays too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stay = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", stay])  # inherits SIG_IGN, the group and the pipes


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, default=None, metavar="PORT")
    parser.add_argument("--token", default="")
    parser.add_argument("--page", type=int, default=0)
    parser.add_argument("--journal", default="")
    parser.add_argument("--die", default="")
    for flag in ("extra", "legacy", "garbage", "stubborn"):
        parser.add_argument(f"--{flag}", action="store_true")
    given = parser.parse_args()
    if given.die:
        sys.stderr.write(given.die + "\n")
        raise SystemExit(3)
    if given.garbage:
        _say("Welcome to the invoices server!\n{half a")
    if given.stubborn:
        _be_stubborn()
    server = build(given.page, given.extra, given.journal, given.legacy)
    if given.http is None:
        if given.legacy:
            _serve_legacy(server)
        else:
            server.run()
        while given.stubborn:
            signal.pause()
    else:
        _serve_http(server, given.http, given.token)


if __name__ == "__main__":
    main()
