"""Local MCP servers: a child process or a URL whose tools become the agent's (extra ``mcp``).

    billing = mcp_server("billing", command=["python", "billing.py"], allow=["find_invoice"])

The official SDK does the talking and is imported at the first use, never by importing this.
Protocol: modelcontextprotocol.io, every version that the SDK speaks (2024-11-05 to 2026-07-28).
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from runner.codec import loads
from runner.errors import ToolError, UserError
from runner.model.deployment import McpSpec, ToolSpec
from runner.model.secret import Secret
from runner.tasks import Supervisor
from runner.tools.base import DEFAULT_TIMEOUT, ToolContext, ToolPolicy
from runner.tools.mcp_connection import Connection, NotRun
from runner.tools.mcp_result import described, result_text, safe_schema
from runner.tools.mcp_secrets import hide

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as Listed

T = TypeVar("T")

log = logging.getLogger("runner.tools.mcp")

#: A server may be downloaded before it starts (npx, uvx).
START_TIMEOUT = 30.0
MAX_PAGES = 100
#: Seconds between tries to start a server that keeps failing; up to PATIENCE of them are waited.
BACKOFF, BACKOFF_MOST, PATIENCE = 0.25, 15.0, 1.0


@dataclass(frozen=True, slots=True)
class McpTool:
    """One tool of a server. ``remote`` is its name there; ``name`` has none of the signs that
    the Realtime API refuses in a function's name. ``timeout`` in seconds."""

    server: McpServer
    name: str
    remote: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = DEFAULT_TIMEOUT
    policy: ToolPolicy = field(default_factory=ToolPolicy)

    def wire(self) -> dict[str, Any]:
        tool: dict[str, Any] = {"type": "function", "name": self.name}
        if self.description:
            tool["description"] = self.description
        tool["parameters"] = dict(self.parameters)
        return tool

    async def run(self, arguments: str, context: ToolContext) -> str:
        """Call it with the model's JSON arguments. ToolError with the server's own words when it
        fails, when the server is gone, or when ``timeout`` is over."""
        try:
            given = loads(arguments or "{}")
        except ValueError:
            raise ToolError("the arguments are no JSON") from None
        if not isinstance(given, dict):
            raise ToolError("the arguments are no JSON object")
        try:
            async with asyncio.timeout(self.timeout):
                return await self.server.call(self.remote, given, within=self.timeout)
        except TimeoutError:
            raise ToolError(
                f"Tool '{self.name}' timed out after {self.timeout * 1000:.0f}ms."
            ) from None


class McpServer:
    """The server behind ``spec.mcp``, shared by all sessions of the process: one connection,
    made at the first ``tools()``. A server that dies is started again by the next call; calls
    that were under way fail, for nobody knows what they did. ``on_changed(server)`` is called
    in the loop when the server says that its tools have changed; ``tools()`` then lists anew.

    ToolError at once when the package mcp is missing. Belongs to one event loop.
    """

    def __init__(
        self,
        spec: ToolSpec,
        *,
        on_changed: Callable[[McpServer], object] | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        if spec.mcp is None or bool(spec.mcp.command) == bool(spec.mcp.url):
            raise UserError(
                f"the MCP server '{spec.name}' needs a command or a url", "one of the two"
            )
        if why := _missing_package():
            raise ToolError(f"the tool '{spec.name}' is an MCP server, and {why}", INSTALL)
        self.spec = spec
        self.on_changed = on_changed
        self.start_timeout = start_timeout
        self._supervisor = Supervisor(self._failed)
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection | ToolError] | None = None
        self._listing: asyncio.Task[tuple[McpTool, ...] | ToolError] | None = None
        self._tools: tuple[McpTool, ...] | None = None
        self._version = 0  # of the list: one that was asked for before a change is not kept
        self._failures = 0
        self._not_before = 0.0
        self._last_error: ToolError | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """The child process, None over HTTP and while there is none."""
        return self._connection.pid if self._connection and not self._connection.lost else None

    async def __aenter__(self) -> McpServer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def tools(self) -> Sequence[McpTool]:
        """Its tools in its own order, those of ``allow`` alone when that is given. ToolError
        when it does not start, cannot be reached, or lacks one that is allowed."""
        if self._tools is not None and not self._closed:
            return self._tools
        self._check_open()
        if self._listing is None or self._listing.done():
            self._listing = self._supervisor.spawn(self._list(), f"mcp list {self.name}")
        return await self._shared(self._listing)

    async def call(self, tool: str, arguments: Mapping[str, Any], *, within: float) -> str:
        """Call the server's ``tool``, at most ``within`` seconds. ToolError when it fails,
        TimeoutError when time is over."""

        async def work(client: Client) -> CallToolResult:
            return await client.call_tool(tool, dict(arguments))

        connection, result = await self._request(work, within)
        connection.served = True
        if result.is_error and not result.content:
            raise ToolError(f"the tool {tool} failed and does not say why")
        text = result_text(result)
        if result.is_error:
            raise ToolError(hide(text))
        return text

    def invalidate(self) -> None:
        """Forget the list: the next ``tools()`` asks the server."""
        self._version += 1
        self._tools = None
        self._listing = None

    async def close(self) -> None:
        """End it for good, with its process and all that it started, within two seconds; calls
        under way fail. Idempotent, from whichever task."""
        self._closed = True
        self._tools = None
        try:
            if self._connection is not None:
                await self._connection.close()
        finally:
            await self._supervisor.close(within=0.1)

    # -- the connection

    async def _request(
        self, work: Callable[[Client], Awaitable[T]], within: float
    ) -> tuple[Connection, T]:
        """Over the connection that is there, or over a new one: one restart for one request."""
        connection = await self._connected()
        try:
            return connection, await connection.request(work, within)
        except NotRun:
            connection = await self._connected()
            return connection, await connection.request(work, within)

    async def _connected(self) -> Connection:
        self._check_open()
        if self._connection is not None and not self._connection.lost:
            return self._connection
        if self._connecting is None or self._connecting.done():
            self._connecting = self._supervisor.spawn(self._connect(), f"mcp {self.name}")
        return await self._shared(self._connecting)

    async def _connect(self) -> Connection | ToolError:
        now = asyncio.get_running_loop().time
        if self._connection is not None:
            if self._connection.served:
                self._failures = 0
            else:
                self._later()
            gone, self._connection = self._connection, None
            await gone.close()
        wait = self._not_before - now()
        if wait > PATIENCE:
            return self._last_error or ToolError(f"the MCP server '{self.name}' keeps ending")
        if wait > 0:
            await asyncio.sleep(wait)
        if self._closed:
            return ToolError(f"the MCP server '{self.name}' was closed")
        self._connection = Connection(self.spec, self._changed)
        try:
            await self._connection.open(self.start_timeout)
        except ToolError as error:
            self._connection = None
            self._last_error = error
            self._later()
            return error
        return self._connection

    def _later(self) -> None:
        wait = min(BACKOFF_MOST, BACKOFF * 2.0**self._failures)
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + wait

    async def _shared(self, task: asyncio.Task[T | ToolError]) -> T:
        """What a task gives that others wait for too: who leaves takes nobody along."""
        await asyncio.wait({task})
        if task.cancelled():
            raise ToolError(f"the MCP server '{self.name}' was closed")
        outcome = task.result()
        if isinstance(outcome, ToolError):
            raise ToolError(outcome.message, outcome.hint)
        return outcome

    def _check_open(self) -> None:
        if self._closed:
            raise ToolError(f"the MCP server '{self.name}' was closed")

    # -- the list

    async def _list(self) -> tuple[McpTool, ...] | ToolError:
        version = self._version
        try:
            _, listed = await self._request(_all_pages, self.start_timeout)
            tools = self._taken(listed)
        except ToolError as error:
            return error
        except TimeoutError:
            return ToolError(
                f"the MCP server '{self.name}' did not list its tools"
                f" within {self.start_timeout:g} s"
            )
        if version == self._version:
            self._tools = tools
        return tools

    def _taken(self, listed: Sequence[Listed]) -> tuple[McpTool, ...]:
        assert self.spec.mcp is not None
        allow = self.spec.mcp.allow
        have = [tool.name for tool in listed]
        if lacking := [name for name in allow if name not in have]:
            raise ToolError(
                f"the MCP server '{self.name}' has no tool {', '.join(lacking)}",
                f"it has {', '.join(have)}" if have else "it has none at all",
            )
        taken: dict[str, McpTool] = {}
        for tool in listed:
            name = re.sub(r"[^A-Za-z0-9_-]", "_", tool.name)[:64]
            if allow and tool.name not in allow:
                continue
            if name in taken:
                log.info("left out %s of %s: %s is there already", tool.name, self.name, name)
                continue
            taken[name] = McpTool(
                server=self,
                name=name,
                remote=tool.name,
                description=described(tool),
                parameters=safe_schema(tool.input_schema),
                timeout=self.spec.timeout,
                policy=ToolPolicy(
                    approval=self.spec.approval,
                    while_waiting=self.spec.while_waiting,
                    respond=self.spec.respond,
                ),
            )
        return tuple(taken.values())

    def _changed(self) -> None:
        if self._closed:
            return
        self.invalidate()
        if self.on_changed is not None:
            try:
                self.on_changed(self)
            except Exception:
                log.exception("on_changed of the MCP server '%s' failed", self.name)

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed", name, exc_info=error)


async def _all_pages(client: Client) -> list[Listed]:
    listed: list[Listed] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        listed += page.tools
        if not page.next_cursor or page.next_cursor == cursor:
            return listed
        cursor = page.next_cursor
    raise ToolError(f"the list of tools has more than {MAX_PAGES} pages")


def mcp_server(
    name: str,
    *,
    command: Sequence[str] = (),
    url: str | None = None,
    headers: Mapping[str, str | Secret] | None = None,
    env: Mapping[str, str | Secret] | None = None,
    allow: Sequence[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
    base: str | Path = ".",
    on_changed: Callable[[McpServer], object] | None = None,
) -> McpServer:
    """An MCP server for Python users: ``command`` over stdio, or ``url`` over streamable HTTP.

    ``allow`` names the tools to take, all when empty; ``timeout`` of one call in seconds; ``base``
    is the command's working directory. UserError when not exactly one of the two is given.
    """
    if isinstance(command, str) or isinstance(allow, str):
        raise UserError("command and allow are lists of texts", 'such as ["python", "billing.py"]')
    spec = McpSpec(
        command=tuple(command),
        url=url,
        headers=_secret(headers),
        env=_secret(env),
        allow=tuple(allow),
    )
    return McpServer(
        ToolSpec(name=name, base=Path(base), timeout=timeout, mcp=spec), on_changed=on_changed
    )


def _secret(given: Mapping[str, str | Secret] | None) -> dict[str, Secret]:
    return {
        key: value if isinstance(value, Secret) else Secret(value)
        for key, value in (given or {}).items()
    }


INSTALL = "install it: pip install 'rtrun[mcp]'"


def _missing_package() -> str:
    """Why the SDK cannot be used, empty when it can. Looks, and imports nothing."""
    with suppress(ImportError):
        if importlib.util.find_spec("mcp") is not None:
            return _wrong_version()
    return "the package mcp is not installed"


def _wrong_version() -> str:
    try:
        version = metadata.version("mcp")
    except metadata.PackageNotFoundError:
        return ""
    return "" if version.partition(".")[0] == "2" else f"mcp {version} is not mcp 2"
