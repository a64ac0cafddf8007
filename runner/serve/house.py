"""All deployments of one process, as its control, its admin page and its log see them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from runner.config.load import Loaded
from runner.core.events import SessionEvent
from runner.desk import Address, Call
from runner.errors import RtrunError
from runner.model.deployment import Deployment
from runner.serve.deployed import Deployed, Started, Told
from runner.serve.records import Records
from runner.serve.redacted import Redacted
from runner.tasks import OnFailure, Supervisor

Heard = Callable[[Deployed, Call, SessionEvent], None]
Reported = Callable[[Deployed, Told], None]
Ear = TypeVar("Ear", Heard, Reported)


class House:
    """``address(deployment)`` gives the engine of one; ``told`` and ``warn`` hear what a person
    should know; ``drain()`` asks the process to end when its calls have ended their turns;
    ``state`` is the folder of what the next process needs."""

    def __init__(
        self,
        address: Callable[[Deployment], Awaitable[Address]],
        *,
        told: Callable[[Deployed, Told], None],
        warn: Callable[[str, str], None],
        drain: Callable[[], None],
        on_failure: OnFailure,
        state: Path,
    ) -> None:
        self._address = address
        self._told = told
        self._warn = warn
        self._drain = drain
        self._deployed: list[Deployed] = []
        self._ears: list[Heard] = []
        self._shown: list[Heard] = []
        self._redacted = Redacted()
        self._reported: list[Reported] = []
        self._tasks = Supervisor(on_failure)
        self._records = Records(state, warn, on_failure)
        self._ears.append(self._records.heard)
        self.draining = False

    @property
    def deployments(self) -> Mapping[str, Deployed]:
        """By name, in the order in which they were given; a file that has never been valid goes
        by the name of the file, or by its path when another has that name."""
        open_ones = {deployed.name for deployed in self._deployed if deployed.desk is not None}
        out: dict[str, Deployed] = {}
        for deployed in self._deployed:
            own = deployed.name
            taken = own in out or (deployed.desk is None and own in open_ones)
            out[str(deployed.file) if taken else own] = deployed
        return out

    def add(
        self, file: Path, read: Callable[[], Loaded], files: Callable[[], tuple[Path, ...]]
    ) -> Deployed:
        deployed = Deployed(file, self, read=read, files=files)
        self._deployed.append(deployed)
        return deployed

    async def begin(self, several: bool) -> None:
        """Open all. One file that is given alone has to be right: its error is raised. Of several
        each broken one is told; RtrunError when none is left."""
        for deployed in self._deployed:
            try:
                await deployed.open(*deployed.prepare())
            except RtrunError as error:
                if not several:
                    raise
                deployed.refuse(error)
        if not any(deployed.desk for deployed in self._deployed):
            raise RtrunError("none of the deployments can be started")

    def follow(self) -> None:
        """Watch the files of all."""
        for deployed in self._deployed:
            self.watch(deployed)

    def watch(self, deployed: Deployed) -> None:
        self._tasks.spawn(deployed.follow(), "watch")

    def reload(self) -> None:
        """SIGHUP: take every file as it is now."""
        for deployed in self._deployed:
            self._tasks.spawn(deployed.reload(), "reload")

    def drain(self) -> None:
        self.draining = True
        self._drain()

    def listen(self, ear: Heard) -> Callable[[], None]:
        """``ear(deployed, call, event)`` hears every event of every call, until the function
        that is given back is called."""
        return _heard_by(self._ears, ear)

    def overhear(self, ear: Heard) -> Callable[[], None]:
        """The same for whoever shows or keeps them: without what `records: { redact }` names."""
        return _heard_by(self._shown, ear)

    def follow_saves(self, ear: Reported) -> Callable[[], None]:
        """The same for ``ear(deployed, told)``: what became of a start and of each save."""
        return _heard_by(self._reported, ear)

    async def close(self) -> None:
        await self._tasks.close()
        for deployed in self._deployed:
            await deployed.close()
        await self._records.close()

    # -- Host ------------------------------------------------------------------------------------
    async def address(self, deployment: Deployment) -> Address:
        return await self._address(deployment)

    def taken(self, name: str, by: Deployed) -> bool:
        return any(d.name == name for d in self._deployed if d is not by and d.desk is not None)

    def others(self, than: Deployed) -> Iterable[tuple[str, Deployment]]:
        return [
            (d.name, d.desk.deployment)
            for d in self._deployed
            if d is not than and d.desk is not None
        ]

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        for ear in tuple(self._ears):
            ear(of, call, event)
        if self._shown and of.desk is not None:
            redactor = of.desk.deployment.records.redactor
            shown = self._redacted(redactor, call.id, event)
            if shown is not None:
                for ear in tuple(self._shown):
                    ear(of, call, shown)

    def told(self, of: Deployed, what: Told) -> None:
        self._told(of, what)
        if isinstance(what, Started):
            self._records.started(of)
        for ear in tuple(self._reported):
            ear(of, what)

    def warn(self, of: Deployed, text: str) -> None:
        self._warn(of.name, text)


def _heard_by(ears: list[Ear], ear: Ear) -> Callable[[], None]:
    """``ear`` is one of ``ears`` until the function that is given back is called, once or more."""
    ears.append(ear)

    def leave() -> None:
        if ear in ears:
            ears.remove(ear)

    return leave
