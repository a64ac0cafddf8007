"""One test: a fresh call, its turns one after the other, and what came of each."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any

from runner.core.events import Connection, SessionEvent, SettingsRefused, ToolApproval
from runner.desk import Call
from runner.errors import (
    AudioFileError,
    ConfigError,
    ModelBehaviorError,
    NotConnectedError,
    Problem,
    RtrunError,
)
from runner.line import audio_format
from runner.media.wav import read_wav
from runner.model.calltest import TurnSpec
from runner.model.deployment import Deployment
from runner.tasks import Supervisor, in_thread
from runner.testing.acoustics import RATE, tail, through
from runner.testing.caller import Ear, Mouth, Speaks
from runner.testing.diary import OVER, Diary
from runner.testing.edits import Edits
from runner.testing.record import Log
from runner.testing.report import Outcome, Report
from runner.testing.rerun import RecordedTransport
from runner.testing.stage import Phone, Stage
from runner.testing.stubs import StubbedDesk
from runner.testing.suite import Case
from runner.testing.turns import Spoken, Stop, Turns
from runner.toolbox import load_tools
from runner.tools.base import in_own_thread
from runner.transports.base import RealtimeTransportLayer
from runner.transports.registry import create


async def play(case: Case, stage: Stage) -> Report:
    """Hold the conversation and report. Nothing that an agent, a tool or an engine does is
    raised; cancelling ends the call."""
    began = time.monotonic()
    acted = _Play(case, stage)
    outcome: Outcome = "passed"
    try:
        await acted.run()
    except Stop:
        outcome = "failed"
    except RtrunError as error:
        outcome = "error"
        acted.failures += _problems(case, error)
    finally:
        await acted.close()
    if outcome == "passed" and stage.strict and acted.skipped:
        outcome, acted.failures = "failed", list(acted.skipped)
    return Report(
        *_whose(case),
        outcome=outcome,
        seconds=time.monotonic() - began,
        failures=tuple(acted.failures),
        skipped=tuple(acted.skipped),
        entries=tuple(acted.diary.entries),
    )


def refused(case: Case, error: RtrunError) -> Report:
    """The report of a test that could not be begun."""
    problems = tuple(_problems(case, error))
    return Report(*_whose(case), outcome="error", seconds=0.0, failures=problems)


def _whose(case: Case) -> tuple[str, str, str, int]:
    place = case.tree.place(case.test.path)
    deployment = case.suite.loaded.deployment.name
    return deployment, case.test.name, place.source.name, place.line


def _problems(case: Case, error: RtrunError) -> Sequence[Problem]:
    if isinstance(error, ConfigError):
        return error.problems
    return (case.problem((*case.test.path, "name"), error.message, error.hint),)


class _Play:
    def __init__(self, case: Case, stage: Stage) -> None:
        self._case = case
        self._stage = stage
        self._test = case.test
        self._loop = asyncio.get_running_loop()
        self.diary = Diary(self._loop.time)
        self.failures: list[Problem] = []
        self.skipped: list[Problem] = []
        self._tasks = Supervisor(lambda name, error: self.diary.add("error", f"{name}: {error!r}"))
        self._desk: StubbedDesk | None = None
        self._edits: Edits | None = None
        self._call: Call | None = None
        self._log: Log | None = None
        self._phone: Phone | None = None

    # -- the call ----------------------------------------------------------------------------
    async def run(self) -> None:
        test, stage = self._test, self._stage
        if test.spoken and stage.voice is None:
            words = f"this test is spoken, and the engine hears nothing: {stage.why_no_voice}"
            raise RtrunError(words)
        sounds = await self._sounds()
        typed = not stage.sounds(test)
        loaded = self._case.suite.edited((), typed=typed)
        tools = await in_own_thread(load_tools, {"loaded": loaded}, "of a test")
        desk = self._desk = StubbedDesk(
            loaded.deployment, tools, stage.address, self._heard,
            stubs=test.stubs, recorded=stage.recorded,
        )  # fmt: skip
        self._edits = Edits(self._case, desk, loaded, typed)
        about = {"id": "call_" + secrets.token_hex(8), **stage.about}
        if test.caller:
            about["from"] = test.caller
        started = stage.started or datetime.now().astimezone()
        if stage.record is not None:
            told = {
                "deployment": loaded.deployment.name,
                "test": test.name,
                "sounds": not typed,
                "started": started.isoformat(),
                "about": about,
            }
            self._log = Log(stage.record, told, stage.warn)
        if stage.telephone is not None:
            self._phone = stage.telephone(desk, test.caller)
            call = self._call = await self._phone.ring()
        else:
            line = stage.transport or _line(loaded.deployment)
            call = self._call = await desk.open(transport=line, about=about, started=started)
        ear = Ear(call.session)
        mouth = self._mouth(call, ear, typed)
        turns = Turns(self._case, stage, call, ear, mouth, self.diary, self._edits)
        turns.failures, turns.skipped = self.failures, self.skipped
        await self._with_record(turns.run(sounds))

    async def _with_record(self, turns: Coroutine[Any, Any, None]) -> None:
        """Play the turns; in a replay, until the session sends something else than it did."""
        line = self._stage.transport
        if not isinstance(line, RecordedTransport):
            await turns
            return
        played = self._tasks.spawn(_stopped(turns), "the turns")
        broken = self._tasks.spawn(line.broken.wait(), "the record")
        await asyncio.wait({played, broken}, return_when=asyncio.FIRST_COMPLETED)
        stopped = played.done() and played.result()
        if not stopped:
            line.leftover()
        if line.differs is not None:
            path = (*self._test.path, "name")
            self.failures.insert(0, self._case.problem(path, str(line.differs)))
        if self.failures:
            raise Stop

    def _mouth(self, call: Call, ear: Ear, typed: bool) -> Speaks | None:
        if self._phone is not None or typed:
            return self._phone
        mouth = Mouth(call.session, ear, audio_format(call.session.settings, "input"), None)
        self._tasks.spawn(mouth.run(), "the caller's audio")
        return mouth

    def _heard(self, call: Call, event: SessionEvent) -> None:
        match event:
            case Connection(status="connecting") if self._log is not None:
                self._log.attach(call.session)
            case SettingsRefused() if self._edits is not None:
                self._tasks.spawn(self._edits.refused(call, event), "a refused edit")
            case ToolApproval(asks="operator"):
                self._loop.call_soon(self._decide, call, event)
        self.diary.note(event)
        if self._edits is not None:
            self._edits.note(call)

    def _decide(self, call: Call, event: ToolApproval) -> None:
        with contextlib.suppress(NotConnectedError, ModelBehaviorError):
            if self._test.operator == "approve":
                call.session.approve(event)
            else:
                call.session.reject(event)

    async def close(self) -> None:
        if self._call is not None and self._desk is not None:
            await self._desk.hang_up(self._call, OVER)
        if self._desk is not None:
            await self._desk.close()
        if self._phone is not None:
            await self._phone.close()
        await self._tasks.close()
        if self._log is not None:
            self._log.close()

    async def _sounds(self) -> dict[int, Spoken]:
        """What is spoken in each turn, made before the call: a voice takes its time."""
        out: dict[int, Spoken] = {}
        say = self._stage.voice() if self._stage.voice and self._test.spoken else None
        for index, turn in enumerate(self._test.turns):
            if turn.wav:
                try:
                    wav = await in_thread(read_wav, turn.wav, RATE)
                except AudioFileError as error:
                    path = (*turn.path, "caller", "wav")
                    self.failures.append(self._case.problem(path, error.message, error.hint))
                    raise Stop from None
                pcm = wav.pcm16
            elif turn.say and say is not None:
                pcm = b"".join([part async for part in say(turn.say)])
            else:
                continue
            out[index] = await in_thread(_arriving, pcm, turn)
        return out


def _line(deployment: Deployment) -> RealtimeTransportLayer | None:
    """None for the deployment's own. By WebRTC the server plays, at real time: a conversation is
    of what is said, takes less time over a WebSocket, and is recorded whole there."""
    return create("websocket") if deployment.transport.type == "webrtc" else None


def _arriving(pcm: bytes, turn: TurnSpec) -> Spoken:
    return Spoken(through(pcm, noise=turn.noise, telephone=turn.telephone), tail(pcm))


async def _stopped(turns: Coroutine[Any, Any, None]) -> bool:
    """True when a turn failed."""
    try:
        await turns
    except Stop:
        return True
    return False
