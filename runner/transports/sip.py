"""A phone call that the service has taken, followed over a WebSocket by its call id.

The caller's audio and the agent's run between the service and the phone; over this line go events
alone. The service accepts a call with a session object (``POST /v1/realtime/calls/{id}/accept``,
OpenAI Realtime GA), which :meth:`OpenAIRealtimeSIP.build_initial_config` makes of an agent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.errors import CallOver, ConnectError, NotConnectedError, UserError
from runner.model.legacy import wire_settings
from runner.model.settings import DEFAULT_MODEL, SESSION_KEYS, SessionSettings
from runner.transports.base import ApiKey, Closed, ConnectOptions, Playback, given_key
from runner.transports.phonecalls import PhoneCalls
from runner.transports.websocket import OpenAIRealtimeWebSocket
from runner.transports.wire import without_formats as formatless

#: Fields of the turn detection that the service does not take for a phone call.
_REFUSED = ("threshold", "prefix_padding_ms", "silence_duration_ms")


class OpenAIRealtimeSIP(OpenAIRealtimeWebSocket):
    """Attach to a call: ``connect(call_id=...)``. The service plays and cuts by itself."""

    playback: Playback = "server"

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
        calls: PhoneCalls | None = None,
    ) -> None:
        super().__init__(url=url, api_key=api_key, model=model)
        #: By which the call is put through and hung up; made of what connect() was given.
        self._calls = calls
        self._own_calls: PhoneCalls | None = None
        self._target: ConnectOptions | None = None

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
        """As the WebSocket's. UserError without a call id, CallOver when that call is not there
        any more."""
        asked = options or ConnectOptions(None, url, model, call_id)
        if not asked.call_id:
            raise UserError("there is no call to attach to", "give connect() its call_id")
        key = await given_key(api_key or asked.api_key or self._api_key)
        self._target = replace(asked, api_key=key, url=asked.url or self._url)
        try:
            await super().connect(
                options,
                api_key=key,
                url=url,
                model=model,
                call_id=call_id,
                initial_session_config=initial_session_config,
            )
        except ConnectError as error:
            if error.status == 404:
                raise CallOver() from None
            raise

    def lost(self, closed: Closed) -> None:
        """The service closes the line when the caller has hung up; any other end is an accident,
        and the next connect() tells whether the call is still there."""
        if closed.code == 1000:
            closed = replace(closed, reason=CallOver().message, over=True)
        super().lost(closed)

    async def alive(self) -> bool:
        """Is the call still there? Asked by a second connection, which is closed at once: an open
        line alone proves nothing. ConnectError when nobody can tell."""
        probe = OpenAIRealtimeSIP()
        try:
            await probe.connect(self._attached())
        except CallOver:
            return False
        finally:
            await probe.close()
        return True

    async def hang_up(self) -> None:
        """End the phone call. One that is over already is no error."""
        with contextlib.suppress(CallOver):
            await self._control().hangup(self._attached().call_id or "")

    async def transfer(self, uri: str) -> None:
        """Put the caller through to ``uri`` by SIP's REFER; the service then ends the call."""
        await self._control().refer(self._attached().call_id or "", uri)

    def _attached(self) -> ConnectOptions:
        if self._target is None:
            raise NotConnectedError("there is no call yet", "await connect() first")
        return self._target

    def _control(self) -> PhoneCalls:
        if self._calls is None:
            call = self._attached()
            self._own_calls = PhoneCalls(call.url, call.api_key, call.headers)
            self._calls = self._own_calls
        return self._calls

    async def close(self) -> None:
        await super().close()
        own, self._own_calls = self._own_calls, None
        if own is not None:
            self._calls = None
            await own.close()

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """UserError: the caller's audio comes from the phone."""
        raise UserError("a SIP call takes no audio from here", "the caller speaks by phone")

    @staticmethod
    async def build_initial_config(
        agent: Any, options: Any = None, overrides: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What ``openai``'s ``realtime.calls.accept(call_id, **config)`` takes: the session object
        of ``agent`` (a RealtimeAgent) with the session's ``options`` (a dict or SessionOptions),
        ``overrides`` of its ``config`` on top. Audio formats are left to the phone, and tracing
        to the session that attaches, unless ``overrides`` or ``config`` name them. UserError
        names each field of the turn detection that a phone call does not take."""
        get = options.get if isinstance(options, Mapping) else lambda key: getattr(options, key)
        model = config = context = own_voice = None
        if options is not None:
            model, config, context, own_voice = map(
                get, ("model", "config", "context", "own_voice")
            )
        over = wire_settings(overrides or {})
        if isinstance(config, SessionSettings):
            settings, named = config.merged(over), _voice(over)
        else:
            given = wire_settings(config or {})
            settings = without_formats(SessionSettings()).merged(given).merged(over)
            named = _voice(given) or _voice(over)
        voice = not (named if own_voice is None else own_voice)
        resolved = await agent.resolve(settings, context, voice=voice)
        wire: dict[str, Any] = dict(resolved.view.settings.wire)
        _require_no_refused(resolved.view.settings)
        wire |= {"type": "realtime", "model": wire.get("model") or model or DEFAULT_MODEL}
        if not wire.get("tools"):
            wire.pop("tools", None)
        own = {key: wire.pop(key) for key in tuple(wire) if key not in SESSION_KEYS}
        return {**wire, "extra_body": own} if own else wire


def without_formats(settings: SessionSettings) -> SessionSettings:
    """``settings`` with the audio's coding left to the phone and its carrier."""
    return SessionSettings(formatless(settings.wire))


def _voice(session: Mapping[str, Any]) -> bool:
    return bool(((session.get("audio") or {}).get("output") or {}).get("voice"))


def _require_no_refused(settings: SessionSettings) -> None:
    detection = settings.get("audio.input.turn_detection")
    found = [key for key in _REFUSED if key in (detection or {})]
    if found:
        raise UserError(
            f"a SIP call takes no turn detection with {', '.join(found)}", "leave them out"
        )
