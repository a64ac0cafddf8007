"""One event of an operator's own to the service, and what the service said to it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from runner.desk import Call

#: Seconds for which the service's answer is waited for. It answers within a round trip, or, to
#: events that have no answer, never.
SECONDS = 1.0

#: Which event of the service says that one of ours was taken (OpenAI Realtime GA).
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "session.update": ("session.updated",),
    "conversation.item.create": ("conversation.item.added", "conversation.item.created"),
    "conversation.item.delete": ("conversation.item.deleted",),
    "conversation.item.truncate": ("conversation.item.truncated",),
    "conversation.item.retrieve": ("conversation.item.retrieved",),
    "input_audio_buffer.commit": ("input_audio_buffer.committed",),
    "input_audio_buffer.clear": ("input_audio_buffer.cleared",),
    "output_audio_buffer.clear": ("output_audio_buffer.cleared",),
    "response.create": ("response.created",),
    "response.cancel": ("response.done",),
}


async def send(
    call: Call, event: Mapping[str, Any], seconds: float = SECONDS
) -> tuple[str, Mapping[str, Any] | None]:
    """Send it behind what the session itself sends. Gives its event_id, and the service's ``error``
    for it, or the first event of the kind that answers it, or None. NotConnectedError."""
    event = {"event_id": "rtrun_" + secrets.token_hex(8), **event}
    event_id = str(event["event_id"])
    transport = call.session.transport
    said: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()

    def answered(came: Mapping[str, Any]) -> None:
        if not said.done():
            said.set_result(came)

    def refused(came: Mapping[str, Any]) -> None:
        error = came.get("error")
        if isinstance(error, Mapping) and error.get("event_id") == event_id:
            answered(came)

    listening = [("error", refused)]
    listening += [(name, answered) for name in ANSWERS.get(str(event["type"]), ())]
    for name, handler in listening:
        transport.on(name, handler)
    try:
        transport.send_event(event)
        async with asyncio.timeout(seconds):
            return event_id, await said
    except TimeoutError:
        return event_id, None
    finally:
        for name, handler in listening:
            transport.off(name, handler)
