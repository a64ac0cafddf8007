"""The way to one MCP server: a line that is opened when it is needed, and again once lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from runner.engine.hosted.address import check_address
from runner.engine.hosted.errors import CLOSED, TIMED_OUT, protocol_error
from runner.engine.hosted.line import CONNECT, Line, NotRun
from runner.tasks import Supervisor, in_thread

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")

INSTALL = "MCP servers need the package mcp: pip install 'rtrun[mcp]'"


def load_package() -> None:
    """Import the SDK, and what it would import amid a call. ImportError when it is missing."""
    import httpx2 as httpx2
    import jsonschema as jsonschema
    import mcp as mcp
    import mcp.client.streamable_http as streamable_http

    assert streamable_http
    # Where no logging is set up, Python prints the warnings of libraries to the terminal.
    for name in ("mcp", "client", "httpx2"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())


class Link:
    """Connects at the first ``request`` and again after it was lost. ``public_only``: addresses
    inside the engine's own network are refused. ``name`` is for messages."""

    def __init__(
        self,
        name: str,
        url: str,
        headers: Mapping[str, str],
        tasks: Supervisor,
        *,
        public_only: bool,
    ) -> None:
        self._name = name
        self._url = url
        self._headers = headers
        self._tasks = tasks
        self._public_only = public_only
        self._opening = asyncio.Lock()
        self._open: Line | None = None
        self._closed = False

    async def request(self, work: Callable[[Client], Awaitable[T]], within: float) -> T:
        """``work`` with the client, at most ``within`` seconds after CONNECT. HostedError."""
        for again in (True, False):
            line = await self._connected()
            try:
                return await line.request(work, within)
            except NotRun:
                # The server was started anew and knows nothing of our session.
                line.stop.set()
                if not again:
                    break
        raise protocol_error(CLOSED, f"{self._name} forgets its sessions")

    async def close(self) -> None:
        """Take leave, within half a second. Idempotent."""
        self._closed = True
        if self._open is not None:
            await self._open.close()

    async def _connected(self) -> Line:
        async with self._opening:
            if self._closed:
                raise protocol_error(CLOSED, f"{self._name} is used no more")
            if self._open is None or self._open.lost:
                self._open = None
                try:
                    async with asyncio.timeout(CONNECT):
                        self._open = await self._connect()
                except TimeoutError:
                    text = f"{self._name} did not answer within {CONNECT:g} s"
                    raise protocol_error(TIMED_OUT, text) from None
            return self._open

    async def _connect(self) -> Line:
        try:
            await in_thread(load_package)
        except ImportError:
            raise protocol_error(CLOSED, INSTALL) from None
        await check_address(self._name, self._url, public_only=self._public_only)
        line = Line(self._name, self._url, self._headers, self._tasks)
        try:
            await line.ready()
        except BaseException:
            line.cancel()
            raise
        if self._closed:
            line.cancel()
            raise protocol_error(CLOSED, f"{self._name} is used no more")
        return line
