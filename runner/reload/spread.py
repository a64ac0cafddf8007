"""Spread one revision over the calls: the canary first, then the others, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, Literal

from runner.core.events import (
    SessionError,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.desk import Call, Desk
from runner.line import Outcome
from runner.reload.revisions import Version
from runner.tasks import Supervisor

#: session.update sent at once to at most so many calls.
FAN_OUT = 64

State = Literal["applied", "pending", "refused", "gone"]


class Spread:
    """``run()`` is over when every call answered or waits for its turn to end, at the first
    refusal, and at ``stop()``. ``held``: no call was idle, and :meth:`later` gives it to the first
    whose turn ends, and then to the others."""

    def __init__(self, desk: Desk, version: Version, number: int) -> None:
        self._desk = desk
        self._version = version
        self.number = number
        self.refusal: tuple[Call, SettingsRefused] | None = None
        self.held = False
        self._going_back = False
        self.stopped = False
        self._states: dict[str, State] = {}
        self._tasks = Supervisor(self._failed)
        self._waited: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    def stop(self) -> None:
        """A newer revision takes its place: wait for nobody any more."""
        self.stopped = True
        for task in self._waited:
            task.cancel()

    @property
    def over(self) -> bool:
        return self.stopped or self.refusal is not None

    async def run(self) -> None:
        if self._left() and not await self._canary():
            return
        desk, version = self._desk, self._version
        # From here on new calls begin with it, so that none is missed.
        desk.put(version.deployment, version.tools, self.number)
        await self._rest()

    async def later(self) -> None:
        """The rest of a revision that was held. A refusal is told by the call itself."""
        while not self.over and (left := self._left()):
            if not any(self._is_idle(call) for call in left):
                quiet = (call.session.quiet() for call in left)
                await self._wait(quiet, asyncio.FIRST_COMPLETED)
            elif await self._canary():
                break
        if not self.over:
            await self._rest()

    async def back(self) -> None:
        """As the way back: to every call, whatever the others say. Those that refuse it are
        marked."""
        self._going_back = True
        await self._all(self._left())

    def count(self) -> tuple[int, int]:
        """How many calls have it, and how many wait for their turn's end."""
        live = self._desk.live
        have = sum(call.revision >= self.number for call in live)
        return have, sum(not call.degraded for call in live) - have

    # -- the canary ----------------------------------------------------------------------------
    async def _canary(self) -> bool:
        """True when one call has taken it, or none is left to ask. False when it was refused or
        is held."""
        while not self.over and (left := self._left()):
            idle = [call for call in left if self._is_idle(call)]
            if not idle:
                self._hold(left)
                return False
            # The one idle longest, unless it is broken, or its server silent at present.
            canary = min(idle, key=lambda call: (bool(call.degraded), call.asked, call.active))
            await self._all([canary])
            if self._states.get(canary.id) == "applied":
                return True
        return not self.over

    def _is_idle(self, call: Call) -> bool:
        at_once = self._version.deployment.reload.apply == "immediately"
        return call.session.connected and (at_once or not call.session.busy)

    def _hold(self, calls: Iterable[Call]) -> None:
        self.held = True
        for call in calls:
            call.session.emit(SettingsPending(self.number))

    # -- the others ----------------------------------------------------------------------------
    async def _rest(self) -> None:
        while not self.over and (left := self._left()):
            await self._all(left)

    def _left(self) -> list[Call]:
        """The calls that were not given it yet."""
        return [
            call
            for call in self._desk.live
            if call.id not in self._states and call.revision < self.number
        ]

    async def _all(self, calls: Iterable[Call]) -> None:
        waiting = list(calls)
        hands = min(FAN_OUT, len(waiting))
        left = iter(waiting)
        await self._wait((self._give_each(left) for _ in range(hands)), asyncio.ALL_COMPLETED)

    async def _give_each(self, calls: Iterator[Call]) -> None:
        for call in calls:  # an iterator that several share: each call is given once
            if self.over and not self._going_back:
                return  # it goes back everywhere; the others need not see it at all
            await self._give(call)

    async def _give(self, call: Call) -> None:
        if not call.session.connected:
            # Its next line begins with it: nobody else waits for that.
            call.session.emit(SettingsPending(self.number))
            self._tasks.spawn(self._ask(call), "an edit for a call without a line")
            self._states[call.id] = "pending"
            return
        outcome = await self._ask(call)
        match outcome:
            case SettingsApplied():
                self._states[call.id] = "applied"
            case SettingsPending():
                self._states[call.id] = "pending"
            case SettingsRefused() if outcome.code != "disconnected":
                self._states[call.id] = "refused"
                self._refused(call, outcome)
            case _:
                self._states[call.id] = "gone"

    async def _ask(self, call: Call) -> Outcome | None:
        version = self._version
        return await self._desk.give(call, version.deployment, version.tools, self.number)

    def _refused(self, call: Call, event: SettingsRefused) -> None:
        if self._going_back:
            degrade(call, event)
        elif not call.degraded and self.refusal is None:
            self.refusal = (call, event)

    async def _wait(self, work: Iterable[Coroutine[Any, Any, None]], until: str) -> None:
        """Until all of it is done, or the first, or this spread is stopped."""
        self._waited = {self._tasks.spawn(each, "an edit for a call") for each in work}
        try:
            if self._waited:
                await asyncio.wait(self._waited, return_when=until)
        finally:
            for task in self._waited:
                task.cancel()
            self._waited = set()
        if self._error is not None:
            raise self._error

    def _failed(self, name: str, error: BaseException) -> None:
        self._error = error


def degrade(call: Call, event: SettingsRefused) -> None:
    """This call could not be given back what it had. It goes on, and the next revision tries."""
    call.degraded = f"{event.message} ({event.code})"
    words = f"it did not take its old settings back: {call.degraded}"
    call.session.emit(SessionError("degraded", words))
