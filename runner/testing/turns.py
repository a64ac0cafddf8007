"""The turns of one test: what the caller does, when a turn is over, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from runner.desk import Call
from runner.errors import NotConnectedError, Problem, RtrunError
from runner.model.calltest import TURN_SECONDS, Expect, TurnSpec
from runner.testing.caller import Ear, Speaks
from runner.testing.diary import Diary
from runner.testing.edits import Edits
from runner.testing.expect import unmet
from runner.testing.judge import NO_JUDGE
from runner.testing.stage import Stage
from runner.testing.suite import Case

#: Nobody has said or done anything for so long: the turn is over.
QUIET_TYPED, QUIET_SPOKEN = 0.1, 0.4
POLL = 0.01


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is spoken in a turn: PCM16 at 24 kHz, of which the last ``tail`` seconds are still."""

    pcm: bytes
    tail: float


class Stop(Exception):
    """The test goes no further; what is wrong stands in its failures."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a turn ended. ``begins`` counts the entries before it; ``asked`` is when the caller's
    words ended, ``mark`` what had been heard of the agent when they began; ``trouble`` why it is
    not over as it should be; ``cut``: the next turn cuts it off."""

    turn: TurnSpec
    begins: int
    asked: float
    mark: int
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
        mouth: Speaks | None,
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
        #: How much had been heard of the agent when the turn began.
        self._mark = 0
        self.failures: list[Problem] = []
        self.skipped: list[Problem] = []

    @property
    def _speaks(self) -> bool:
        return len(self._diary.outputs) > self._mark

    async def run(self, sounds: Mapping[int, Spoken]) -> None:
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
            ended = await self._turn(turn, sounds.get(index), begins, later is not None)
            if owed is not None:  # what was cut off is told of once the caller has spoken
                await self._look_at(owed)
            owed = ended if ended.cut and not ended.trouble else None
            if owed is None:
                await self._look_at(ended)
            begins = len(self._diary.entries)

    async def _greeting(self, turn: TurnSpec) -> None:
        began = quiet = self._loop.time()
        seconds = max(turn.timeout, TURN_SECONDS)  # a short one is meant for answers
        while not self._ear.over.is_set():
            now = self._loop.time()
            quiet = now if self._ear.busy else quiet
            if now - quiet >= self._quiet:
                return
            if now - began > (seconds if self._session.connected else turn.timeout):
                words = f"the greeting was not over within {seconds:g} s"
                self._fail(turn.path, self._lost(turn) or words)
                raise Stop
            await asyncio.sleep(POLL)

    async def _turn(self, turn: TurnSpec, spoken: Spoken | None, begins: int, cut: bool) -> _Ended:
        before = self._ear.turns
        tail = 0.0
        try:
            if turn.interrupt_after is not None:
                await self._cut_in(turn)
                before = self._ear.turns
            self._mark = len(self._diary.outputs)
            if turn.edit is not None:
                await self._edit(turn)
            elif turn.silence is not None:
                await self._say_nothing(turn.silence)
            elif spoken is not None and self._mouth is not None:
                tail = spoken.tail
                self._mouth.speak(spoken.pcm)
                await self._mouth.finish()
            else:
                self._diary.typed(turn.text)
                self._session.send_message(turn.text)
        except NotConnectedError:
            trouble = f"the call had ended: {self._call.reason}"
            return _Ended(turn, begins, self._loop.time(), self._mark, trouble)
        now = self._loop.time()
        trouble = await self._over(turn, before, now + turn.timeout, cut)
        return _Ended(turn, begins, now - tail, self._mark, trouble, cut)

    async def _cut_in(self, turn: TurnSpec) -> None:
        """Wait until the agent speaks, and so long more."""
        assert turn.interrupt_after is not None
        ends = self._loop.time() + turn.timeout
        while not self._speaks and not self._ear.over.is_set():
            if self._loop.time() > ends:
                self._fail(turn.path, "there was nobody to interrupt: the agent did not speak")
                raise Stop
            await asyncio.sleep(POLL)
        await asyncio.sleep(turn.interrupt_after)
        if turn.text:
            self._session.interrupt()

    async def _say_nothing(self, seconds: float) -> None:
        self._diary.add("silence", f"{seconds:g} s")
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
            if cut and self._speaks:
                return ""
            answered = not asks or self._ear.turns > before
            if self._ear.busy or ends or cut or not answered:
                since = now
            elif now - since >= self._quiet:
                return ""
            if now > deadline:
                return self._why(turn, answered, ends, cut)
            await asyncio.sleep(POLL)
        if self._call.lost:
            return f"the line was lost: {self._call.reason}"
        return ""

    def _lost(self, turn: TurnSpec) -> str:
        words = f"the line was lost, and did not come back within {turn.timeout:g} s"
        return "" if self._session.connected else words

    def _why(self, turn: TurnSpec, answered: bool, ends: bool, cut: bool) -> str:
        after = f"within {turn.timeout:g} s"
        if lost := self._lost(turn):
            return lost
        if self._diary.working:
            names = ", ".join(dict.fromkeys(self._diary.working.values()))
            return f"the turn was not over {after}: {names} is still at work"
        if ends and answered and not self._ear.busy:
            return ""  # the expectation itself says that the call did not end
        if cut:
            return f"the agent said nothing {after} that the next turn could cut off"
        return f"the turn was not over {after}" if answered else f"no answer came {after}"

    # -- what came of it ---------------------------------------------------------------------
    async def _look_at(self, ended: _Ended) -> None:
        turn = ended.turn
        happened = self._diary.entries[ended.begins :]
        for one in unmet(turn, happened, self._diary.answered(ended.asked, ended.mark)):
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
