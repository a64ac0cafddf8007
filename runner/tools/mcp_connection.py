"""One connection to an MCP server: everything of it lives here and is thrown away whole.

The SDK's client is entered and left in one task, as anyio's cancel scopes demand; requests are
made in tasks of their own beside it, so that leaving one behind ends neither the others nor it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from runner.errors import RtrunError, ToolError
from runner.model.deployment import ToolSpec
from runner.tasks import Supervisor, in_thread
from runner.tools.mcp_secrets import guard_loggers, hide, learn
from runner.tools.mcp_stdio import ServerProcess

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

T = TypeVar("T")

log = logging.getLogger("runner.tools.mcp")

CONNECT = 10.0
#: Seconds for the client to take its leave; the process's own end comes after it.
LEAVE = 0.3
#: How long the end of a lost server may take to be known, for the sake of its last words.
AFTERLIFE = 0.5
#: Between two tries to hear of changes again, in seconds: doubled up to the most, for some
#: servers end each stream soon.
LISTEN_AGAIN, LISTEN_MOST = 1.0, 60.0


class NotRun(ToolError):
    """The request has provably not reached the server: it may be made again."""


def load_package() -> None:
    """Import the SDK, and what it would import amid a call: that takes a second."""
    import httpx2 as httpx2
    import jsonschema as jsonschema
    import mcp as mcp

    guard_loggers()


class Connection:
    """``open`` it, make requests, ``close`` it. ``lost`` once it can carry none. ``on_changed``
    is called when the server says that its tools have changed."""

    def __init__(self, spec: ToolSpec, on_changed: Callable[[], None]) -> None:
        assert spec.mcp is not None
        self._spec = spec
        self._mcp = spec.mcp
        self._on_changed = on_changed
        self._supervisor = Supervisor(self._failed)
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life: asyncio.Task[None] | None = None
        self._scope: Any = None
        self._client: Client | None = None
        self._process: ServerProcess | None = None
        self._error: BaseException | None = None
        self._status: int | None = None
        #: The server answers that it knows nothing of our session: it was started anew.
        self._forgotten = False
        learn([*self._mcp.headers.values(), *self._mcp.env.values()])
        #: A tool was called and answered: the server is worth a restart at once.
        self.served = False

    @property
    def lost(self) -> bool:
        return self._stop.is_set() or self._life is None or self._life.done()

    @property
    def pid(self) -> int | None:
        """The server's process over stdio."""
        return self._process.pid if self._process else None

    async def open(self, within: float) -> None:
        """Connect. ToolError, with what the server said last, when that fails."""
        try:
            await in_thread(load_package)
        except ImportError as error:
            raise ToolError(f"the package mcp does not import: {error}") from error
        if self._stop.is_set():
            raise ToolError(f"{self._name} was closed")
        self._life = self._supervisor.spawn(self._live(), f"mcp {self._spec.name}")
        await asyncio.wait(
            {self._ready, self._life}, timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        if self._ready.done():
            return
        late = not self._life.done()
        await self.close()
        raise self._refused(f"did not answer within {within:g} s" if late else "")

    async def request(self, work: Callable[[Client], Awaitable[T]], within: float) -> T:
        """``work`` with the client. NotRun before it was sent; ToolError when the server refuses,
        ends meanwhile, or answers nonsense; TimeoutError after ``within`` seconds."""
        if self.lost or self._client is None or self._life is None:
            raise NotRun(f"{self._name} is gone")
        attempt = self._supervisor.spawn(self._attempt(work, self._client), "mcp request")
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
            if result is not None:
                return result
        elif not self._life.done():
            raise TimeoutError
        await asyncio.wait({self._life}, timeout=AFTERLIFE)
        raise self._ended()

    async def close(self) -> None:
        """Take leave and end the process with its group. Under two seconds. Idempotent."""
        self._stop.set()
        if self._scope is not None and not self._ready.done():
            self._scope.cancel()
        try:
            if self._life is not None:
                await asyncio.wait({self._life}, timeout=1.7)
            await self._supervisor.close(within=0.1)
        finally:
            if self._process is not None:
                self._process.kill()

    # -- the one task

    async def _live(self) -> None:
        import anyio

        try:
            with anyio.CancelScope() as self._scope:
                async with self._entered() as client:
                    self._client = client
                    if self._tells_changes(client):
                        self._supervisor.spawn(self._listen(client), "mcp changes")
                    self._ready.set_result(None)
                    await self._stop.wait()
                    self._scope.deadline = anyio.current_time() + LEAVE
        except Exception as error:
            self._error = _leaf(error)
        finally:
            self._stop.set()
            if self._process is not None:
                await self._process.end()

    @asynccontextmanager
    async def _entered(self) -> AsyncIterator[Client]:
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client
        from mcp_types import Implementation

        async with AsyncExitStack() as stack:
            if self._mcp.url:
                http = await stack.enter_async_context(self._http())
                transport: Any = streamable_http_client(self._mcp.url, http_client=http)
            else:
                env = {key: value.reveal() for key, value in self._mcp.env.items()}
                self._process = ServerProcess(
                    self._mcp.command, env, self._spec.base, self._supervisor, self._stop.set
                )
                await self._process.start()
                transport = self._process.streams()
            yield await stack.enter_async_context(
                Client(
                    transport,
                    cache=None,
                    message_handler=self._heard,
                    client_info=Implementation(name="rtrun", version=_version()),
                )
            )

    def _http(self) -> httpx2.AsyncClient:
        import httpx2

        # A response may stay silent for as long as its tool works: each call has its own limit.
        return httpx2.AsyncClient(
            headers={key: value.reveal() for key, value in self._mcp.headers.items()},
            timeout=httpx2.Timeout(None, connect=CONNECT),
            event_hooks={"response": [self._answered]},
        )

    async def _answered(self, response: httpx2.Response) -> None:
        self._status = response.status_code if response.status_code >= 400 else None
        if response.status_code == 404 and "mcp-session-id" in response.request.headers:
            self._forgotten = True

    # -- requests

    async def _attempt(
        self, work: Callable[[Client], Awaitable[T]], client: Client
    ) -> tuple[T, None] | tuple[None, Exception | None]:
        """Its result, or why there is none; neither when the connection ended."""
        from mcp import MCPError
        from pydantic import ValidationError

        try:
            return await work(client), None
        except MCPError as error:
            if _is_close(error):
                return None, None
            if self._forgotten:
                self._stop.set()
                return None, NotRun(f"{self._name} was started anew")
            return None, self._tool_error(error.error.message)
        except ValidationError:
            return None, self._tool_error(f"{self._name} gave an answer that is not MCP")
        except RtrunError as error:
            return None, error
        except Exception as error:
            return None, self._tool_error(str(_leaf(error)) or type(error).__name__)

    def _tool_error(self, text: str) -> ToolError:
        if self._status in (401, 403):
            text = f"{self._name} refused us: HTTP {self._status}"
        return ToolError(hide(text))

    # -- changes

    def _tells_changes(self, client: Client) -> bool:
        """Since 2026-07-28 a server tells changes to those who have asked for them."""
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = client.server_capabilities.tools
        told = tools is not None and bool(tools.list_changed)
        return told and client.protocol_version in MODERN_PROTOCOL_VERSIONS

    async def _listen(self, client: Client) -> None:
        from mcp import MCPError
        from mcp.client.subscriptions import SubscriptionLost

        wait = LISTEN_AGAIN
        while not self.lost:
            with suppress(SubscriptionLost):
                try:
                    async with client.listen(tools_list_changed=True) as changes:
                        async for _ in changes:
                            self._on_changed()
                except MCPError as error:
                    log.debug("%s does not tell changes: %s", self._name, error)
                    return
            await asyncio.sleep(wait)
            wait = min(LISTEN_MOST, wait * 2)
            if not self.lost:  # what happened in between was not told
                self._on_changed()

    async def _heard(self, message: Any) -> None:
        """Up to 2025-11-25 changes come unasked."""
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._on_changed()

    # -- words

    @property
    def _name(self) -> str:
        return f"the MCP server '{self._spec.name}'"

    def _refused(self, why: str) -> ToolError:
        """Why it could not be opened, in the server's own words where it has any."""
        if self._mcp.url:
            where = _address(self._mcp.url)
            why = why or (f"HTTP {self._status}" if self._status else _told(self._error))
            hint = ""
            if self._status in (401, 403):
                hint = "set its headers, such as Authorization"
            return ToolError(hide(f"{self._name} at {where} cannot be reached: {why}"), hint)
        if isinstance(self._error, ToolError):  # no such program
            return ToolError(hide(f"{self._name}: {self._error.message}"), self._error.hint)
        return ToolError(hide(f"{self._name} did not start: {self._end(why)}"))

    def _end(self, why: str = "") -> str:
        process = self._process
        if process is None:
            return why or _told(self._error)
        if not why and self._error is not None and not _is_close(self._error):
            why = f"it does not speak MCP: {_told(self._error)}"
        if not why:
            code = process.returncode
            why = "it ended" if code is None else f"it ended with {_code(code)}"
        words = process.last_words()
        return f"{why}: {words}" if words else why

    def _ended(self) -> ToolError:
        if self._process is None:
            told = _told(self._error) if self._error is not None else "the connection was closed"
            return ToolError(hide(f"{self._name} was lost during the call: {told}"))
        return ToolError(hide(f"{self._name} was lost during the call: {self._end()}"))

    def _failed(self, name: str, error: BaseException) -> None:
        log.debug("%s: %s failed: %s", self._name, name, hide(str(error)))


def _version() -> str:
    # The package is loaded, and importing it by name would lead upwards through the house.
    return str(sys.modules["runner"].__version__)


def _code(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _leaf(error: BaseException) -> BaseException:
    """What lies inside groups of errors."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def _is_close(error: BaseException) -> bool:
    from mcp import MCPError
    from mcp_types import CONNECTION_CLOSED

    return isinstance(error, MCPError) and error.error.code == CONNECTION_CLOSED


def _told(error: BaseException | None) -> str:
    if error is None:
        return "the connection was closed"
    return str(error) or type(error).__name__


def _address(url: str) -> str:
    """Without what may be a key: user, password and query."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
