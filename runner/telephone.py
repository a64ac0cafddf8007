"""What a session can do with the call that it holds: put it through, and end it."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

from runner.core.events import SessionError
from runner.errors import RtrunError
from runner.subscriptions import Subscriptions

if TYPE_CHECKING:
    from runner.line import Line

#: The longest that the far end is waited for at the end of a call.
HANG_UP_SECONDS = 6.0


class Telephone(Subscriptions):
    _line: Line | None
    #: Gets all that the caller says, as it comes: a tape.
    tape: Callable[[bytes], None] | None = None

    @abstractmethod
    def _need(self) -> Line:
        """The line. NotConnectedError."""

    @abstractmethod
    async def close(self, reason: str = "closed") -> None:
        """Let go of the call."""

    def overhear(self, data: bytes) -> None:
        """The caller's audio, before anything is done with it; what is muted is nobody's."""
        line = self._line
        if self.tape is not None and data and line is not None and not line.transport.muted:
            self.tape(data)

    def hang_up(self, reason: str = "hung up") -> None:
        """End the call when what is being said has been played out."""
        line = self._need()
        line.run(line.conversation.hang_up(line.now(), reason))

    def transfer(self, uri: str, *, at_once: bool = False) -> None:
        """Put the caller of a phone call through to ``uri`` (tel:+15551230100, sip:desk@host)
        when what is being said has been played out. A ``transfer`` event tells when it is asked
        for, and a second one when it failed: the agent then goes on with the caller. ``at_once``
        waits for nothing, not even for a line to the model that is being renewed."""
        line = self._need()
        line.run(line.conversation.transfer(uri, line.now(), at_once=at_once))

    async def end(self, reason: str = "hung up") -> None:
        """End the call now: hang up a phone, and close. :meth:`close` alone lets go of a phone
        call without ending it. Idempotent."""
        line = self._line
        if line is None:
            return
        line.ending = line.ending or reason
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                await line.transport.hang_up()
        except (RtrunError, TimeoutError) as error:
            words = error.message if isinstance(error, RtrunError) else "no answer"
            self.emit(SessionError("hang_up_failed", f"the phone was not hung up: {words}"))
        await self.close(reason)
