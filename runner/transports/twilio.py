"""A phone call by Twilio Media Streams: its WebSocket on one side, the Realtime API on the other.

Twilio opens a WebSocket to your server (TwiML ``<Connect><Stream url="wss://..."/></Connect>``);
give it to :class:`TwilioRealtimeTransport`. Audio is G.711 mu-law end to end, nothing is
converted. What the phone has heard is known by marks, so a cut answer is truncated where the
caller's ear was.
"""

from __future__ import annotations

from runner.transports.twilio_phone import MULAW, FarSocket, TwilioPhone, far_socket
from runner.transports.websocket import OpenAIRealtimeWebSocket

__all__ = [
    "MULAW",
    "FarSocket",
    "TwilioRealtimeTransport",
    "TwilioRealtimeTransportLayer",
    "far_socket",
]


class TwilioRealtimeTransport(TwilioPhone, OpenAIRealtimeWebSocket):
    """The line to the model is a WebSocket; see :class:`TwilioPhone` for the phone."""


#: The name that it has in the SDK.
TwilioRealtimeTransportLayer = TwilioRealtimeTransport
