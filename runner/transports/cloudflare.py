"""The Realtime API from a Cloudflare Worker in Python: a WebSocket opened by ``fetch``.

The WebSocket constructor of workerd cannot carry an Authorization header. A ``fetch`` with an
``Upgrade`` header can: the answer, status 101, holds the socket as ``response.webSocket``, which
begins to hand out messages when it is accepted (Cloudflare Workers, WebSockets). Runs wherever
Pyodide has such a ``fetch``: workerd, or Node.js with miniflare's. Standard library alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from runner.codec import dumps
from runner.errors import ConnectError, NotConnectedError, UserError
from runner.transports.base import ApiKey
from runner.transports.messages import MessageLine
from runner.transports.wire import refusal, shown_address

CONNECT_SECONDS = 10.0
_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class CloudflareRealtimeTransport(MessageLine):
    """A session's line from a Worker, or, by itself, a thin client.

    ``url`` is ``wss://...`` or ``https://...``; ``fetch`` the JavaScript function to open it
    with, the Worker's own when left out. A Worker's socket tells nobody how much waits in it, so
    audio on a slow link is not dropped here.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
        fetch: Any = None,
    ) -> None:
        super().__init__(url=url, api_key=api_key, model=model)
        self._fetch = fetch
        self._connection: _Socket | None = None

    async def _open(self, address: str, headers: dict[str, str]) -> _Socket:
        shown = shown_address(address)
        js, ffi = _javascript()
        parts = urlsplit(address)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not parts.netloc:
            raise ConnectError(f"{shown} is not a WebSocket address", "it begins with wss://")
        asked = {
            "method": "GET",
            "headers": {
                **headers,
                "Sec-WebSocket-Protocol": "realtime",
                "Connection": "Upgrade",
                "Upgrade": "websocket",
            },
        }
        stop = js.AbortController.new()
        request = ffi.to_js(asked, dict_converter=js.Object.fromEntries)
        request.signal = stop.signal
        fetch = js.fetch if self._fetch is None else self._fetch
        opened = None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                answer = await fetch(urlunsplit(parts._replace(scheme=scheme)), request)
                socket = getattr(answer, "webSocket", None)
                if not socket:  # undefined, or a null of JavaScript
                    body = str(await answer.text())
                    raise refusal(shown, int(answer.status), body.encode())
                opened = _Socket(socket, ffi, self.message, self._gone)
                return opened
        except TimeoutError:
            raise ConnectError(
                f"{shown} did not answer within {CONNECT_SECONDS:.0f} s",
                "check the address and the network",
            ) from None
        except ffi.JsException as error:
            raise ConnectError(
                f"cannot reach {shown}: {error}", "check the address and the network"
            ) from None
        finally:
            if opened is None:
                stop.abort()

    async def _hang_up(self, connection: _Socket, at_once: bool = False) -> None:
        connection.close()
        # A turn of the loop, in which what was sent before goes out.
        await asyncio.sleep(0)

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Write one client event now."""
        self._write(dumps(event).encode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        if self._connection is None:
            self.require_open()
            raise NotConnectedError("the connection is closing")
        self._connection.send(data.decode())

    def _gone(self, socket: _Socket, code: int | None, reason: str | None) -> None:
        if self._early is not None or self._connection is socket:
            self.gone(code, reason)


#: The name that it has in the SDK.
CloudflareRealtimeTransportLayer = CloudflareRealtimeTransport


class _Socket:
    """An accepted socket, and the proxies by which JavaScript calls us: kept as long as it may,
    destroyed when the line is gone. Raises what ``accept()`` raises."""

    def __init__(
        self,
        socket: Any,
        ffi: Any,
        message: Callable[[bytes], None],
        gone: Callable[[_Socket, int | None, str | None], None],
    ) -> None:
        self._socket = socket
        self._refused = ffi.JsException
        self._message = message
        self._gone = gone
        heard = {"message": self._on_message, "close": self._on_close, "error": self._on_error}
        self._proxies = {name: ffi.create_proxy(function) for name, function in heard.items()}
        # Before accept(): what comes with it must find somebody who listens.
        for name, proxy in self._proxies.items():
            socket.addEventListener(name, proxy)
        try:
            socket.accept()
        except BaseException:
            self._release()
            raise

    def send(self, text: str) -> None:
        try:
            self._socket.send(text)
        except self._refused:
            raise NotConnectedError("the connection is closing") from None

    def close(self) -> None:
        self._release()
        with contextlib.suppress(self._refused):  # it is closed already
            self._socket.close(1000, "")

    def _release(self) -> None:
        proxies, self._proxies = self._proxies, {}
        for name, proxy in proxies.items():
            self._socket.removeEventListener(name, proxy)
            proxy.destroy()

    def _on_message(self, event: Any) -> None:
        data = event.data
        self._message(data.encode() if isinstance(data, str) else data.to_bytes())

    def _on_close(self, event: Any) -> None:
        self._end(int(event.code), str(event.reason or ""))

    def _on_error(self, event: Any) -> None:
        self._end(None, str(getattr(event, "message", "") or ""))

    def _end(self, code: int | None, reason: str) -> None:
        if self._proxies:
            # Not within the call of the proxy itself, which is still needed to return.
            asyncio.get_running_loop().call_soon(self._release)
            self._gone(self, code, reason)


def _javascript() -> tuple[Any, Any]:
    """The modules of Pyodide: JavaScript's globals, and what passes between the two."""
    try:
        return import_module("js"), import_module("pyodide.ffi")
    except ImportError:
        raise UserError(
            "this transport runs in a Cloudflare Worker, or in Pyodide: it needs their fetch",
            "elsewhere use transport websocket",
        ) from None
