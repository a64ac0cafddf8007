"""Apply an edited deployment to the calls that run: one call first, then all, or none.

Every call waits for the server's echo. If one refuses, all go back to what they had, and the
old deployment stays in force. A newer save overtakes a plan that still waits for answers or for
turns to end.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from runner.config.diff import diff
from runner.config.load import Loaded
from runner.core.events import SettingsRefused
from runner.desk import Call, Desk
from runner.errors import ConfigError, Problem
from runner.model.deployment import Change
from runner.reload import snapshot
from runner.reload.plan import Plan, plan
from runner.reload.revisions import Revision, Revisions, Version
from runner.reload.spread import Spread, degrade
from runner.tasks import Supervisor
from runner.toolbox import Toolbox, again
from runner.tools.base import in_own_thread

#: Reading a file takes milliseconds; what takes this long is a tool that hangs at import.
READ_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Applied:
    """A revision is in force. ``applied`` calls have it, ``pending`` ones get it when their turn
    is over; ``ms`` from the first file event to the last answer."""

    revision: int
    changes: tuple[Change, ...]
    applied: int
    pending: int
    total: int
    ms: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing changed; why, with places. ``session`` is the call that refused it, empty when it
    was the file; ``degraded`` are calls that could not be given back what they had."""

    problems: tuple[Problem, ...]
    session: str = ""
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file was saved and says what it said before."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer save came before this one was in force, and every call gets that one."""


Outcome = Applied | Rejected | Unchanged | Superseded


class Applier:
    """``load()`` reads and validates the file (ConfigError, InputError)."""

    def __init__(self, desk: Desk, loaded: Loaded, load: Callable[[], Loaded]) -> None:
        self._desk = desk
        self._load = load
        first = Version(desk.deployment, desk.tools, loaded)
        #: What is in force last, below it what to go back to while a call may still refuse it.
        self._taken: list[Version] = [first]
        self._revisions = Revisions(first)
        self._number = desk.revision
        self._tickets = 0
        #: The newest save that could be read.
        self._newest = 0
        self._one_at_a_time = asyncio.Lock()
        #: The one whose answers are waited for, and the one that waits for a turn's end.
        self._running: Spread | None = None
        self._held: Spread | None = None
        #: A plan was overtaken: calls may have something of it.
        self._mixed = False
        #: Tools of versions that are not in force any more, or never were.
        self._stale: list[Toolbox] = []
        #: The numbers of undone revisions' successors.
        self._ways_back: deque[int] = deque(maxlen=100)
        self._tasks = Supervisor(self._failed)

    @property
    def loaded(self) -> Loaded:
        """The file as it is in force."""
        return self._taken[-1].loaded

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """The last twenty that were taken, the oldest first."""
        return tuple(self._revisions)

    def plan(self, loaded: Loaded) -> Plan:
        """What ``loaded`` would change. Nothing is applied, no tool is imported."""
        in_force = self._taken[-1].deployment
        return plan(diff(in_force, loaded.deployment), in_force, self._desk.calls.values())

    # -- a new version -------------------------------------------------------------------------
    async def saved(self, first_event: float) -> Outcome:
        """Take what the file says now. ``first_event``: time.monotonic() of the save. May be
        called again before it has returned: the newest wins."""
        ticket = self._ticket()
        try:
            async with asyncio.timeout(READ_SECONDS):
                # Off the loop: a tool that takes its time to import must not stop the audio.
                version = await in_own_thread(self._read, {}, "of a saved file")
        except ConfigError as error:
            return Rejected(error.problems)
        except TimeoutError:
            words = f"a tool is still being imported after {READ_SECONDS:.0f} s"
            return Rejected((self.loaded.problem_at("tools", words),))
        return await self._submit(ticket, version, "file", first_event)

    async def back_to(self, number: int) -> Outcome:
        """Put revision ``number`` in force again, as a new one, with the tools it had. UserError
        when it is not kept."""
        old = self._revisions.get(number).version
        tools = again(old.tools, self._desk.tools)
        version = Version(old.deployment, tools, old.loaded)
        return await self._submit(self._ticket(), version, f"back to {number}", time.monotonic())

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets

    def _read(self) -> Version:
        return snapshot.read(self._load, self._desk.tools)

    async def _submit(self, ticket: int, version: Version, how: str, first_event: float) -> Outcome:
        if ticket < self._newest:
            self._stale.append(version.tools)
            return Superseded()
        self._newest = ticket
        if self._running is not None:
            self._running.stop()
        async with self._one_at_a_time:
            if ticket < self._newest:
                self._stale.append(version.tools)
                return Superseded()
            return await self._take(version, how, first_event)

    async def _take(self, version: Version, how: str, first_event: float) -> Outcome:
        desk, old = self._desk, self._taken[-1]
        changes = diff(old.deployment, version.deployment)
        if not changes:
            self._taken[-1] = Version(old.deployment, old.tools, version.loaded)
            self._stale.append(version.tools)
            if self._mixed:
                await self._back()
            self._retire()
            return Unchanged()
        self._drop_proven()
        self._let_go()
        spread = Spread(desk, version, self._next_number())
        await self._run(spread, spread.run())
        if spread.stopped:
            self._mixed = True
            self._stale.append(version.tools)
            return Superseded()
        if spread.refusal is not None:
            call, event = spread.refusal
            return await self._undone(version, changes, call, event)
        self._mixed = False
        self._taken.append(version)
        self._revisions.add(spread.number, changes, how, version)
        desk.put(version.deployment, version.tools, spread.number)
        self._stale.append(old.tools)
        self._retire()
        self._drop_proven()
        if spread.held:
            self._held = spread
            self._tasks.spawn(spread.later(), "the first call whose turn ends")
        applied, pending = spread.count()
        return Applied(
            revision=spread.number,
            changes=changes,
            applied=applied,
            pending=pending,
            total=applied + pending,
            ms=(time.monotonic() - first_event) * 1000,
        )

    # -- the way back ----------------------------------------------------------------------------
    async def refused_later(self, call: Call, event: SettingsRefused) -> Rejected | None:
        """A call that had waited was refused at last: undo the revision everywhere. None for any
        other refusal."""
        if event.code == "disconnected":
            return None
        async with self._one_at_a_time:
            if event.revision in self._ways_back:
                degrade(call, event)
                return None
            self._drop_proven()
            in_force = event.revision == self._desk.revision
            if not in_force or len(self._taken) < 2 or call.degraded:
                return None
            self._let_go()
            version = self._taken.pop()
            changes = diff(self._taken[-1].deployment, version.deployment)
            return await self._undone(version, changes, call, event)

    async def _undone(
        self, version: Version, changes: Iterable[Change], call: Call, event: SettingsRefused
    ) -> Rejected:
        degraded = await self._back()
        self._stale.append(version.tools)
        self._retire()
        words = f"{call.id} refused it: {event.message} ({event.code}); nothing was changed"
        place = next((change.path for change in changes), "")
        problem = version.loaded.problem_at(place, words, "")
        return Rejected((problem,), call.id, degraded)

    async def _back(self) -> tuple[str, ...]:
        """Every call gets what is in force, also one that was opened meanwhile; those that do not
        take it are returned."""
        old = self._taken[-1]
        # A revision is never used twice, also for the way back.
        spread = Spread(self._desk, old, self._next_number())
        self._ways_back.append(spread.number)
        self._revisions.add(spread.number, (), f"back to {self._revisions.number_of(old)}", old)
        self._desk.put(old.deployment, old.tools, spread.number)
        # Not to be stopped: what is half undone is a mixture.
        await spread.back()
        self._mixed = False
        return tuple(call.id for call in self._desk.live if call.degraded)

    async def _run(self, spread: Spread, work: Coroutine[Any, Any, None]) -> None:
        self._running = spread
        try:
            await work
        finally:
            self._running = None

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.stop()
            self._held = None

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _drop_proven(self) -> None:
        """Once every call has what is in force, nothing can undo it any more."""
        number = self._desk.revision
        if all(call.revision >= number or call.degraded for call in self._desk.calls.values()):
            del self._taken[:-1]

    def _retire(self) -> None:
        stale, self._stale = self._stale, []
        for tools in stale:
            self._desk.retire(tools)

    def _failed(self, name: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{name} failed", "exception": error}
        )
