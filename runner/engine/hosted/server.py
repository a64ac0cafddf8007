"""One MCP server of a session, and the tools that it gives to the model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.engine.hosted.address import WHERE
from runner.engine.hosted.definition import Listed, allowed, headers_of, needs_approval
from runner.engine.hosted.errors import CLOSED, protocol_error, tool_error
from runner.engine.hosted.link import Link
from runner.engine.hosted.result import result_text
from runner.tasks import Supervisor

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult

LIST = 10.0
CALL = 60.0
"""Seconds for a list and for a call."""
MAX_PAGES = 100


@dataclass(frozen=True, slots=True)
class Target:
    """A tool on its server, as one definition gives it to the model."""

    server: Server
    tool: Listed

    @property
    def label(self) -> str:
        return self.server.label

    @property
    def needs_approval(self) -> bool:
        return needs_approval(self.server.entry, self.tool)


class Server:
    """One definition. ``tools`` are those of ``allowed_tools``, () until they are listed."""

    def __init__(self, entry: Mapping[str, Any], tasks: Supervisor, *, public_only: bool) -> None:
        self.entry = entry
        self.label = str(entry["server_label"])
        self.name = f"The MCP server '{self.label}'"
        self.tools: tuple[Listed, ...] = ()
        self.listing: asyncio.Task[None] | None = None
        self._tasks = tasks
        self._public_only = public_only
        self._link: Link | None = None

    async def list_tools(self) -> None:
        """Fill ``tools``. HostedError."""
        listed = await self._linked().request(_all_pages, LIST)
        self.tools = tuple(tool for tool in listed if allowed(self.entry, tool))

    async def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """What the tool answers. HostedError."""

        async def work(client: Client) -> CallToolResult:
            return await client.call_tool(tool, arguments)

        result = await self._linked().request(work, CALL)
        text = result_text(result)
        if result.is_error:
            raise tool_error(text)
        return text

    async def close(self) -> None:
        if self.listing is not None:
            self.listing.cancel()
        if self._link is not None:
            await self._link.close()

    def _linked(self) -> Link:
        if self._link is None:
            url = self.entry.get("server_url")
            if not url:
                text = f"{self.name} has no server_url: connectors and tunnels are OpenAI's own"
                raise protocol_error(CLOSED, text, WHERE)
            try:
                headers = headers_of(self.entry)
            except ValueError as error:
                raise protocol_error(CLOSED, f"{self.name}: {error}", "headers") from None
            self._link = Link(self.name, url, headers, self._tasks, public_only=self._public_only)
        return self._link


async def _all_pages(client: Client) -> list[Listed]:
    found: list[Listed] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        found += [
            Listed(
                tool.name,
                (tool.description or tool.title or "").strip(),
                dict(tool.input_schema),
                tool.annotations.model_dump(by_alias=True, exclude_none=True, mode="json")
                if tool.annotations
                else None,
            )
            for tool in page.tools
        ]
        if not page.next_cursor or page.next_cursor == cursor:
            return found
        cursor = page.next_cursor
    raise protocol_error(CLOSED, f"the list of tools has more than {MAX_PAGES} pages")
