"""What every line of whole JSON messages does with them, whatever socket they came through."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.codec import dumps, loads
from runner.errors import ConnectError, NotConnectedError, UserError
from runner.model.legacy import wire_settings
from runner.transports.base import (
    ApiKey,
    Closed,
    ConnectOptions,
    RealtimeTransportLayer,
    given_key,
)
from runner.transports.wire import (
    AUDIO,
    AUDIO_TYPE,
    LastDelta,
    audio_lane,
    audio_of,
    realtime_url,
    request_headers,
    shown_address,
)

OPENAI_URL = "wss://api.openai.com/v1/realtime"


class MessageLine(RealtimeTransportLayer, ABC):
    """A transport whose socket hands whole messages to :meth:`message`.

    Audio deltas take a lane of their own that never builds the event as an object, unless
    somebody listens for ``*``. What comes before ``connect()`` has returned waits in ``_early``.
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
        self._connection: Any = None
        #: The connect() on its way; close() ends it.
        self._attempt: asyncio.Timeout | None = None
        self._early: list[bytes] | None = None
        #: How the connection ended while connect() was still on its way.
        self._ended: Closed | None = None
        #: What the newest connect() was asked for, for :meth:`_open`.
        self._asked = ConnectOptions()
        self._input_bytes_per_ms = 48.0
        self._last_delta = LastDelta()

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
        first = (
            None if initial_session_config is None else first_update(initial_session_config, asked)
        )
        self._early, self._ended = [], None
        connection = attempt = None
        try:
            async with asyncio.timeout(None) as attempt:
                self._attempt = attempt
                self.status = "connecting"
                asked = self._asked = replace(asked, api_key=await given_key(key))
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
        if first is not None:
            # Who closes already gets nothing more; what it said is still to be told.
            with contextlib.suppress(NotConnectedError):
                self._write(first)
        early, self._early = self._early or [], None
        for message in early:
            self.message(message)
        if self._ended is not None:
            raise ConnectError(
                f"{shown} took the line and closed it: {self._ended.reason} ({self._ended.code})",
                code=self._ended.code,
            )

    @abstractmethod
    async def _open(self, address: str, headers: dict[str, str]) -> Any:
        """The connection, bounded in time. ConnectError says why there is none."""

    @abstractmethod
    async def _hang_up(self, connection: Any, at_once: bool = False) -> None:
        """End ``connection`` within a second."""

    @abstractmethod
    def _write(self, data: bytes) -> None:
        """Send one message, JSON in UTF-8. NotConnectedError when the line is not open."""

    def _let_go(self) -> None:
        """A connect() on its way, and what it opened, are ours no more."""
        self._attempt = self._early = None

    def _forget(self) -> None:
        """What waits to be sent goes nowhere any more."""

    async def close(self) -> None:
        """Also ends a connect() that is still on its way, which then raises ConnectError."""
        attempt = self._attempt
        connection, self._connection = self._connection, None
        self._let_go()
        if attempt is not None:
            attempt.reschedule(0)
        self.status = "disconnected"
        self._forget()
        if connection is not None:
            await self._hang_up(connection)
        await self.stop_listeners()

    # -- the end ---------------------------------------------------------------------------
    def gone(self, code: int | None, reason: str | None) -> None:
        """The connection ended without our close(); called by the connection."""
        closed = how_it_ended(code, reason)
        if self._early is not None:
            self._ended = closed  # for connect() to raise
            return
        if self.status != "connected" or self._connection is None:
            return
        self._connection = None
        self._forget()
        self.lost(closed)

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


def how_it_ended(code: int | None, reason: str | None) -> Closed:
    """The end of a connection that the other side closed, or that broke (no code)."""
    number = code or 1006
    clean = number in (1000, 1001)
    return Closed(
        reason or ("the server closed the line" if clean else "the connection broke"), number, clean
    )


def first_update(config: Mapping[str, Any], options: ConnectOptions) -> bytes:
    """The first ``session.update`` of a thin client, ``config`` in the wire's shape or the SDK's.
    UserError when it cannot be sent."""
    session = wire_settings(config, model=options.model)
    try:
        return dumps({"type": "session.update", "session": session}).encode("utf-8", "replace")
    except (TypeError, ValueError) as error:
        raise UserError(f"initial_session_config is no JSON: {error}") from None
