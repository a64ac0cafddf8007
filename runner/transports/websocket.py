"""The Realtime API over a WebSocket, on ``websockets.asyncio``.

One frame travels from the socket to the application in one synchronous call: the connection
class below takes frames where websockets would queue them. Audio deltas take a lane of their
own that never builds the event as an object, unless somebody listens for ``*``.

URL and header rules: OpenAI Realtime GA, `wss://api.openai.com/v1/realtime?model=M`, or
`?call_id=` to attach to a call; `Authorization: Bearer`, no `OpenAI-Beta` header.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.protocol import State

from runner.codec import b64encode, dumps, loads
from runner.errors import ConnectError, NotConnectedError, UserError
from runner.model.legacy import wire_settings
from runner.transports.base import (
    ApiKey,
    Closed,
    ConnectOptions,
    RealtimeTransportLayer,
    given_key,
)
from runner.transports.connection import MAX_MESSAGE, Connect, Connection
from runner.transports.wire import (
    AUDIO,
    AUDIO_TYPE,
    LastDelta,
    audio_lane,
    audio_of,
    is_loopback,
    realtime_url,
    refusal,
    request_headers,
    shown_address,
    words_of,
)

OPENAI_URL = "wss://api.openai.com/v1/realtime"

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 0.5
#: A dead link is found in at most interval + timeout + close: 4.5 s.
PING_SECONDS = 2.0
#: The caller's audio that may wait in us; older audio is dropped, since late speech is noise.
SEND_QUEUE_MS = 400.0
#: Bytes that asyncio may hold before our own queue fills: about 300 ms of PCM16 as base64.
WRITE_BUFFER = 24_000
#: What asyncio holds before it makes writers wait. Never reached: our own queue fills first. The
#: library's ping would wait too, and a dead link with a full buffer would never be found.
NEVER_PAUSE = 1 << 30


class OpenAIRealtimeWebSocket(RealtimeTransportLayer):
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
        super().__init__()
        self._url = url
        self._api_key = api_key
        self._model = model
        self._connection: Connection | None = None
        #: The connect() on its way; close() ends it.
        self._attempt: asyncio.Timeout | None = None
        #: The newest connection: the only one that has us for its owner.
        self._newest: Connection | None = None
        self._early: list[bytes] | None = None
        #: How the connection ended while connect() was still on its way.
        self._ended: Closed | None = None
        self._waiting: deque[tuple[str, float]] = deque()
        self._waiting_ms = 0.0
        self._input_bytes_per_ms = 48.0
        self._last_delta = LastDelta()
        #: Milliseconds of the caller's audio dropped since the link was too slow.
        self.dropped_ms = 0.0
        self._drain: asyncio.TimerHandle | None = None

    # -- connecting ------------------------------------------------------------------------
    async def connect(
        self,
        options: ConnectOptions | None = None,
        *,
        api_key: ApiKey | None = None,
        url: str | None = None,
        model: str | None = None,
        call_id: str | None = None,
        initial_session_config: Mapping[str, Any] | None = None,
    ) -> None:
        """Open the line within 10 s. ConnectError says what the server answered.

        ``api_key`` may be a function, asked at each connection. ``url`` and ``model`` stand above
        those of the constructor, and stay for the next time once they have worked. As a thin
        client, ``initial_session_config`` (wire shape, or the SDK's camelCase and legacy flat
        names) is sent as the first ``session.update``; UserError when it cannot be.

        Whatever fails, the line is left as it was before, and the first failure is raised."""
        if self.status != "disconnected":
            raise ConnectError(f"already {self.status}", "close() first, or use another transport")
        asked = options or ConnectOptions(None, url, model, call_id)
        asked = replace(asked, model=asked.model or self._model)
        key = api_key or asked.api_key or self._api_key
        first = None if initial_session_config is None else _update(initial_session_config, asked)
        self._early, self._ended = [], None
        connection = attempt = None
        try:
            async with asyncio.timeout(None) as attempt:
                self._attempt = attempt
                self.status = "connecting"
                asked = replace(asked, api_key=await given_key(key))
                if self._attempt is not attempt:
                    raise TimeoutError  # the key came too late
                address = realtime_url(asked.url or self._url or OPENAI_URL, asked)
                connection = await self._open(address, request_headers(asked))
                if self._attempt is attempt:
                    self._connection = connection
                    self.status = "connected"
                await asyncio.sleep(0)  # whoever is told of it may think better of it
                if self._attempt is not attempt:
                    raise TimeoutError
            self._begin(first, shown_address(address))
            self._attempt = None
        except BaseException as error:
            closed = self._attempt is not attempt
            if not closed:
                self._let_go()
                self._connection = None
                self.status = "disconnected"
            if connection is not None:
                await self._hang_up(connection, at_once=not isinstance(error, Exception))
            if closed and isinstance(error, TimeoutError):
                raise ConnectError("closed while it was connecting") from None
            raise
        self._url, self._model = asked.url or self._url, asked.model

    def _begin(self, first: bytes | None, shown: str) -> None:
        """The first settings go out, and what the server has said before connect() could return
        (session.created) comes in, in order. ConnectError when it has closed the line already."""
        connection = self._require()
        if first is not None and connection.protocol.state is State.OPEN:
            self._write(first)
        early, self._early = self._early or [], None
        for message in early:
            self.message(message)
        if self._ended is not None:
            raise ConnectError(
                f"{shown} took the line and closed it: {self._ended.reason} ({self._ended.code})",
                code=self._ended.code,
            )

    def _let_go(self) -> None:
        self._attempt = self._early = None
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
        return connection

    def _connection_made(self, *args: Any, **kwargs: Any) -> Connection:
        connection = self._newest = Connection(*args, **kwargs)
        connection.owner = self
        return connection

    async def close(self) -> None:
        """Also ends a connect() that is still on its way, which then raises ConnectError."""
        attempt = self._attempt
        connection, self._connection = self._connection, None
        self._let_go()
        if attempt is not None:
            attempt.reschedule(0)
        self.status = "disconnected"
        self._forget_queue()
        if connection is not None:
            await self._hang_up(connection)
        await self.stop_listeners()

    async def _hang_up(self, connection: Connection, at_once: bool = False) -> None:
        try:
            if not at_once:
                async with asyncio.timeout(CLOSE_SECONDS * 2):
                    await connection.close()
        except TimeoutError:
            at_once = True
        if at_once:
            connection.transport.abort()

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
            self._forget_queue()
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

    def _forget_queue(self) -> None:
        self._waiting.clear()
        self._waiting_ms = 0.0
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    # -- receiving -------------------------------------------------------------------------
    def message(self, data: bytes) -> None:
        """One whole message, as it came; called by the connection."""
        if self._early is not None:
            self._early.append(data)
            return
        if data.find(AUDIO_TYPE, 0, 400) >= 0 and not (
            "*" in self._handlers or AUDIO in self._handlers
        ):
            lane = audio_lane(data, self._last_delta)
            if lane is not None:
                self.deliver_audio(*lane)
                return
        try:
            event = loads(data)
        except ValueError:
            self.deliver(
                {
                    "type": "error",
                    "error": {
                        "type": "server_error",
                        "code": "bad_event",
                        "message": "the server sent something that is no JSON",
                    },
                }
            )
            return
        if not isinstance(event, dict):
            return
        kind = event.get("type")
        if kind == AUDIO:
            lane = audio_of(event, event.get("delta"))
            self.call("*", event)  # the lane is read already: whatever they do to the event
            self.call(kind, event)
            if lane is not None:
                self.deliver_audio(*lane)
        elif isinstance(kind, str):  # what has no type is no event
            if kind == "session.updated":
                self._note_format(event)
            self.deliver(event)

    def _note_format(self, event: dict[str, Any]) -> None:
        try:
            kind = event["session"]["audio"]["input"]["format"]["type"]
        except (KeyError, TypeError):
            return
        self._input_bytes_per_ms = 48.0 if kind == "audio/pcm" else 8.0

    def gone(self, code: int | None, reason: str | None) -> None:
        """The connection ended without our close(); called by the connection."""
        number = code or 1006
        clean = number in (1000, 1001)
        words = reason or ("the server closed the line" if clean else "the connection broke")
        closed = Closed(words, number, clean)
        if self._early is not None:
            self._ended = closed  # for connect() to raise
            return
        if self.status != "connected" or self._connection is None:
            return
        self._connection = None
        self._forget_queue()
        self.lost(closed)


def _update(config: Mapping[str, Any], options: ConnectOptions) -> bytes:
    session = wire_settings(config, model=options.model)
    try:
        return dumps({"type": "session.update", "session": session}).encode("utf-8", "replace")
    except (TypeError, ValueError) as error:
        raise UserError(f"initial_session_config is no JSON: {error}") from None
