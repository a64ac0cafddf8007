"""A phone call that the service has taken, followed over a WebSocket by its call id.

The caller's audio and the agent's run between the service and the phone; over this line go events
alone. The service accepts a call with a session object (``POST /v1/realtime/calls/{id}/accept``,
OpenAI Realtime GA), which :meth:`OpenAIRealtimeSIP.build_initial_config` makes of an agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import UserError
from runner.model.legacy import wire_settings
from runner.model.settings import DEFAULT_MODEL, SESSION_KEYS, SessionSettings
from runner.transports.base import ApiKey, ConnectOptions, Playback
from runner.transports.websocket import OpenAIRealtimeWebSocket

#: Fields of the turn detection that the service does not take for a phone call.
_REFUSED = ("threshold", "prefix_padding_ms", "silence_duration_ms")


class OpenAIRealtimeSIP(OpenAIRealtimeWebSocket):
    """Attach to a call: ``connect(call_id=...)``. The service plays and cuts by itself."""

    playback: Playback = "server"

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
        """As the WebSocket's. UserError without a call id."""
        if not (call_id if options is None else options.call_id):
            raise UserError("there is no call to attach to", "give connect() its call_id")
        await super().connect(
            options,
            api_key=api_key,
            url=url,
            model=model,
            call_id=call_id,
            initial_session_config=initial_session_config,
        )

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
            settings = _without_formats().merged(given).merged(over)
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


def _without_formats() -> SessionSettings:
    wire = dict(SessionSettings().wire)
    wire["audio"] = {
        side: {key: value for key, value in part.items() if key != "format"}
        for side, part in wire["audio"].items()
    }
    return SessionSettings(wire)


def _voice(session: Mapping[str, Any]) -> bool:
    return bool(((session.get("audio") or {}).get("output") or {}).get("voice"))


def _require_no_refused(settings: SessionSettings) -> None:
    detection = settings.get("audio.input.turn_detection")
    found = [key for key in _REFUSED if key in (detection or {})]
    if found:
        raise UserError(
            f"a SIP call takes no turn detection with {', '.join(found)}", "leave them out"
        )
