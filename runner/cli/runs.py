"""One run of `rtrun FILE...`: engines, deployments, callers and screen wired together."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli import reports
from runner.cli.callers import Lines, on_terminal, typed_lines
from runner.cli.discreet import discreet
from runner.cli.doors import Doors
from runner.cli.flags import Options
from runner.cli.local import Leaving, LocalCall
from runner.cli.recorder import Records
from runner.cli.screens import Screen, make_screen
from runner.cli.tee import Tee
from runner.config.check import near
from runner.config.find import deployments_in
from runner.config.load import files_of, load
from runner.core.events import SessionError, SessionEvent
from runner.desk import Address, Call
from runner.engines import Engine, Engines, choose
from runner.errors import AudioFileError, InputError, RtrunError, UsageError
from runner.media.wav import read_wav
from runner.model.deployment import Deployment
from runner.reload.apply import Applied, Rejected
from runner.serve.deployed import Deployed, Later, Pending, Started, Told
from runner.serve.house import House
from runner.serve.state import state_folder
from runner.serve.tail import Tails
from runner.tasks import Supervisor, in_thread

if TYPE_CHECKING:
    from runner.cli.telephone import Telephone

#: Seconds between two looks for new files in a folder.
FOLDER_SECONDS = 0.5
BY_PHONE = "--wav, --say and --text are a caller on this machine; this deployment rings by phone"
RTC = "runner.transports.rtcpeer"
_NOT_A_WORKER = "transport cloudflare: here over websocket; rtrun build cloudflare makes the Worker"


class Run:
    """``main()`` returns the exit code."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._env = options.env or {}
        self._began = time.monotonic()
        self._tails = Tails()
        screen = make_screen(json=options.json, began=self._began, several=options.several)
        self._screen: Screen = Tee.on(screen, self._tails, self._began)
        self._leaving = Leaving()
        self._failed = False
        self._starting: asyncio.Task[Any] | None = None
        self._engines = Engines(self._env, self._warn, lasting=True)
        self._answering: dict[Path, Engine] = {}
        self._records: Records | None = None
        self._telephone: Telephone | None = None
        self._tasks = Supervisor(self._task_failed)
        self._house = House(
            self._address,
            told=self._told,
            warn=lambda name, text: self._warn(text, name),
            drain=lambda: self._leaving.ask("drained"),
            on_failure=self._task_failed,
            state=state_folder(self._env),
        )
        self._doors = Doors(
            options,
            self._house,
            self._tails,
            self._screen,
            self._answering,
            began=self._began,
            warn=self._warn,
            on_failure=self._task_failed,
        )

    async def main(self) -> int:
        options = self._options
        recording = self._recording()
        self._house.overhear(self._heard)
        if options.record is not None:
            self._records = Records(options.record, self._warn)
            self._house.listen(self._records.heard)
        for file in options.files:
            self._add(file)
        self._watch_signals()
        try:
            if not await self._begin():
                return 0
            await self._doors.open()
            if options.watch:
                self._house.follow()
                for folder in options.folders:
                    self._tasks.spawn(self._look_for_files(folder), f"watch {folder}")
            if self._called():
                await self._calls(recording)
            if self._telephone is not None and self._telephone.waits:
                await self._telephone.until_left(self._leaving)
            elif not self._called():  # browsers call
                await self._leaving.asked.wait()
            await self._doors.until_left(self._leaving)
        finally:
            await self._end()
        return 1 if self._failed else 0

    def _add(self, file: Path) -> Deployed:
        options = self._options
        return self._house.add(
            file,
            read=partial(load, file, env=self._env, overrides=options.overrides),
            files=partial(files_of, file, env=self._env),
        )

    async def _begin(self) -> bool:
        """False when a signal came while the models were being loaded."""
        self._starting = me = asyncio.current_task()
        try:
            await self._house.begin(self._options.several)
        except asyncio.CancelledError:
            if me is None or not self._leaving.asked.is_set():
                raise
            me.uncancel()
        self._starting = None
        return not self._leaving.asked.is_set()

    async def _address(self, deployment: Deployment) -> Address:
        if deployment.transport.type == "webrtc":
            # Half a second of imports, for which a call need not wait while the engine begins.
            self._tasks.spawn(in_thread(import_module, RTC), f"import {RTC}")
        spec = choose(deployment.engine, self._options.engine, self._env)
        if deployment.transport.rings:
            asked = self._options.engine not in (None, "auto") or deployment.engine.type != "auto"
            here = self._places_call(deployment)
            engine = await self._phones().engine(deployment, spec, asked=asked, here=here)
        else:
            engine = await self._engines.get(spec)
        if not engine.voice and (self._options.wav or self._options.say):
            raise UsageError(f"--wav and --say cannot be heard: {engine.note}", "or use --text")
        self._answering[deployment.source] = engine
        return engine.address

    def _places_call(self, deployment: Deployment) -> bool:
        """Is the caller of this phone on this machine?"""
        kind = deployment.transport.type
        if kind == "sip":  # the phones of OpenAI are out of reach
            engine = choose(deployment.engine, self._options.engine, self._env)
            return self._options.calls and engine.type == "local"
        return self._options.calls and kind == "twilio"

    def _phones(self) -> Telephone:
        if self._telephone is None:
            from runner.cli.telephone import Telephone  # starlette and openai come with it

            self._telephone = Telephone(
                self._screen,
                self._engines,
                self._env,
                lambda: self._house.draining,
                lambda name, text: self._warn(text, name),
                self._task_failed,
            )
        return self._telephone

    async def _look_for_files(self, folder: Path) -> None:
        """A file that is new in the folder is a deployment more."""
        while True:
            await asyncio.sleep(FOLDER_SECONDS)
            known = {deployed.file for deployed in self._house.deployments.values()}
            try:
                found = await in_thread(deployments_in, str(folder))
            except InputError:
                continue  # the folder is being replaced, or is empty just now
            for file in map(Path, found):
                if file not in known:
                    deployed = self._add(file)
                    await deployed.reload()
                    self._house.watch(deployed)

    # -- the calls -------------------------------------------------------------------------
    async def _calls(self, recording: bytes | None) -> None:
        """A call to each deployment that is to be called, until all have ended."""
        called = self._called()
        if self._options.out is not None and len(called) > 1:
            raise UsageError("--out records one call", "name its deployment with --to")
        lines = Lines(typed_lines(sys.stdin), len(called))
        if len(called) > 1 and self._options.text:
            self._tasks.spawn(lines.pump(), "standard input")
        runs = [
            self._call(deployed, recording, reader)
            for deployed, reader in zip(called, lines.readers(), strict=True)
        ]
        if len(runs) == 1:
            self._failed = not await runs[0] or self._failed
            return
        names = (f"call to {deployed.name}" for deployed in called)
        calls = [self._tasks.spawn(run, name) for run, name in zip(runs, names, strict=True)]
        await asyncio.wait(calls)
        self._failed = self._failed or any(not c.exception() and not c.result() for c in calls)

    @property
    def _only_browsers(self) -> bool:
        """The console was asked for, and nobody is at a terminal."""
        options = self._options
        return bool(options.console) and not options.calls and not on_terminal()

    def _called(self) -> list[Deployed]:
        """Every deployment when the flags say what is said; a person talks to one, and where a
        console was asked for and nobody is at a terminal, by a browser."""
        options = self._options
        if self._only_browsers:
            return []
        ready = {n: d for n, d in self._house.deployments.items() if d.desk is not None}
        phones = [
            name
            for name, d in ready.items()
            if d.desk
            and d.desk.deployment.transport.rings
            and not self._places_call(d.desk.deployment)
        ]
        ready = {name: d for name, d in ready.items() if name not in phones}
        if options.to in phones or (phones and not ready and options.calls):
            raise UsageError(BY_PHONE, "dial it, or use --set transport=websocket")
        if options.to is not None:
            if options.to not in ready:
                hint = near(options.to, ready) or f"there are {', '.join(ready)}"
                raise UsageError(f"--to {options.to}: no deployment of that name runs", hint)
            return [ready[options.to]]
        return list(ready.values()) if options.calls else list(ready.values())[:1]

    async def _call(
        self, deployed: Deployed, recording: bytes | None, lines: AsyncIterator[str]
    ) -> bool:
        assert deployed.desk is not None
        deployment = deployed.desk.deployment
        kind: Callable[..., LocalCall] = LocalCall
        if self._places_call(deployment):
            from runner.cli.placed import PlacedCall  # websockets come with it

            kind = partial(PlacedCall, dial=partial(self._phones().dial, deployment))
        call = kind(
            deployed.desk,
            self._answering[deployment.source],
            self._options,
            self._screen.of(deployed.name),
            self._leaving,
            recording=recording,
            lines=lines,
            on_failure=self._task_failed,
        )
        return await call.run()

    def _recording(self) -> bytes | None:
        wav = self._options.wav
        if wav is None:
            return None
        recording = read_wav(wav, 24_000)
        if not recording.pcm16:
            raise AudioFileError(f"{wav} holds no sound")
        return recording.pcm16

    # -- what is told ------------------------------------------------------------------------
    def _told(self, of: Deployed, what: Told) -> None:
        screen = self._screen.of(of.name)
        match what:
            case Started():
                for problem in what.warnings:
                    self._warn(problem.headline(), of.name)
                assert of.desk is not None
                if of.desk.deployment.transport.type == "cloudflare":
                    self._warn(_NOT_A_WORKER, of.name)
                engine = self._answering[of.desk.deployment.source]
                url = engine.address.url
                urls = {"engine": url} if url else {}
                waits = "from a browser" if self._only_browsers else ""
                if of.desk.deployment.transport.rings:
                    urls |= self._phones().urls(of.desk.deployment)
                    self._phones().admit(of)
                    if not self._places_call(of.desk.deployment):
                        waits = self._phones().reached_at(of.desk.deployment)
                screen.report(reports.Ready(urls, engine.kind, of.name, waits=waits))
            case Applied():
                screen.report(
                    reports.ConfigApplied(
                        revision=what.revision,
                        changes=what.changes,
                        applied=what.applied,
                        pending=what.pending,
                        total=what.total,
                        ms=what.ms,
                    )
                )
            case Later():
                screen.report(
                    reports.ConfigApplied(
                        revision=what.revision,
                        changes=what.changes,
                        applied=1,
                        total=1,
                        ms=what.ms,
                        session=what.call,
                    )
                )
            case Pending():
                screen.report(reports.ConfigPending(what.revision, what.call))
            case Rejected():
                runs = of.desk is not None
                screen.report(reports.ConfigRejected(what.problems, runs, what.session or None))

    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call, in order, as it may be shown."""
        if isinstance(event, SessionError) and event.fatal:
            self._failed = True
        private = (
            of.desk is not None
            and of.desk.deployment.transport.rings
            and not self._places_call(of.desk.deployment)
        )
        told = discreet(event) if private and not self._options.log_content else event
        if told is not None:
            self._screen.of(of.name).handle(call.id, told)

    def _warn(self, text: str, name: str = "") -> None:
        several = self._options.several and name
        screen = self._screen.of(name) if several else self._screen
        screen.report(reports.Warn(text))

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._failed = True
        words = (
            error.message if isinstance(error, RtrunError) else f"{type(error).__name__}: {error}"
        )
        self._warn(f"{name}: {words}")

    # -- the end -------------------------------------------------------------------------------
    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        leaving = self._leaving

        def leave(how: Any, reason: str) -> None:
            how(reason)
            if self._starting is not None:
                self._starting.cancel()

        terminal = on_terminal()

        def reload() -> None:
            if terminal and not on_terminal():
                # The same signal, and nobody is left to talk to.
                leave(leaving.at_once, "terminal closed")
            else:
                self._house.reload()

        wanted: dict[str, Any] = {
            "SIGINT": partial(leave, leaving.at_once, "stopped"),
            "SIGTERM": partial(leave, lambda reason: self._house.drain(), "drained"),
            "SIGHUP": reload,
        }
        for name, handler in wanted.items():
            number = getattr(signal, name, None)
            if number is None:
                continue
            try:
                loop.add_signal_handler(number, handler)
            except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt instead
                return

    async def _end(self) -> None:
        await self._doors.close()
        await self._house.close()
        if self._telephone is not None:
            await self._telephone.close()
        await self._tasks.close()
        await self._engines.close()
        if self._records is not None:
            self._records.close()
        self._screen.close()
