"""One connection to an MCP server over streamable HTTP, by the official SDK (extra ``mcp``).

The SDK's client is entered and left in one task, as anyio's cancel scopes demand; requests run
in tasks of their own beside it, so that one that is given up ends neither the others nor it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from runner.engine.hosted.address import is_loopback
from runner.engine.hosted.errors import (
    CLOSED,
    TIMED_OUT,
    HostedError,
    http_error,
    protocol_error,
)
from runner.tasks import Supervisor

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

T = TypeVar("T")

CONNECT = 10.0
LEAVE = 0.3
"""Seconds: for the way to a server, and for the client to take its leave."""


class NotRun(Exception):
    """The request has provably not reached the server's tools."""


class Line:
    """``ready``, then ``request``s, then ``close``; thrown away whole once it is lost."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], tasks: Supervisor) -> None:
        self._name = name
        self._url = url
        self._headers = headers
        self._tasks = tasks
        self._client: Client | None = None
        self._entered = asyncio.Event()
        self._error: BaseException | None = None
        self._status: int | None = None
        self._forgotten = False
        self.stop = asyncio.Event()
        self._life = tasks.spawn(self._live(), f"mcp {name}")

    @property
    def lost(self) -> bool:
        return self.stop.is_set() or self._life.done()

    def cancel(self) -> None:
        self.stop.set()
        self._life.cancel()

    async def close(self) -> None:
        self.stop.set()
        await asyncio.wait({self._life}, timeout=LEAVE + 0.2)
        self._life.cancel()

    async def ready(self) -> None:
        entered = self._tasks.spawn(self._wait_entered(), f"mcp {self._name} enters")
        try:
            await asyncio.wait({entered, self._life}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            entered.cancel()
        if self._client is None:
            raise self._refused(self._error)

    async def _wait_entered(self) -> None:
        await self._entered.wait()

    async def _live(self) -> None:
        import anyio
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types import Implementation

        try:
            with anyio.CancelScope() as scope:
                async with AsyncExitStack() as stack:
                    # A response may be silent as long as its tool works: calls have a limit of
                    # their own. Redirects are not followed: they would pass the address check.
                    http = httpx2.AsyncClient(
                        headers=dict(self._headers),
                        timeout=httpx2.Timeout(None, connect=CONNECT),
                        event_hooks={"response": [self._answered]},
                        follow_redirects=False,
                        # A proxy of the environment is for the world outside this machine.
                        trust_env=not is_loopback(urlsplit(self._url).hostname or ""),
                    )
                    await stack.enter_async_context(http)
                    transport = streamable_http_client(self._url, http_client=http)
                    self._client = await stack.enter_async_context(
                        Client(
                            transport,
                            cache=None,
                            client_info=Implementation(name="rtrun-engine", version="1"),
                        )
                    )
                    self._entered.set()
                    await self.stop.wait()
                    scope.deadline = anyio.current_time() + LEAVE
        except Exception as error:
            self._error = _leaf(error)
        finally:
            self.stop.set()

    async def _answered(self, response: httpx2.Response) -> None:
        if response.request.method != "POST":
            return  # many servers refuse the stream of their notices, and need not have one
        self._status = response.status_code if response.status_code >= 300 else None
        if response.status_code == 404 and "mcp-session-id" in response.request.headers:
            self._forgotten = True

    async def request(self, work: Callable[[Client], Awaitable[T]], within: float) -> T:
        assert self._client is not None
        attempt = self._tasks.spawn(self._attempt(work, self._client), f"mcp {self._name} asks")
        try:
            await asyncio.wait(
                {attempt, self._life}, timeout=within, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not attempt.done():
                attempt.cancel()  # tells the server, without keeping anybody waiting
        if attempt.done() and not attempt.cancelled():
            result, error = attempt.result()
            if error is not None:
                raise error
            assert result is not None
            return result[0]
        if self._life.done():
            raise protocol_error(CLOSED, f"{self._name} was lost during the request")
        raise protocol_error(TIMED_OUT, f"{self._name} did not answer within {within:g} s")

    async def _attempt(
        self, work: Callable[[Client], Awaitable[T]], client: Client
    ) -> tuple[tuple[T] | None, Exception | None]:
        """A result in a tuple, or the error: nothing of it is an error of this task's."""
        try:
            return (await work(client),), None
        except HostedError as error:
            return None, error
        except Exception as error:
            return None, NotRun() if self._forgotten else self._refused(_leaf(error))

    def _refused(self, error: BaseException | None) -> HostedError:
        from mcp import MCPError
        from pydantic import ValidationError

        if self._status is not None:
            self.stop.set()  # what it refused once it may refuse for good: begin anew
            return http_error(self._status, f"{self._name} answered HTTP {self._status}")
        if isinstance(error, MCPError):
            if error.error.code == CLOSED:
                self.stop.set()
                return protocol_error(CLOSED, f"{self._name} was lost: the connection closed")
            return protocol_error(error.error.code, self._without_keys(error.error.message))
        if isinstance(error, ValidationError):
            return protocol_error(CLOSED, f"{self._name} gave an answer that is not MCP")
        self.stop.set()
        told = str(error) if error is not None and str(error) else type(error).__name__
        return protocol_error(CLOSED, self._without_keys(f"{self._name} is out of reach: {told}"))

    def _without_keys(self, text: str) -> str:
        return without_keys(text, self._headers)


def without_keys(text: str, headers: Mapping[str, Any]) -> str:
    """``text`` with every header value in it, its scheme apart, as ``***``."""
    for value in sorted(map(str, headers.values()), key=len, reverse=True):
        for key in (value, value.partition(" ")[2]):
            if len(key) >= 4:
                text = text.replace(key, "***")
    return text


def _leaf(error: BaseException) -> BaseException:
    """What lies inside groups of errors."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error
