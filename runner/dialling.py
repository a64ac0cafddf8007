"""A caller is put through to a telephone: asked for, waited for, and told when it did not come
about."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from runner.core.conversation import Conversation
from runner.core.events import SessionError
from runner.errors import RtrunError
from runner.transports.base import RealtimeTransportLayer

#: Seconds that a transfer may take to be asked for, and until the far end has the caller.
TRANSFER_SECONDS = 10.0
TAKEN_SECONDS = 30.0


class Caller(Protocol):
    """What is needed of the line that the caller is on."""

    conversation: Conversation
    transport: RealtimeTransportLayer
    ending: str
    now: Any

    @property
    def session(self) -> Any: ...

    def run(self, effects: Any) -> None: ...


async def put_through(line: Caller, uri: str) -> None:
    """The far end takes the caller away and closes the line, which ends this task."""
    line.ending = f"put through to {uri}"
    try:
        async with asyncio.timeout(TRANSFER_SECONDS):
            await line.transport.transfer(uri)
        await asyncio.sleep(TAKEN_SECONDS)
        words = "nobody took the call"
    except TimeoutError:
        words = "the service gave no answer"
    except RtrunError as error:
        words = error.message
    line.ending = ""
    line.session.emit(SessionError("transfer_failed", f"{uri}: {words}"))
    line.run(line.conversation.transfer_failed(words, line.now()))
