"""The Realtime API over a WebSocket, on ``websockets.asyncio``.

One frame travels from the socket to the application in one synchronous call: the connection
class takes frames where websockets would queue them.

URL and header rules: OpenAI Realtime GA, `wss://api.openai.com/v1/realtime?model=M`, or
`?call_id=` to attach to a call; `Authorization: Bearer`, no `OpenAI-Beta` header.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.protocol import State

from runner.codec import b64encode, dumps
from runner.errors import ConnectError, NotConnectedError
from runner.transports.base import ApiKey
from runner.transports.connection import MAX_MESSAGE, Connect, Connection
from runner.transports.messages import MessageLine
from runner.transports.wire import (
    is_loopback,
    refusal,
    shown_address,
    words_of,
)

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 0.5
#: A dead link is found in at most interval + timeout + close: 4.5 s.
PING_SECONDS = 2.0
DEAD_SECONDS = 2 * PING_SECONDS + CLOSE_SECONDS
#: The caller's audio that may wait in us; older audio is dropped, since late speech is noise.
SEND_QUEUE_MS = 400.0
#: Bytes that asyncio may hold before our own queue fills: about 300 ms of PCM16 as base64.
WRITE_BUFFER = 24_000
#: What asyncio holds before it makes writers wait. Never reached: our own queue fills first. The
#: library's ping would wait too, and a dead link with a full buffer would never be found.
NEVER_PAUSE = 1 << 30


#: Bytes that asyncio asks the socket for at a time. Its own 256 KiB come from the system and go
#: back to it for each message, a quarter of all that receiving one costs.
READ_AT_ONCE = 64 * 1024


class OpenAIRealtimeWebSocket(MessageLine):
    """A session's line over WebSocket, or, by itself, a thin client.

    ``url`` overrides the service's address (``ws://`` or ``wss://``); ``connect`` adds the
    model. Audio in and out is bytes in the session's formats: PCM16 mono little-endian at
    24 kHz by default, or G.711.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(url=url, api_key=api_key, model=model)
        self._connection: Connection | None = None
        #: The newest connection: the only one that has us for its owner.
        self._newest: Connection | None = None
        self._waiting: deque[tuple[str, float]] = deque()
        self._waiting_ms = 0.0
        #: Milliseconds of the caller's audio dropped since the link was too slow.
        self.dropped_ms = 0.0
        self._drain: asyncio.TimerHandle | None = None

    # -- connecting ------------------------------------------------------------------------
    def _let_go(self) -> None:
        super()._let_go()
        newest, self._newest = self._newest, None
        if newest is not None:
            newest.owner = None

    async def _open(self, address: str, headers: dict[str, str]) -> Connection:
        host = urlsplit(address).hostname or ""
        extra: dict[str, Any] = {"proxy": None} if is_loopback(host) else {}
        shown = shown_address(address)
        try:
            connection = await Connect(
                address,
                create_connection=self._connection_made,  # type: ignore[arg-type]  # a factory will do
                additional_headers=headers,
                user_agent_header="rtrun",
                open_timeout=CONNECT_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=PING_SECONDS,
                ping_timeout=PING_SECONDS,
                max_size=MAX_MESSAGE,
                compression=None,  # base64 audio does not shrink, and deflate costs 10 us a frame
                write_limit=NEVER_PAUSE,
                **extra,
            )
        except InvalidStatus as refused:
            answer = refused.response
            raise refusal(shown, answer.status_code, bytes(answer.body or b"")) from None
        except InvalidURI as bad:
            raise ConnectError(f"{shown} is not a WebSocket address", str(bad)) from None
        except TimeoutError:
            raise ConnectError(
                f"{shown} did not answer within {CONNECT_SECONDS:.0f} s",
                "check the address and the network",
            ) from None
        except (OSError, InvalidHandshake, WebSocketException) as error:
            raise ConnectError(
                f"cannot reach {shown}: {words_of(error)}",
                "is the engine running there?" if is_loopback(host) else "check the network",
            ) from None
        assert isinstance(connection, Connection)
        if hasattr(connection.transport, "max_size"):
            connection.transport.max_size = READ_AT_ONCE
        return connection

    def _connection_made(self, *args: Any, **kwargs: Any) -> Connection:
        connection = self._newest = Connection(*args, **kwargs)
        connection.owner = self
        return connection

    async def _hang_up(self, connection: Connection, at_once: bool = False) -> None:
        try:
            if not at_once:
                async with asyncio.timeout(CLOSE_SECONDS * 2):
                    await connection.close()
        except TimeoutError:
            at_once = True
        if at_once:
            connection.transport.abort()

    def gone(self, code: int | None, reason: str | None) -> None:
        connection = self._connection
        dead = connection is not None and connection.unanswered
        self.deaf_seconds = DEAD_SECONDS if dead else 0.0
        super().gone(code, reason)

    # -- sending ---------------------------------------------------------------------------
    def send_event(self, event: Mapping[str, Any]) -> None:
        """Write one client event now, behind audio that still waits."""
        if self._waiting:
            self._pump(everything=True)
        # A lone surrogate, typed in another encoding, is no reason to lose the line.
        self._write(dumps(event).encode("utf-8", "replace"))

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """The caller's audio. NotConnectedError before connect() and after the end; on a slow
        link the oldest is dropped, and all of it while the other side closes the line."""
        connection = self._require()
        if connection.protocol.state is not State.OPEN:
            return
        if not self._muted and data:
            text = f'{{"type":"input_audio_buffer.append","audio":"{b64encode(data)}"}}'
            if not self._waiting and connection.transport.get_write_buffer_size() < WRITE_BUFFER:
                self._write(text.encode())
            else:
                self._hold(text, len(data) / self._input_bytes_per_ms)
        if commit:
            self.send_event({"type": "input_audio_buffer.commit"})

    def _hold(self, text: str, ms: float) -> None:
        self._waiting.append((text, ms))
        self._waiting_ms += ms
        while self._waiting_ms > SEND_QUEUE_MS and len(self._waiting) > 1:
            _, old = self._waiting.popleft()
            self._waiting_ms -= old
            self.dropped_ms += old
        if self._drain is None:
            self._drain = asyncio.get_running_loop().call_later(0.02, self._pump)

    def _pump(self, everything: bool = False) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        connection = self._connection
        if connection is None or connection.protocol.state is not State.OPEN:
            self._forget()
            return
        while self._waiting and (
            everything or connection.transport.get_write_buffer_size() < WRITE_BUFFER
        ):
            text, ms = self._waiting.popleft()
            self._waiting_ms -= ms
            self._write(text.encode())
        if self._waiting:
            self._drain = asyncio.get_running_loop().call_later(0.02, self._pump)

    def _write(self, data: bytes) -> None:
        connection = self._require()
        protocol = connection.protocol
        if protocol.state is not State.OPEN:
            raise NotConnectedError("the connection is closing")
        protocol.send_text(data)
        connection.send_data()

    def _require(self) -> Connection:
        if self._connection is None:
            self.require_open()
            raise NotConnectedError("the connection is closing")
        return self._connection

    def _forget(self) -> None:
        self._waiting.clear()
        self._waiting_ms = 0.0
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
