"""`on_failure:`: nobody is left alone on the line when the service fails.

A caller without a line for three seconds is told so while another one is still tried for, and a
call that the service ends, refuses or cannot go on with ends with these words. They are spoken by
the voice on this machine: there is no other then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from runner.call import Call, Listener
from runner.core.events import (
    AgentEnd,
    Connection,
    Reconnected,
    SessionError,
    SessionEvent,
    Transcript,
)
from runner.errors import RtrunError
from runner.model.deployment import Deployment
from runner.tasks import Supervisor
from runner.voice import Clip

#: Seconds without a line after which the caller is told.
SILENT_SECONDS = 3.0
#: Answers in a row that the service fails to make until it counts as broken.
FAILED_ANSWERS = 2
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

    def prepare(self, call: Call) -> None:
        """A call begins: the words are made, so that they are there when they are needed."""
        if self._words and call.sink is not None and not _typed(call):
            self._tasks.spawn(self._prepare(call), "the words of on_failure")

    def heard(self, call: Call, event: SessionEvent) -> None:
        """Every event of every call that is on the line, before anybody else hears it."""
        match event:
            case AgentEnd():
                call.failed = call.failed + 1 if event.status == "failed" else 0
                if call.failed >= FAILED_ANSWERS:
                    self._give_up(call, "it makes no answers")
            case SessionError() if event.fatal:
                self._give_up(call, event.message)
            case Reconnected():
                call.away = call.excused = False
            case Connection() if event.status == "reconnecting" and not call.away:
                call.away = True
                if self._words and (call.sink is not None or not self._rings):
                    self._tasks.spawn(self._silence(call), f"silence on {call.id}")

    def _give_up(self, call: Call, why: str) -> None:
        if self._deployment().on_failure and not call.lost:
            call.lost = True
            call.reason = f"the service failed: {why}"
            self._tasks.spawn(call.session.close(call.reason), f"failure of {call.id}")

    async def _silence(self, call: Call) -> None:
        await asyncio.sleep(SILENT_SECONDS)
        if call.away and call.reason is None:
            await self._say(call)

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

    async def _say(self, call: Call) -> None:
        """Once each time that the caller is left alone."""
        if call.excused:
            return
        call.excused, words = True, self._words
        self._listener(call, Transcript("assistant", ITEM, words))
        if call.sink is not None and not _typed(call):
            with contextlib.suppress(RtrunError):  # told when the words were to be made
                await self._clip.play(words, call.sink, call.ear)

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
