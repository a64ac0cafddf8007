"""JavaScript's side of a Worker: bindings, requests, responses and sockets.

``js`` and ``pyodide.ffi`` are there in a Worker alone, so they are imported when they are needed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

#: Messages that wait to be read: 20 ms each, or a page's burst.
MOST_WAITING = 2048


def js() -> Any:
    return import_module("js")


def ffi() -> Any:
    return import_module("pyodide.ffi")


def bindings_of(env: Any) -> Callable[[str], str | None]:
    """The variables and secrets of a Worker, by name."""

    def value(name: str) -> str | None:
        found = getattr(env, name, None)
        return found if isinstance(found, str) else None

    return value


def namespace_of(env: Any, name: str) -> Any:
    """A KV namespace, None when none is bound."""
    found = getattr(env, name, None)
    return found if found is not None and hasattr(found, "get") else None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: ``headers`` by their names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def upgrades(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"


async def asked(request: Any, most: int) -> Asked | None:
    """What ``request`` (a Request of JavaScript, or the SDK's around one) asks; None when its
    body is longer than ``most`` bytes."""
    request = getattr(request, "js_object", request)
    headers = {name.lower(): value for name, value in entries(request.headers)}
    body = b""
    if str(request.method) not in ("GET", "HEAD"):
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > most:
            return None
        buffer = await request.arrayBuffer()
        if int(buffer.byteLength) > most:
            return None
        body = bytes(buffer.to_bytes())
    return Asked(str(request.method), str(request.url), headers, body)


def entries(headers: Any) -> list[tuple[str, str]]:
    """The pairs of a Headers of JavaScript."""
    found = js().Object.fromEntries(headers)
    return [(str(name), str(getattr(found, name))) for name in js().Object.keys(found)]


def response(status: int, text: str = "", kind: str = "text/plain; charset=utf-8") -> Any:
    """A whole answer."""
    headers = {
        "content-type": kind,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    given = {"status": status, "headers": headers}
    return js().Response.new(text, ffi().to_js(given, dict_converter=js().Object.fromEntries))


def switched(socket: Any, protocol: str = "") -> Any:
    """The answer that takes a WebSocket: 101, with the client's end of a pair."""
    given: dict[str, Any] = {"status": 101}
    if protocol:
        given["headers"] = {"Sec-WebSocket-Protocol": protocol}
    init = ffi().to_js(given, dict_converter=js().Object.fromEntries)
    init.webSocket = socket
    return js().Response.new(None, init)


def pair() -> tuple[Any, ServerSocket]:
    """``(the client's end, ours)`` of a new socket; ours is accepted."""
    ends = js().Object.values(js().WebSocketPair.new())
    return ends[0], ServerSocket(ends[1])


class ServerSocket:
    """Our end of a socket that somebody opened to the Worker: a FarSocket."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._messages: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = False
        heard = {"message": self._on_message, "close": self._on_close, "error": self._on_close}
        self._proxies = {name: ffi().create_proxy(function) for name, function in heard.items()}
        for name, proxy in self._proxies.items():
            socket.addEventListener(name, proxy)
        socket.accept()

    async def send(self, text: str) -> None:
        self.send_now(text)

    def send_now(self, text: str) -> None:
        """Nothing when it is closed: who reads is told of it."""
        if not self._ended:
            try:
                self._socket.send(text)
            except ffi().JsException:
                self._end()

    async def receive(self) -> str:
        """The next message; EOFError when no more come."""
        message = None if self._ended and self._messages.empty() else await self._messages.get()
        if message is None:
            raise EOFError("the socket was closed")
        return message

    def put_back(self, read: list[str]) -> None:
        """What was read only to see who is there comes first again."""
        rest = [self._messages.get_nowait() for _ in range(self._messages.qsize())]
        for message in (*read, *rest):
            self._messages.put_nowait(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._ended:
            self._end()
            with contextlib.suppress(ffi().JsException):
                self._socket.close(code, reason[:60])

    def _on_message(self, event: Any) -> None:
        data = event.data
        if self._messages.qsize() >= MOST_WAITING:
            return  # whoever floods us is not heard whole
        self._messages.put_nowait(data if isinstance(data, str) else "")

    def _on_close(self, event: Any) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._messages.put_nowait(None)
            # Not within the call of the proxy itself, which is still needed to return.
            asyncio.get_running_loop().call_soon(self._release)

    def _release(self) -> None:
        proxies, self._proxies = self._proxies, {}
        for name, proxy in proxies.items():
            self._socket.removeEventListener(name, proxy)
            proxy.destroy()
