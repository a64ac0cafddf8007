"""`on_failure:`: nobody is left alone on the line when the service fails.

A caller without a line for three seconds is told so, or is on the way to somebody else, while
another line is still tried for; and a call that the service ends, refuses or cannot go on with
ends with these words. They are spoken by the voice on this machine: there is no other then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from runner.call import Call, Listener
from runner.core.events import (
    AgentEnd,
    Connection,
    Reconnected,
    SessionError,
    SessionEvent,
    Transcript,
)
from runner.errors import ConnectError, NotConnectedError, RtrunError
from runner.model.deployment import Deployment
from runner.tasks import Supervisor
from runner.voice import Clip

#: Seconds without a line after which the caller is told, or put through.
SILENT_SECONDS = 3.0
#: For a line that was dead when its end was found; most others come back in less.
AT_LEAST_SECONDS = 0.5
#: Seconds that the first line may take: it is known to be bad when nothing has come by then.
CONNECT_SECONDS = 4.0
#: Answers in a row that the service fails to make until it counts as broken.
FAILED_ANSWERS = 2
#: Seconds after which an answer that failed is asked for once more: nobody else breaks the silence.
AGAIN_SECONDS = 1.0
#: Errors that stand in the place of an answer that was asked for.
_NO_ANSWER = frozenset({"rate_limit_exceeded", "server_error", "response_timeout"})
#: The words in the log: whose item they are.
ITEM = "on_failure"


class Excuses:
    """Of one deployment, as ``deployment()`` is now. ``listener`` hears the words too."""

    def __init__(
        self, deployment: Callable[[], Deployment], listener: Listener, tasks: Supervisor
    ) -> None:
        self._deployment = deployment
        self._listener = listener
        self._tasks = tasks
        self._clip = Clip()
        #: How long the first lines of phone calls may take.
        self._limits: dict[Call, asyncio.Timeout] = {}

    def prepare(self, call: Call) -> None:
        """A call begins: the words are made, so that they are there when they are needed."""
        if self._words and call.sink is not None and not _typed(call):
            self._tasks.spawn(self._prepare(call), "the words of on_failure")

    @contextlib.asynccontextmanager
    async def connecting(self, call: Call) -> AsyncIterator[None]:
        """While the first line is opened. ConnectError when a phone's caller, for whom there is
        something else, has waited long enough."""
        try:
            async with asyncio.timeout(None) as self._limits[call]:
                yield
        except TimeoutError:
            words = f"the service gave no line within {CONNECT_SECONDS:.0f} s"
            raise ConnectError(words) from None
        finally:
            self._limits.pop(call, None)
        call.excused = False

    def heard(self, call: Call, event: SessionEvent) -> None:
        """Every event of every call, before anybody else hears it."""
        if not call.opened:
            if isinstance(event, Connection) and event.status == "connecting":
                self._asked(call)
            return
        match event:
            case AgentEnd():
                self._answered(call, event.status != "failed", bool(event.text))
            case SessionError() if event.fatal:
                self._give_up(call, event.message)
            case SessionError() if event.event_id and event.code in _NO_ANSWER:
                self._answered(call, False)
            case Reconnected():
                call.away = call.excused = False
            case Connection() if event.status == "reconnecting" and not call.away:
                call.away = True
                if self._deployment().on_failure:
                    self._tasks.spawn(self._silence(call), f"silence on {call.id}")

    # -- answers -------------------------------------------------------------------------------
    def _answered(self, call: Call, well: bool, spoke: bool = False) -> None:
        call.failed = 0 if well else call.failed + 1
        if call.failed >= FAILED_ANSWERS:
            self._give_up(call, "it makes no answers")
        elif call.failed and not spoke and self._deployment().on_failure:
            self._tasks.spawn(self._again(call), f"another answer for {call.id}")

    async def _again(self, call: Call) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        if call.failed and not (call.lost or call.away or call.session.busy):
            with contextlib.suppress(NotConnectedError):
                call.session.respond()

    def _give_up(self, call: Call, why: str) -> None:
        if self._deployment().on_failure and not call.lost:
            call.lost = True
            call.reason = f"the service failed: {why}"
            self._tasks.spawn(call.session.close(call.reason), f"failure of {call.id}")

    # -- lines ---------------------------------------------------------------------------------
    def _asked(self, call: Call) -> None:
        """The first line is asked for."""
        if not self._deployment().on_failure:
            return
        if self._rings:
            ends = asyncio.get_running_loop().time() + CONNECT_SECONDS
            self._limits[call].reschedule(ends)
        else:
            self._tasks.spawn(self._no_line(call), f"the first line of {call.id}")

    async def _no_line(self, call: Call) -> None:
        await asyncio.sleep(CONNECT_SECONDS)
        if call in self._limits:
            await self._say(call)

    async def _silence(self, call: Call) -> None:
        deaf = call.session.transport.deaf_seconds
        await asyncio.sleep(max(AT_LEAST_SECONDS, SILENT_SECONDS - deaf))
        if not self._alone(call):
            return
        told = await self._say(call)
        if not self._rings:
            return
        uri = self._deployment().on_failure.transfer
        if told and uri:
            await asyncio.sleep(SILENT_SECONDS)
        if self._alone(call):
            if call.attached and uri:
                # Its phone is at the service: a line may still come back while it is asked.
                call.session.transfer(uri, at_once=True)
            elif call.sink is not None and (uri or not told):
                self._give_up(call, "it cannot be reached")

    def _alone(self, call: Call) -> bool:
        return call.away and call.reason is None and not call.ended.is_set()

    # -- the end -------------------------------------------------------------------------------
    def end(self, call: Call) -> None:
        """The call is over; a caller who lost it hears why before it counts as ended."""
        if call.opened and call.lost and self._words and not self._rings:
            self._tasks.spawn(self._last_words(call), f"last words to {call.id}")
        else:
            call.ended.set()

    async def _last_words(self, call: Call) -> None:
        try:
            await self.excuse(call)
        finally:
            call.ended.set()

    async def excuse(self, call: Call) -> None:
        """Say the words to a caller who has lost the call. A phone's carrier does that by itself:
        it still has the line when we do not."""
        if self._words and not self._rings:
            await self._say(call)

    async def _say(self, call: Call) -> bool:
        """Once each time that the caller is left alone. False when nobody could hear it."""
        if call.excused:
            return True
        words = self._words
        if not words or (call.sink is None and self._rings):
            return False
        call.excused = True
        try:
            if self._rings:
                await self._clip.prepare(words)
            self._listener(call, Transcript("assistant", ITEM, words))
            if call.sink is not None and not _typed(call):
                await self._clip.play(words, call.sink, call.ear)
        except RtrunError:  # told when the words were to be made
            call.excused = not self._rings
        return call.excused

    @property
    def _words(self) -> str:
        return self._deployment().on_failure.say

    @property
    def _rings(self) -> bool:
        return self._deployment().transport.rings

    async def _prepare(self, call: Call) -> None:
        try:
            await self._clip.prepare(self._words)
        except RtrunError as error:
            if self._rings:
                return  # in the end the carrier says them
            words = f"on_failure.say cannot be said: {error.message}"
            self._listener(call, SessionError("on_failure", words))


def _typed(call: Call) -> bool:
    modalities: object = call.session.settings.get("output_modalities")
    return modalities == ["text"]
