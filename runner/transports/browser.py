"""A call that a browser made with an offer of its own, followed over a WebSocket by its call id.

The page's sound runs between the service and the browser (WebRTC); over this line go events
alone. OpenAI calls this server-side controls (Realtime GA: "Webhooks and server-side controls").
"""

from __future__ import annotations

from runner.errors import UserError
from runner.transports.sip import OpenAIRealtimeSIP


class OpenAIRealtimeBrowser(OpenAIRealtimeSIP):
    """Attach to a browser's call: ``connect(call_id=...)``, with what the service said in the
    ``Location`` of its answer. It plays and cuts by itself."""

    async def transfer(self, uri: str) -> None:
        """UserError: that takes a telephone."""
        raise UserError("a call from a browser cannot be put through to a telephone")

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """UserError: the caller's audio comes from the browser."""
        raise UserError("a browser's call takes no audio from here", "the caller speaks there")
