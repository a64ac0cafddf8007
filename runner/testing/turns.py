"""The turns of one test: what the caller does, when a turn is over, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from runner.desk import Call
from runner.errors import NotConnectedError, Problem, RtrunError
from runner.model.calltest import Expect, TurnSpec
from runner.testing.caller import Ear, Mouth
from runner.testing.diary import Diary
from runner.testing.edits import Edits
from runner.testing.expect import unmet
from runner.testing.judge import NO_JUDGE
from runner.testing.stage import Stage
from runner.testing.suite import Case

#: Nobody has said or done anything for so long: the turn is over.
QUIET_TYPED, QUIET_SPOKEN = 0.1, 0.4
POLL = 0.01


class Stop(Exception):
    """The test goes no further; what is wrong stands in its failures."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a turn ended. ``begins`` counts the entries before it; ``answered_in`` is seconds from
    the end of the caller's words to the first of the agent, None without any; ``trouble`` why it
    is not over as it should be; ``cut``: the next turn cuts it off."""

    turn: TurnSpec
    begins: int
    answered_in: float | None
    trouble: str = ""
    cut: bool = False


class Turns:
    """Plays the turns of ``case`` on ``call``. ``mouth`` is there when somebody speaks."""

    def __init__(
        self,
        case: Case,
        stage: Stage,
        call: Call,
        ear: Ear,
        mouth: Mouth | None,
        diary: Diary,
        edits: Edits,
    ) -> None:
        self._case = case
        self._stage = stage
        self._call = call
        self._session = call.session
        self._ear = ear
        self._mouth = mouth
        self._diary = diary
        self._edits = edits
        self._loop = asyncio.get_running_loop()
        self._quiet = QUIET_TYPED if mouth is None else QUIET_SPOKEN
        self.failures: list[Problem] = []
        self.skipped: list[Problem] = []

    async def run(self, sounds: Mapping[int, bytes]) -> None:
        """All turns, or until one fails: Stop. ``sounds`` are what is spoken, by number."""
        turns = self._case.test.turns
        begins = 0
        if turns[0].interrupt_after is None:
            await self._greeting(turns[0])
            # A silence at the beginning listens to the greeting.
            begins = 0 if turns[0].silence is not None else len(self._diary.entries)
        owed: _Ended | None = None
        for index, turn in enumerate(turns):
            later = turns[index + 1].interrupt_after if index + 1 < len(turns) else None
            ended = await self._turn(turn, sounds.get(index), begins, cut=later is not None)
            if owed is not None:  # what was cut off is told of once the caller has spoken
                await self._look_at(owed)
            owed = ended if ended.cut and not ended.trouble else None
            if owed is None:
                await self._look_at(ended)
            begins = len(self._diary.entries)

    async def _greeting(self, turn: TurnSpec) -> None:
        began = self._loop.time()
        quiet = began
        while not self._ear.over.is_set():
            now = self._loop.time()
            quiet = now if self._ear.busy else quiet
            if now - quiet >= self._quiet:
                return
            if now - began > turn.timeout:
                self._fail(turn.path, f"the greeting was not over after {turn.timeout:g} s")
                raise Stop
            await asyncio.sleep(POLL)

    async def _turn(self, turn: TurnSpec, sound: bytes | None, begins: int, cut: bool) -> _Ended:
        before = self._ear.turns
        try:
            if turn.interrupt_after is not None:
                await self._cut_in(turn)
                before = self._ear.turns
            if turn.edit is not None:
                await self._edit(turn)
            elif turn.silence is not None:
                await self._say_nothing(turn.silence)
            elif sound is not None and self._mouth is not None:
                self._mouth.speak(sound)
                await self._mouth.finish()
            else:
                self._diary.typed(turn.text)
                self._diary.first_output = None
                self._session.send_message(turn.text)
        except NotConnectedError:
            return _Ended(turn, begins, None, f"the call had ended: {self._call.reason}")
        asked = self._loop.time()
        if sound is not None:
            self._diary.first_output = None
        trouble = await self._over(turn, before, asked + turn.timeout, cut)
        first = self._diary.first_output
        return _Ended(turn, begins, None if first is None else first - asked, trouble, cut)

    async def _cut_in(self, turn: TurnSpec) -> None:
        """Wait until the agent speaks, and so long more."""
        assert turn.interrupt_after is not None
        ends = self._loop.time() + turn.timeout
        while self._diary.first_output is None and not self._ear.over.is_set():
            if self._loop.time() > ends:
                self._fail(turn.path, "there was nobody to interrupt: the agent did not speak")
                raise Stop
            await asyncio.sleep(POLL)
        await asyncio.sleep(turn.interrupt_after)
        if turn.text:
            self._session.interrupt()

    async def _say_nothing(self, seconds: float) -> None:
        self._diary.add("silence", f"{seconds:g} s")
        self._diary.first_output = None
        try:
            async with asyncio.timeout(seconds):
                await self._ear.over.wait()
        except TimeoutError:
            return

    async def _edit(self, turn: TurnSpec) -> None:
        words, problems = await self._edits.make(turn, self._call)
        self._diary.add("edit", words)
        if problems:
            self.failures += problems
            raise Stop

    async def _over(self, turn: TurnSpec, before: int, deadline: float, cut: bool) -> str:
        """Return when the turn is over; why it is not, once it should be."""
        asks = turn.edit is None and turn.silence is None
        ends = any(expect.kind == "ends" for expect in turn.expects)
        since = self._loop.time()
        while not self._ear.over.is_set():
            now = self._loop.time()
            if cut and self._diary.first_output is not None:
                return ""
            answered = not asks or self._ear.turns > before
            if self._ear.busy or ends or cut or not answered:
                since = now
            elif now - since >= self._quiet:
                return ""
            if now > deadline:
                return self._why(turn, answered, ends)
            await asyncio.sleep(POLL)
        if self._call.lost:
            return f"the line was lost: {self._call.reason}"
        return ""

    def _why(self, turn: TurnSpec, answered: bool, ends: bool) -> str:
        after = f"within {turn.timeout:g} s"
        if not self._session.connected:
            return f"the line was lost, and did not come back {after}"
        if self._diary.working:
            names = ", ".join(dict.fromkeys(self._diary.working.values()))
            return f"the turn was not over {after}: {names} is still at work"
        if ends and answered and not self._ear.busy:
            return ""  # the expectation itself says that the call did not end
        return f"the turn was not over {after}" if answered else f"no answer came {after}"

    # -- what came of it ---------------------------------------------------------------------
    async def _look_at(self, ended: _Ended) -> None:
        turn = ended.turn
        happened = self._diary.entries[ended.begins :]
        for one in unmet(turn, happened, ended.answered_in):
            self._fail(one.expect.path, one.words)
        if ended.trouble:
            self._fail(turn.path, ended.trouble)
        if not self.failures:
            for expect in turn.expects:
                if expect.kind == "judge":
                    await self._ask(expect, ended.begins)
        if self.failures:
            raise Stop

    async def _ask(self, expect: Expect, begins: int) -> None:
        judge = self._stage.judge
        if judge is None:
            self.skipped.append(self._case.problem(expect.path, NO_JUDGE))
            return
        try:
            yes, words = await judge.ask(expect.words, self._diary.entries[begins:])
        except RtrunError as error:
            self._fail(expect.path, error.message)
            return
        if not yes:
            self._fail(expect.path, f"the judge says: {words or 'nothing'}")

    def _fail(self, path: tuple[str | int, ...], words: str) -> None:
        self.failures.append(self._case.problem(path, words))
