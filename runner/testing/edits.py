"""Edits in the middle of a test, taken by the running call as those of a saved file are."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from runner.config.diff import summary
from runner.config.load import Loaded
from runner.core.events import SettingsRefused
from runner.desk import Call
from runner.errors import ConfigError, Problem, RtrunError
from runner.model.calltest import TurnSpec
from runner.reload.apply import Applied, Applier, Outcome, Rejected, Unchanged
from runner.testing.stubs import StubbedDesk
from runner.testing.suite import Case, edit_problems


class Edits:
    """The edits of one call, each on top of those before it. ``typed``: text goes in and out."""

    def __init__(self, case: Case, desk: StubbedDesk, loaded: Loaded, typed: bool) -> None:
        self._case = case
        self._typed = typed
        self._made: list[tuple[str, Any]] = []
        self._applier = Applier(desk, loaded, self._read)
        self._refused: dict[int, Rejected | None] = {}
        self._moved = asyncio.Event()

    def _read(self) -> Loaded:
        return self._case.suite.edited(self._made, typed=self._typed)

    def note(self, call: Call) -> None:
        """Something happened in the call that an edit may wait for."""
        self._moved.set()

    async def refused(self, call: Call, event: SettingsRefused) -> None:
        self._refused[event.revision] = await self._applier.refused_later(call, event)
        self._moved.set()

    async def make(self, turn: TurnSpec, call: Call) -> tuple[str, tuple[Problem, ...]]:
        """Make the edit of ``turn`` and wait until the call has it. What happened in words, and
        what is wrong: it was rejected and should not have been, or the other way round."""
        edit = turn.edit or {}
        path = (*turn.path, "edit")
        before = tuple(self._made)
        self._made += edit.items()
        problems: tuple[Problem, ...] = ()
        words = "it changes nothing"
        try:
            async with asyncio.timeout(turn.timeout):
                outcome = await self._outcome(call)
        except TimeoutError:
            problem = f"the edit was not in the call within {turn.timeout:g} s"
            return problem, (self._case.problem(path, problem),)
        except RtrunError as error:
            outcome = Rejected((Problem("", 0, 0, "", error.message, error.hint),))
        match outcome:
            case Rejected():
                self._made[:] = before
                problems = edit_problems(self._case, path, edit, ConfigError(outcome.problems))
                words = "rejected: " + "; ".join(problem.message for problem in problems)
            case Applied():
                words = summary(outcome.changes)
            case Unchanged():
                problems = (self._case.problem(path, "this edit changes nothing"),)
        if not turn.rejected:
            return words, problems
        if isinstance(outcome, Rejected):
            return words, ()
        return words, (self._case.problem(path, "the edit was to be rejected, and was not"),)

    async def _outcome(self, call: Call) -> Outcome:
        outcome = await self._applier.saved(time.monotonic())
        if not isinstance(outcome, Applied) or not outcome.pending:
            return outcome
        # The turn has to end first; then the server takes it, or refuses.
        while call.revision < outcome.revision and not call.ended.is_set():
            if (rejected := self._refused.get(outcome.revision)) is not None:
                return rejected
            self._moved.clear()
            await self._moved.wait()
        return outcome
