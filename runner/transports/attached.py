"""The half of a phone call's line that knows the phone, whichever socket leads to the service.

Standard library alone: a Worker has it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runner.errors import CallOver, ConnectError, NotConnectedError, UserError
from runner.model.phone import REFUSED_DETECTION
from runner.model.settings import SessionSettings
from runner.transports.base import ApiKey, Closed, ConnectOptions, Playback, given_key
from runner.transports.messages import MessageLine
from runner.transports.wire import without_formats as formatless


class AttachedCall(MessageLine):
    """To stand before a line to the service among the bases of a class: the call is attached to
    by its id, and the service plays and cuts by itself."""

    playback: Playback = "server"

    _target: ConnectOptions | None = None

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
        """As the line's. UserError without a call id, CallOver when that call is not there
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

    def _attached(self) -> ConnectOptions:
        """What the newest connect() was asked for, with its key."""
        if self._target is None:
            raise NotConnectedError("there is no call yet", "await connect() first")
        return self._target

    def lost(self, closed: Closed) -> None:
        """The service closes the line when the caller has hung up; any other end is an accident,
        and the next connect() tells whether the call is still there."""
        if closed.code == 1000:
            closed = replace(closed, reason=CallOver().message, over=True)
        super().lost(closed)

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """UserError: the caller's audio comes from the phone."""
        raise UserError("a SIP call takes no audio from here", "the caller speaks by phone")


def without_formats(settings: SessionSettings) -> SessionSettings:
    """``settings`` with the audio's coding left to the phone and its carrier."""
    return SessionSettings(formatless(settings.wire))


def for_a_phone(settings: SessionSettings) -> SessionSettings:
    """``settings`` without anything that the service does not take for a phone call: for a
    deployment that has other lines as well."""
    wire = formatless(settings.wire)
    listening = (wire.get("audio") or {}).get("input") or {}
    detection: Mapping[str, Any] | None = listening.get("turn_detection")
    if detection:
        kept = {key: value for key, value in detection.items() if key not in REFUSED_DETECTION}
        wire["audio"] = {**wire["audio"], "input": {**listening, "turn_detection": kept}}
    return SessionSettings(wire)
