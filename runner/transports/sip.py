"""A phone call that the service has taken, followed over a WebSocket by its call id.

The caller's audio and the agent's run between the service and the phone; over this line go events
alone. The service accepts a call with a session object (``POST /v1/realtime/calls/{id}/accept``,
OpenAI Realtime GA), which :meth:`OpenAIRealtimeSIP.build_initial_config` makes of an agent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from runner.errors import CallOver, UserError
from runner.model.legacy import wire_settings
from runner.model.phone import REFUSED_DETECTION
from runner.model.settings import DEFAULT_MODEL, SESSION_KEYS, SessionSettings
from runner.transports.attached import AttachedCall, without_formats
from runner.transports.base import ApiKey, given_key
from runner.transports.phonecalls import PhoneCalls
from runner.transports.websocket import OpenAIRealtimeWebSocket


class OpenAIRealtimeSIP(AttachedCall, OpenAIRealtimeWebSocket):
    """Attach to a call: ``connect(call_id=...)``. The service plays and cuts by itself."""

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

    async def reject(self, call_id: str, status: int = 603) -> None:
        """Refuse a call that rings, in place of :meth:`connect`: ``status`` is SIP's (486 busy, 603
        declined). Needs the key, and the url of another service, that this was made with. CallOver
        when the caller is gone, ConnectError when the service does not do it."""
        if not 400 <= status <= 699:
            raise UserError(f"{status} refuses no call", "SIP has 400 to 699 for that, such as 486")
        calls = self._calls or PhoneCalls(self._url, await given_key(self._api_key))
        try:
            await calls.reject(call_id, status)
        finally:
            if calls is not self._calls:
                await calls.close()

    async def transfer(self, uri: str) -> None:
        """Put the caller through to ``uri`` by SIP's REFER; the service then ends the call."""
        await self._control().refer(self._attached().call_id or "", uri)

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


def _voice(session: Mapping[str, Any]) -> bool:
    return bool(((session.get("audio") or {}).get("output") or {}).get("voice"))


def _require_no_refused(settings: SessionSettings) -> None:
    detection = settings.get("audio.input.turn_detection")
    found = [key for key in REFUSED_DETECTION if key in (detection or {})]
    if found:
        raise UserError(
            f"a SIP call takes no turn detection with {', '.join(found)}", "leave them out"
        )
