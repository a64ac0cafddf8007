"""The local caller of one deployment: microphone, recording, spoken or typed turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runner.cli import reports
from runner.cli.callers import on_terminal, play_wav, say_all, type_all
from runner.cli.screens import Screen
from runner.cli.sound import Sound, open_sound
from runner.desk import Call, Desk
from runner.engines import Engine
from runner.line import audio_format
from runner.model.prices import cost
from runner.model.settings import SessionSettings
from runner.tasks import OnFailure, Supervisor
from runner.testing.caller import Ear, Mouth, Speaks


@dataclass(slots=True)
class Leaving:
    """When and why the process ends: ``asked`` lets each call finish its answer, ``now`` does
    not."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    now: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str = ""

    def ask(self, reason: str) -> None:
        """The first time patiently, the second time at once."""
        if self.asked.is_set():
            self.now.set()
        self.reason = reason
        self.asked.set()

    def at_once(self, reason: str) -> None:
        self.now.set()
        self.reason = reason
        self.asked.set()


class Given(Protocol):
    """The flags that say who the caller is."""

    @property
    def wav(self) -> Path | None: ...
    @property
    def say(self) -> tuple[str, ...]: ...
    @property
    def text(self) -> bool: ...
    @property
    def out(self) -> Path | None: ...
    @property
    def microphone(self) -> str | None: ...
    @property
    def speaker(self) -> str | None: ...
    @property
    def headphones(self) -> bool: ...


class LocalCall:
    """``recording`` is the caller's voice (PCM16, 24 kHz), ``lines`` are typed turns. ``run()``
    gives False when the call did not go well."""

    def __init__(
        self,
        desk: Desk,
        engine: Engine,
        given: Given,
        screen: Screen,
        leaving: Leaving,
        *,
        recording: bytes | None,
        lines: AsyncIterator[str],
        on_failure: OnFailure,
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._given = given
        self._screen = screen
        self._leaving = leaving
        self._recording = recording
        self._lines = lines
        self._tasks = Supervisor(on_failure)

    async def run(self) -> bool:
        given, desk, engine = self._given, self._desk, self._engine
        settings = desk.deployment.session if engine.voice else typed(desk.deployment.session)
        spoken = self._recording is not None or bool(given.say)
        sound = await open_sound(
            audio_format(settings, "output"),
            microphone=not (spoken or given.text) and engine.voice,
            input_device=given.microphone,
            output_device=given.speaker,
            headphones=given.headphones,
            out=given.out,
            warn=self._warn,
        )
        try:
            call = await desk.open(sink=sound.sink, fit=None if engine.voice else typed)
            self._screen.report(reports.SessionStart(call.id, call.session.agent.name))
            return await self._hold(call, sound, spoken)
        finally:
            await self._tasks.close()
            sound.close()

    async def _hold(self, call: Call, sound: Sound, spoken: bool) -> bool:
        leaving, ear, well = self._leaving, Ear(call.session), True
        work = self._tasks.spawn(self._caller(call, ear, sound), "caller")
        asked = self._tasks.spawn(leaving.asked.wait(), "stop")
        ended = self._tasks.spawn(call.ended.wait(), "end of call")
        await asyncio.wait({work, asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.asked.is_set() and not leaving.now.is_set() and not call.ended.is_set():
            # The answer that is being spoken is finished; nobody is cut off in a word.
            work.cancel()
            quiet = self._tasks.spawn(ear.quiet(0.1), "drain")
            now = self._tasks.spawn(leaving.now.wait(), "second signal")
            await asyncio.wait({quiet, now, ended}, return_when=asyncio.FIRST_COMPLETED)
        if call.reason is not None and not leaving.now.is_set():
            # The line is gone, and the caller may be hearing why.
            now = self._tasks.spawn(leaving.now.wait(), "signal")
            await asyncio.wait({now, ended}, return_when=asyncio.FIRST_COMPLETED)
        if call.ended.is_set() and not leaving.now.is_set():
            # A call that the agent ended, or a limit, went well.
            reason = call.reason or "the line closed"
            well = not call.lost
        else:
            reason = leaving.reason or "input ended"
            if spoken and not ear.heard_speech and not leaving.asked.is_set():
                well = False
                what = self._given.wav if self._recording is not None else "what --say said"
                self._warn(f"no speech was heard in {what}")
        await self._desk.hang_up(call, reason)
        self._ended(call, reason, sound)
        return well

    def _ended(self, call: Call, reason: str, sound: Sound) -> None:
        usage, price = spent(call, self._engine)
        self._screen.report(reports.SessionEnd(call.id, reason, usage, price, sound.slips))

    def _mouth(self, call: Call, ear: Ear, sound: Sound) -> Speaks:
        """What a caller who is no person speaks with."""
        fmt = audio_format(call.session.settings, "input")
        mouth = Mouth(call.session, ear, fmt, sound.tape)
        self._tasks.spawn(mouth.run(), "caller's audio")
        return mouth

    async def _caller(self, call: Call, ear: Ear, sound: Sound) -> None:
        given, session = self._given, call.session
        if self._recording is not None or given.say:
            mouth = self._mouth(call, ear, sound)
            if self._recording is not None:
                await play_wav(ear, mouth, self._recording)
            else:
                await say_all(ear, mouth, given.say, sound.local_voice())
        elif sound.headset is not None:
            fmt = audio_format(session.settings, "input")
            await sound.headset.talk(session, ear, fmt, sound.tape, self._screen, self._lines)
        else:
            await type_all(
                session,
                ear,
                self._screen.lines() or self._lines,
                self._screen.prompt,
                interrupts=on_terminal(),
            )

    def _warn(self, text: str) -> None:
        self._screen.report(reports.Warn(text))


def typed(settings: SessionSettings) -> SessionSettings:
    """Settings for an engine without ears and voice: text in, text out."""
    wire = {key: value for key, value in settings.wire.items() if key != "audio"}
    return SessionSettings({**wire, "output_modalities": ["text"]})


def spent(call: Call, engine: Engine) -> tuple[Mapping[str, int] | None, float | None]:
    """Tokens of a call and their price in US dollars, each None when it is not known. OpenAI's
    list prices hold for OpenAI's service alone."""
    usage = call.session.usage
    if not (usage.get("input_tokens") or usage.get("output_tokens")):
        return None, None
    return usage, cost(call.session.model, usage) if engine.address.openai else None
