"""A phone call by Twilio Media Streams: its WebSocket on one side, the Realtime API on the other.

Twilio opens a WebSocket to your server (TwiML ``<Connect><Stream url="wss://..."/></Connect>``);
give it to :class:`TwilioRealtimeTransport`. Audio is G.711 mu-law end to end, nothing is
converted. What the phone has heard is known by marks, so a cut answer is truncated where the
caller's ear was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from runner.errors import CallOver, UserError
from runner.transports.base import ApiKey
from runner.transports.mediastream import INACTIVITY_MS
from runner.transports.twilio_phone import MULAW, FarSocket, TwilioPhone, far_socket
from runner.transports.twilio_rest import API_URL, TwilioCalls
from runner.transports.twiml import dial, twiml
from runner.transports.websocket import OpenAIRealtimeWebSocket

__all__ = [
    "MULAW",
    "FarSocket",
    "TwilioRealtimeTransport",
    "TwilioRealtimeTransportLayer",
    "far_socket",
]


class TwilioRealtimeTransport(TwilioPhone, OpenAIRealtimeWebSocket):
    """The line to the model is a WebSocket; see :class:`TwilioPhone` for the phone.

    With the account's ``auth_token`` the session can hang up and put the caller through, over
    Twilio's REST API at ``api_url``; without it the end of the session only closes the stream,
    and Twilio goes on with the TwiML behind ``<Connect>``. ``after_transfer()`` is a URL that
    Twilio asks, signed, what comes when nobody takes the caller, or they have talked; without it
    the call is then over.
    """

    def __init__(
        self,
        twilio_websocket: Any,
        *,
        url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
        input_audio_inactivity_timeout_ms: float | None = INACTIVITY_MS,
        auth_token: str | None = None,
        api_url: str = API_URL,
        after_transfer: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(
            twilio_websocket,
            url=url,
            api_key=api_key,
            model=model,
            input_audio_inactivity_timeout_ms=input_audio_inactivity_timeout_ms,
        )
        self._calls = TwilioCalls(auth_token, api_url) if auth_token else None
        self._after = after_transfer or (lambda: "")
        #: The account and the call, as the stream's beginning names them.
        self._whose = ("", "")

    async def hang_up(self) -> None:
        """End the phone call, when there is an ``auth_token``. One that is over already is no
        error; ConnectError when Twilio refuses."""
        if self._calls is not None and all(self._whose) and not self._hung_up:
            with contextlib.suppress(CallOver):
                await self._calls.hang_up(*self._whose)

    async def transfer(self, uri: str) -> None:
        """Put the caller through to ``uri`` (tel: or sip:), which ends the stream. UserError
        without ``auth_token``, ConnectError when Twilio refuses."""
        if self._calls is None or not all(self._whose):
            raise UserError("Twilio cannot be asked to put the caller through", "give auth_token=")
        await self._calls.instruct(*self._whose, twiml(dial(uri, self._after())))

    def _started(self, start: Mapping[str, Any]) -> None:
        account, call = start.get("accountSid"), start.get("callSid")
        # The first stream says whose call it is: no later one changes that.
        if not any(self._whose) and isinstance(account, str) and isinstance(call, str):
            self._whose = account, call
        super()._started(start)


#: The name that it has in the SDK.
TwilioRealtimeTransportLayer = TwilioRealtimeTransport
