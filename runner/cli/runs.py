"""One run of `rtrun FILE`: engine, desk, watcher, caller and screen wired together."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner.cli import reports
from runner.cli.callers import Ear, Mouth, on_terminal, play_wav, say_all, type_all, typed_lines
from runner.cli.engines import Engine, choose, start
from runner.cli.operators import Operators
from runner.cli.screens import Screen, make_screen
from runner.cli.sound import Sound, open_sound
from runner.config.load import Loaded, files_of, load
from runner.core.events import (
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.desk import Call, Desk
from runner.errors import AudioFileError, InputError, RtrunError, UsageError
from runner.line import audio_format
from runner.media.wav import read_wav
from runner.model.deployment import Change, EngineSpec
from runner.model.prices import cost
from runner.model.settings import SessionSettings
from runner.reload.apply import Applied, Applier, Rejected, Unchanged
from runner.reload.watch import Watcher
from runner.serve.control import Control
from runner.serve.sockets import supported
from runner.tasks import Supervisor
from runner.toolbox import load_tools


@dataclass(frozen=True, slots=True)
class Options:
    """The flags of the command, as given."""

    file: Path
    engine: str | None = None
    wav: Path | None = None
    say: tuple[str, ...] = ()
    text: bool = False
    out: Path | None = None
    microphone: str | None = None
    speaker: str | None = None
    headphones: bool = False
    overrides: tuple[tuple[str, str], ...] = ()
    env: Mapping[str, str] | None = None
    watch: bool = True
    json: bool = False
    log_content: bool = False


class Run:
    """``main()`` returns the exit code."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._env = options.env or {}
        self._began = time.monotonic()
        self._screen: Screen = make_screen(json=options.json, began=self._began)
        self._stop = asyncio.Event()
        self._drain = False
        self._reason = ""
        self._failed = False
        self._engine: Engine | None = None
        self._starting: asyncio.Task[Any] | None = None
        self._desk: Desk | None = None
        self._applier: Applier | None = None
        self._changes: Mapping[int, tuple[Change, ...]] = {}
        self._saved_at: dict[int, float] = {}
        self._sound: Sound | None = None
        self._operators: Operators | None = None
        self._control: Control | None = None
        self._tasks = Supervisor(self._task_failed)

    async def main(self) -> int:
        options = self._options
        loaded = self._load()
        tools = load_tools(loaded)
        recording = self._recording()
        spec = choose(loaded.deployment.engine, options.engine, self._env)
        for problem in loaded.warnings:
            self._warn(problem.headline())
        self._watch_signals()
        try:
            engine = await self._start_engine(spec)
            if engine is None:
                return 0
            if not engine.voice:
                self._needs_no_voice(engine)
            if engine.note:
                self._warn(engine.note)
            desk = Desk(loaded.deployment, tools, engine.address, self._heard)
            self._desk = desk
            self._applier = Applier(desk, loaded, self._load)
            await self._open_control(desk)
            self._screen.report(
                reports.Ready(
                    urls={"engine": engine.address.url} if engine.address.url else {},
                    engine=engine.kind,
                    deployment=loaded.deployment.name,
                )
            )
            if options.watch:
                self._tasks.spawn(self._follow(loaded), "watch")
            await self._call(desk, engine, recording)
        finally:
            await self._end()
        return 1 if self._failed else 0

    async def _open_control(self, desk: Desk) -> None:
        """The door of `rtrun approve`, where there can be one."""
        if not supported():
            return
        self._operators = Operators(desk)
        self._control = Control(self._operators, self._task_failed)
        try:
            await self._control.open()
        except InputError as error:
            self._warn(f"rtrun approve cannot reach this run: {error.message}")

    async def _start_engine(self, spec: EngineSpec) -> Engine | None:
        """None when a signal came while the models were being loaded."""
        self._starting = me = asyncio.current_task()
        try:
            self._engine = await start(spec, self._env, self._warn)
        except asyncio.CancelledError:
            if me is None or not self._stop.is_set():
                raise
            me.uncancel()
        self._starting = None
        return self._engine

    def _load(self) -> Loaded:
        return load(self._options.file, env=self._env, overrides=self._options.overrides)

    # -- the call --------------------------------------------------------------------------
    async def _call(self, desk: Desk, engine: Engine, recording: bytes | None) -> None:
        options = self._options
        settings = desk.deployment.session if engine.voice else typed(desk.deployment.session)
        fmt = audio_format(settings, "output")
        spoken = recording is not None or bool(options.say)
        self._sound = sound = open_sound(
            fmt,
            microphone=not (spoken or options.text) and engine.voice,
            input_device=options.microphone,
            output_device=options.speaker,
            headphones=options.headphones,
            out=options.out,
            warn=self._warn,
        )
        call = await desk.open(sink=sound.sink, settings=None if engine.voice else settings)
        self._screen.report(reports.SessionStart(call.id, call.session.agent.name))
        ear = Ear(call.session)
        work = self._tasks.spawn(self._caller(call, ear, sound, recording), "caller")
        stop = self._tasks.spawn(self._stop.wait(), "stop")
        ended = self._tasks.spawn(call.ended.wait(), "end of call")
        await asyncio.wait({work, stop, ended}, return_when=asyncio.FIRST_COMPLETED)
        if self._drain and not call.ended.is_set():
            # The answer that is being spoken is finished; nobody is cut off in a word.
            work.cancel()
            self._stop.clear()
            quiet = self._tasks.spawn(ear.quiet(0.1), "drain")
            again = self._tasks.spawn(self._stop.wait(), "second signal")
            await asyncio.wait({quiet, again, ended}, return_when=asyncio.FIRST_COMPLETED)
        if call.ended.is_set() and not self._stop.is_set():
            # A call that the agent ended, or a limit, went well.
            self._reason = call.reason or "the line closed"
            self._failed = self._failed or call.lost
        else:
            self._reason = self._reason or "input ended"
            if spoken and not ear.heard_speech and not self._stop.is_set():
                self._failed = True
                what = options.wav if recording is not None else "what --say said"
                self._warn(f"no speech was heard in {what}")
        await desk.hang_up(call, self._reason)
        self._screen.report(reports.SessionEnd(call.id, self._reason, *spent(call, engine)))

    async def _caller(self, call: Call, ear: Ear, sound: Sound, recording: bytes | None) -> None:
        options, session = self._options, call.session
        fmt = audio_format(session.settings, "input")
        if recording is not None or options.say:
            mouth = Mouth(session, ear, fmt, sound.tape)
            self._tasks.spawn(mouth.run(), "caller's audio")
            if recording is not None:
                await play_wav(ear, mouth, recording)
            else:
                await say_all(ear, mouth, options.say, sound.local_voice())
        elif sound.talks:
            await sound.talk(session, ear, fmt)
        else:
            person = on_terminal() and not options.text
            await type_all(
                session,
                ear,
                self._screen.lines() or typed_lines(sys.stdin),
                self._screen.prompt,
                interrupts=person or on_terminal(),
            )

    def _recording(self) -> bytes | None:
        wav = self._options.wav
        if wav is None:
            return None
        recording = read_wav(wav, 24_000)
        if not recording.pcm16:
            raise AudioFileError(f"{wav} holds no sound")
        return recording.pcm16

    def _needs_no_voice(self, engine: Engine) -> None:
        if self._options.wav or self._options.say:
            raise UsageError(f"--wav and --say cannot be heard: {engine.note}", "or use --text")

    # -- saved files -------------------------------------------------------------------------
    async def _follow(self, loaded: Loaded) -> None:
        deployment = loaded.deployment
        watcher = Watcher(deployment.files, digests=deployment.digests, on_warning=self._warn)
        async for saved in watcher.changes():
            await self._saved(saved.first_event)
            assert self._applier is not None
            now = self._applier.loaded.deployment
            # A rejected file may name new prompts and tools: to mend one of them counts as a save.
            named = files_of(self._options.file, env=self._env)
            watcher.set_files((*now.files, *named), digests=now.digests)

    async def _saved(self, first_event: float) -> None:
        assert self._applier is not None
        try:
            outcome = await self._applier.saved(first_event)
        except RtrunError as error:  # the file is gone, or cannot be read just now
            self._warn(f"the old configuration stays: {error.message}")
            return
        match outcome:
            case Applied():
                self._changes = {outcome.revision: outcome.changes}
                self._saved_at = {outcome.revision: first_event}
                self._screen.report(
                    reports.ConfigApplied(
                        revision=outcome.revision,
                        changes=outcome.changes,
                        applied=outcome.applied,
                        pending=outcome.pending,
                        total=outcome.total,
                        ms=outcome.ms,
                    )
                )
            case Rejected():
                self._screen.report(reports.ConfigRejected(outcome.problems))
            case Unchanged():
                pass

    def _heard(self, call: Call, event: SessionEvent) -> None:
        """Every event of the call, in order."""
        if self._operators is not None:
            self._operators.heard(call, event)
        match event:
            case SettingsPending():
                self._screen.report(reports.ConfigPending(event.revision, call.id))
            case SettingsApplied() if event.revision in self._changes:
                # This call had to end its turn first; the others have it already.
                self._screen.report(
                    reports.ConfigApplied(
                        revision=event.revision,
                        changes=self._changes[event.revision],
                        applied=1,
                        pending=0,
                        total=1,
                        ms=(time.monotonic() - self._saved_at[event.revision]) * 1000,
                        session=call.id,
                    )
                )
            case SettingsRefused() if event.revision in self._changes:
                self._tasks.spawn(self._refused(call, event), "undo")
            case SettingsApplied() | SettingsRefused():
                return
            case SessionError() if event.fatal:
                self._failed = True
        self._screen.handle(call.id, event)

    async def _refused(self, call: Call, event: SettingsRefused) -> None:
        assert self._applier is not None
        rejected = await self._applier.refused_later(call, event)
        if rejected is not None:
            self._screen.report(reports.ConfigRejected(rejected.problems))

    # -- the end -------------------------------------------------------------------------------
    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def stop(reason: str) -> None:
            self._reason = reason
            self._stop.set()
            if self._starting is not None:
                self._starting.cancel()

        def interrupted() -> None:
            self._drain = False
            stop("stopped")

        def drained() -> None:
            self._drain = not self._drain
            stop("drained")

        terminal = on_terminal()

        def reload() -> None:
            if terminal and not on_terminal():
                stop("terminal closed")  # the same signal, and nobody is left to talk to
            elif self._applier is not None:
                self._tasks.spawn(self._saved(time.monotonic()), "reload")

        wanted: dict[str, Any] = {"SIGINT": interrupted, "SIGTERM": drained, "SIGHUP": reload}
        for name, handler in wanted.items():
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                loop.add_signal_handler(number, handler)
            except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
                return

    async def _end(self) -> None:
        if self._control is not None:
            await self._control.close()
        if self._desk is not None:
            await self._desk.close()
        await self._tasks.close()
        if self._sound is not None:
            self._sound.close()
        if self._engine is not None:
            await self._engine.close()
        self._screen.close()

    def _warn(self, text: str) -> None:
        self._screen.report(reports.Warn(text))

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._failed = True
        words = (
            error.message if isinstance(error, RtrunError) else f"{type(error).__name__}: {error}"
        )
        self._warn(f"{name}: {words}")


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
    return usage, cost(call.session.model, usage) if openais(engine) else None


def openais(engine: Engine) -> bool:
    host = urlsplit(engine.address.url or "").hostname or ""
    return engine.kind == "openai" or host == "openai.com" or host.endswith(".openai.com")
