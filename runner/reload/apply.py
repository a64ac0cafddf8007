"""Apply an edited deployment to the calls that run: one call first, then all, or none.

Every call waits for the server's echo. If one refuses, all go back to what they had, and the
old deployment stays in force. A newer save overtakes one that still waits for turns to end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from runner.config.diff import diff
from runner.config.load import Loaded
from runner.core.events import SettingsApplied, SettingsPending, SettingsRefused
from runner.desk import Call, Desk, session_voice
from runner.errors import ConfigError, NotConnectedError, Problem
from runner.model.deployment import Change, Deployment
from runner.toolbox import Toolbox, load_tools
from runner.tools.base import in_own_thread

#: session.update sent at once to at most so many calls.
FAN_OUT = 64
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
    """Nothing changed; why, with places."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file was saved and says what it said before."""


Outcome = Applied | Rejected | Unchanged
#: One version of the deployment, with its tools imported and the places of its values.
Version = tuple[Deployment, Toolbox, Loaded]
State = Literal["applied", "pending", "refused", "gone"]


class Applier:
    """``load()`` reads and validates the file (ConfigError, InputError)."""

    def __init__(self, desk: Desk, loaded: Loaded, load: Callable[[], Loaded]) -> None:
        self._desk = desk
        self._load = load
        self.loaded = loaded
        #: What to go back to when a call that waits for its turn's end refuses, and those calls.
        self._undo: tuple[Version, frozenset[str]] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def saved(self, first_event: float) -> Outcome:
        """Take what the file says now. ``first_event``: time.monotonic() of the save."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    loaded, tools = await in_own_thread(self._read, {}, "of a saved file")
            except ConfigError as error:
                return Rejected(error.problems)
            except TimeoutError:
                words = f"a tool is still being imported after {READ_SECONDS:.0f} s"
                return Rejected((self.loaded.problem_at("tools", words),))
            return await self._take(loaded, tools, first_event)

    def _read(self) -> tuple[Loaded, Toolbox]:
        # Off the loop: a tool module that takes its time to import must not stop the audio.
        loaded = self._load()
        return loaded, load_tools(loaded, self._desk.tools)

    async def _take(self, loaded: Loaded, tools: Toolbox, first_event: float) -> Outcome:
        desk = self._desk
        changes = diff(desk.deployment, loaded.deployment)
        if not changes:
            self.loaded = loaded
            desk.retire(tools)
            return Unchanged()
        old: Version = (desk.deployment, desk.tools, self.loaded)
        desk.deployment, desk.tools, self.loaded = loaded.deployment, tools, loaded
        desk.revision += 1
        revision = desk.revision
        calls = tuple(desk.calls.values())
        states, refusal = await self._spread(calls, revision)
        if refusal is not None:
            await self._back(old)
            desk.retire(tools)
            return Rejected((self._refused_at(loaded, changes, refusal),))
        desk.retire(old[1])
        waiting = frozenset(id for id, state in states.items() if state == "pending")
        self._undo = (old, waiting) if waiting else None
        live = [state for state in states.values() if state != "gone"]
        return Applied(
            revision=revision,
            changes=changes,
            applied=live.count("applied"),
            pending=live.count("pending"),
            total=len(live),
            ms=(time.monotonic() - first_event) * 1000,
        )

    async def refused_later(self, call: Call, event: SettingsRefused) -> Rejected | None:
        """A call that had waited was refused at last: undo the revision everywhere."""
        if self._undo is None or event.revision != self._desk.revision:
            return None
        old, waiting = self._undo
        if call.id not in waiting:
            return None
        self._undo = None
        new, changes = self.loaded, diff(old[0], self._desk.deployment)
        tools = self._desk.tools
        await self._back(old)
        self._desk.retire(tools)
        return Rejected((self._refused_at(new, changes, event),))

    async def _spread(
        self, calls: Sequence[Call], revision: int
    ) -> tuple[Mapping[str, State], SettingsRefused | None]:
        """The canary, then the rest. Stops at the first refusal."""
        states: dict[str, State] = {}
        refusals: list[SettingsRefused] = []
        room = asyncio.Semaphore(FAN_OUT)

        async def give(call: Call) -> None:
            async with room:
                if refusals:
                    return  # it goes back everywhere; this call need not see it at all
                match await self._give(call, revision):
                    case SettingsApplied():
                        states[call.id] = "applied"
                    case SettingsPending():
                        states[call.id] = "pending"
                    case SettingsRefused(code="disconnected"):
                        states[call.id] = "gone"  # it ended for good: no reason to go back
                    case SettingsRefused() as refused:
                        states[call.id] = "refused"
                        refusals.append(refused)
                    case None:
                        states[call.id] = "gone"

        for canary in calls[:1]:
            await give(canary)
        await asyncio.gather(*(give(call) for call in calls[1:]))
        return states, refusals[0] if refusals else None

    async def _give(
        self, call: Call, revision: int
    ) -> SettingsApplied | SettingsPending | SettingsRefused | None:
        """What the call's server says; None when the call ended meanwhile."""
        deployment = self._desk.deployment
        try:
            return await call.session.reconfigure(
                self._desk.agents(call),
                deployment.session,
                revision,
                own_voice=session_voice(deployment),
                between_turns=deployment.reload.apply == "between_turns",
                silence=deployment.silence,
                guardrails=self._desk.tools.guardrails,
            )
        except (NotConnectedError, asyncio.CancelledError):
            if call.ended.is_set() or not call.session.connected:
                return None
            raise

    async def _back(self, old: Version) -> None:
        """Every call, also one that was opened meanwhile, gets the old version."""
        desk = self._desk
        desk.deployment, desk.tools, self.loaded = old
        desk.revision += 1  # a revision is never used twice, also for the way back
        await asyncio.gather(*(self._give(call, desk.revision) for call in desk.calls.values()))

    def _refused_at(
        self, loaded: Loaded, changes: Sequence[Change], event: SettingsRefused
    ) -> Problem:
        words = f"a running call refused it: {event.message} ({event.code}); nothing was changed"
        return loaded.problem_at(changes[0].path if changes else "", words, "")
