"""A transport whose other end is a script: what a session does is written down and held against
what the test expects, what the server says is what the test emits.

It has no timers: an expectation is met or fails the moment a call comes, and when no call can
come any more, it fails at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from runner.errors import ConnectError, NotConnectedError, UserError
from runner.model.legacy import wire_settings
from runner.model.settings import merge
from runner.testing import server
from runner.testing.calls import METHODS, Call, Expectation, Ledger, Matcher, ScriptError
from runner.testing.scenario import play
from runner.transports.base import (
    ApiKey,
    Closed,
    ConnectOptions,
    Playback,
    RealtimeTransportLayer,
    given_key,
    plain_copy,
)
from runner.transports.wire import AUDIO, audio_of

T = TypeVar("T")


class ScriptedTransport(RealtimeTransportLayer):
    """A line to nobody. Give it to a session as ``transport``, or use it alone.

    ``playback`` as in the base (with ``transport``, ``heard`` is what was heard of each item, in
    milliseconds). ``sends_session``: the first session object goes with connect(), as WebRTC and
    SIP do it.
    """

    def __init__(self, *, playback: Playback = "client", sends_session: bool = False) -> None:
        super().__init__()
        self.playback = playback
        self.sends_session = sends_session
        self.heard: dict[str, float] = {}
        self._ledger = Ledger()
        self._failures: dict[str, deque[BaseException]] = {}
        #: The connect() that has not returned yet.
        self._attempt: object | None = None
        self._early: list[dict[str, Any]] = []
        self._ended: Closed | None = None
        #: What the server's session holds, for ``accept`` and ``take_update``.
        self._session: dict[str, Any] = {"id": "sess_1", "object": "realtime.session"}

    # -- what the code under test calls --------------------------------------------------------
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
        """As :class:`OpenAIRealtimeWebSocket` takes it; a close() or disconnect() before it has
        returned is a ConnectError."""
        if self.status != "disconnected":
            raise ConnectError(f"already {self.status}", "close() first, or use another transport")
        asked = options or ConnectOptions(None, url, model, call_id)
        first = None
        if initial_session_config is not None:
            first = wire_settings(initial_session_config, model=asked.model)
        failure = self._failure("connect")
        attempt = self._attempt = object()
        self._early, self._ended = [], None
        try:
            self.status = "connecting"
            key = await given_key(api_key or asked.api_key)
            self._ledger.record("connect", **_fields(replace(asked, api_key=key)))
            await self._on_its_way(attempt)
            if failure is not None:
                raise failure
            self.status = "connected"
            await self._on_its_way(attempt)
        except BaseException:
            if self._attempt is attempt:
                self._attempt = None
                self.status = "disconnected"
            raise
        self._attempt = None
        if first is not None:
            self.send_event({"type": "session.update", "session": first})
        early, self._early = self._early, []
        self.emit(*early)

    async def _on_its_way(self, attempt: object) -> None:
        """Let others run, who may think better of it."""
        if self._attempt is attempt:
            await asyncio.sleep(0)
        if self._attempt is not attempt:
            if self._ended is not None:
                raise ConnectError(self._ended.reason, code=self._ended.code)
            raise ConnectError("closed while it was connecting")

    def send_event(self, event: Mapping[str, Any]) -> None:
        self.require_open()
        self._called("send_event", event=dict(event))

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """Recorded as one call; without its audio while muted."""
        self.require_open()
        if self._muted:
            data = b""
        if data or commit:
            self._called("send_audio", data=bytes(data), commit=commit)

    def flush(self) -> None:
        self._called("flush")

    def mute(self, muted: bool) -> None:
        self._called("mute", muted=muted)
        super().mute(muted)

    def heard_ms(self, item_id: str) -> float | None:
        return self.heard.get(item_id)

    async def close(self) -> None:
        failure = self._failure("close")
        if self.status != "disconnected":
            self._ledger.record("close")
            if failure is None or self._attempt is not None:
                self._attempt = None
                self.status = "disconnected"
        if failure is not None:
            raise failure
        await self.stop_listeners()

    def _called(self, method: str, **values: Any) -> None:
        failure = self._failure(method)
        self._ledger.record(method, **values)
        if failure is not None:
            raise failure

    def _failure(self, method: str) -> BaseException | None:
        waiting = self._failures.get(method)
        return waiting.popleft() if waiting else None

    # -- what the test expects -------------------------------------------------------------
    @property
    def calls(self) -> tuple[Call, ...]:
        """All calls so far, in order."""
        return tuple(self._ledger.calls)

    @property
    def sent(self) -> tuple[dict[str, Any], ...]:
        """The client events so far."""
        return tuple(call.event for call in self._ledger.calls if call.method == "send_event")

    def expect(self, method: str, matcher: Matcher | None = None) -> Expectation:
        """The next call is this one; await it for the :class:`Call`. Calls are held against
        expectations in order, also those that came before. ScriptError at the ``await`` when it
        is another, or does not match; what a matcher raises comes as it is."""
        return self._ledger.expect(method, matcher)

    def expect_event(self, kind: str, **fields: Any) -> Expectation:
        """The next call sends this client event, with at least these fields."""
        return self.expect("send_event", {"type": kind, **fields})

    def fail_next(self, method: str, error: BaseException) -> None:
        """The next call of this method raises ``error``, after it was recorded."""
        if method not in METHODS:
            raise UserError(
                f"a transport has no call {method!r} to fail", f"it has {', '.join(METHODS)}"
            )
        self._failures.setdefault(method, deque()).append(error)

    # -- what the server does ------------------------------------------------------------------
    def emit(self, *events: Mapping[str, Any]) -> None:
        """The server says this, now. NotConnectedError when the line is not open; while
        connect() is on its way it waits for it, as on a real line."""
        for given in events:
            event = plain_copy(dict(given))
            if self._attempt is not None:
                self._early.append(event)
                continue
            self.require_open()
            if event.get("type") == AUDIO:
                lane = audio_of(event, event.get("delta"))
                if lane is None:
                    raise UserError("an audio delta lacks a field, or its audio is no base64")
                self.tell(event)
                self.deliver_audio(*lane)
            else:
                self.deliver(event)

    def disconnect(
        self,
        reason: str = "the connection broke",
        *,
        code: int = 1006,
        clean: bool = False,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """The line is lost. ``error`` is the body of the error event that the server sends
        before. NotConnectedError when there is no line."""
        if self.status == "disconnected":
            raise NotConnectedError("there is no line to lose", "expect('connect') first")
        if error is not None:
            self.emit({"type": "error", "error": dict(error)})
        if self._attempt is not None:
            self._attempt, self._ended = None, Closed(reason, code, clean)
            self.status = "disconnected"
        elif self.status == "connected":
            self.lost(Closed(reason, code, clean))

    async def accept(self) -> dict[str, Any]:
        """Be the server for the beginning: take the connection and the session's first settings,
        and answer with their echo. Returns those settings."""
        await self.expect("connect")
        self.emit(server.session_created(self._session))
        return {} if self.sends_session else await self.take_update()

    async def take_update(self) -> dict[str, Any]:
        """Take the next ``session.update`` and echo it. Returns its session object."""
        session: dict[str, Any] = (await self.expect_event("session.update"))["event"]["session"]
        self._session = merge(self._session, session)
        self.emit(server.session_updated(self._session))
        return session

    # -- the whole -----------------------------------------------------------------------------
    async def run_scenario(
        self,
        exercise: Callable[[ScriptedTransport], Awaitable[T]],
        script: Callable[[ScriptedTransport], Awaitable[object]],
    ) -> T:
        """Run the code under test and the script beside each other; returns what ``exercise``
        returned. When it has ended, whatever the script still expects is a ScriptError. When one
        of them fails the other is cancelled and the failure raised. Cancelling ends both."""
        return await play(self._ledger, lambda: exercise(self), lambda: script(self))

    def assert_complete(self) -> None:
        """ScriptError when an expectation is open or failed unseen, a call was not expected, or
        an error of ``fail_next`` was not used."""
        ledger = self._ledger
        left = [f"expected and never came: {one}" for one in ledger.waiting]
        left += [f"came unexpected: {call} (call {call.index})" for call in ledger.unexpected]
        left += [f"never failed: {m} with {e!r}" for m, es in self._failures.items() for e in es]
        if ledger.unseen is not None:
            left.insert(0, f"failed and never awaited: {ledger.unseen}")
        if left:
            raise ScriptError("the script is not complete", "\n  ".join(left))

    def assert_closed(self) -> None:
        """ScriptError when the line is open or being opened."""
        if self.status != "disconnected":
            raise ScriptError(f"the transport is still {self.status}", "close the session")


def _fields(options: ConnectOptions) -> dict[str, Any]:
    return {
        "api_key": options.api_key,
        "url": options.url,
        "model": options.model,
        "call_id": options.call_id,
        "headers": dict(options.headers),
        "session": dict(options.session),
    }
