"""The console of a run, and what its screen is told of calls from a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from runner.cli import reports
from runner.cli.local import Leaving, spent
from runner.cli.screens import Screen
from runner.desk import Address, Call
from runner.engines import Engine
from runner.serve.console.site import Console, open_console
from runner.serve.deployed import Deployed
from runner.serve.house import House
from runner.serve.verbs import Verbs
from runner.tasks import OnFailure, Supervisor

_NO_SOUND = (
    "records.audio: a call from a browser is not recorded, its sound does not pass through rtrun"
)


class Browsers:
    """Implements the console's Ears. ``answering`` is the engine by the source of a deployment."""

    def __init__(
        self,
        house: House,
        verbs: Verbs,
        screen: Screen,
        env: Mapping[str, str],
        answering: Mapping[Path, Engine],
        on_failure: OnFailure,
        content: bool,
    ) -> None:
        self._screen = screen
        self._answering = answering
        self._tasks = Supervisor(on_failure)
        self._warned: set[str] = set()
        self._console = Console(
            house,
            verbs,
            self,
            env=env,
            engine=self._engine,
            address=self._address,
            on_failure=on_failure,
            content=content,
        )

    async def open(self, spec: str | None, say: Callable[[str], None]) -> None:
        """``spec``: [HOST:]PORT, None for the usual place. InputError."""
        await open_console(self._console, spec, say)

    async def until_left(self, leaving: Leaving) -> None:
        """Asked patiently, until their turns are over."""
        if leaving.now.is_set():
            return
        quiet = self._tasks.spawn(self._console.quiet(), "the last browser")
        now = self._tasks.spawn(leaving.now.wait(), "second signal")
        await asyncio.wait({quiet, now}, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        await self._console.close()
        await self._tasks.close()

    def _engine(self, of: Deployed) -> Engine | None:
        return None if of.desk is None else self._answering.get(of.desk.deployment.source)

    def _address(self, of: Deployed) -> Address | None:
        engine = self._engine(of)
        return None if engine is None else engine.address

    # -- Ears ----------------------------------------------------------------------------------
    def began(self, of: Deployed, call: Call) -> None:
        screen = self._screen.of(of.name)
        screen.report(reports.SessionStart(call.id, call.session.agent.name, "a browser"))
        if of.desk and of.desk.deployment.records.audio and of.name not in self._warned:
            self._warned.add(of.name)
            screen.report(reports.Warn(_NO_SOUND))

    def ended(self, of: Deployed, call: Call) -> None:
        engine = self._engine(of)
        usage, cost = (None, None) if engine is None else spent(call, engine)
        report = reports.SessionEnd(call.id, call.reason or "closed", usage, cost)
        self._screen.of(of.name).report(report)
