"""The deployments of one process: each its file, its desk, and what became of each save.

A broken file stops nothing but itself: it is watched like the others, and starts when mended.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.config.load import Loaded
from runner.config.phone import same_number
from runner.core.events import (
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.desk import Address, Call, Desk
from runner.errors import ConfigError, Problem, RtrunError
from runner.model.deployment import Change, Deployment
from runner.reload.apply import Applied, Applier, Outcome, Rejected, Unchanged
from runner.reload.watch import Watcher, digests
from runner.tasks import Supervisor
from runner.toolbox import Toolbox, load_tools
from runner.tools.base import in_own_thread


@dataclass(frozen=True, slots=True)
class Started:
    """The deployment can take calls; ``warnings`` of its file."""

    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """``call`` takes ``revision`` when its turn is over."""

    revision: int
    call: str


@dataclass(frozen=True, slots=True)
class Later:
    """``call``, which had to end its turn first, has ``revision`` now; ``ms`` from the first
    file event."""

    revision: int
    changes: tuple[Change, ...]
    call: str
    ms: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """The newest file that was not taken; ``at`` is time.time(), ``session`` the call that refused
    it, empty when it was the file."""

    problems: tuple[Problem, ...]
    at: float
    session: str = ""


Told = Started | Applied | Rejected | Pending | Later


class Host(Protocol):
    """The process around its deployments."""

    async def address(self, deployment: Deployment) -> Address:
        """Where its engine answers, started when need be. RtrunError."""
        ...

    def taken(self, name: str, by: Deployed) -> bool:
        """Has another deployment of this process that name?"""
        ...

    def others(self, than: Deployed) -> Iterable[tuple[str, Deployment]]:
        """The other deployments of this process that take calls, with their names."""
        ...

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None: ...

    def told(self, of: Deployed, what: Told) -> None: ...

    def warn(self, of: Deployed, text: str) -> None: ...


class Deployed:
    """One deployment file in this process.

    ``read()`` reads and checks it (ConfigError, InputError); ``files()`` names what a watcher has
    to see even while it is broken.
    """

    def __init__(
        self,
        file: Path,
        host: Host,
        *,
        read: Callable[[], Loaded],
        files: Callable[[], Iterable[Path]],
    ) -> None:
        self.file = file
        self.desk: Desk | None = None
        self.applier: Applier | None = None
        self.rejected: Rejection | None = None
        #: time.time() of the newest accepted revision, 0.0 before the first.
        self.accepted_at = 0.0
        #: How many saves were applied, rejected, unchanged.
        self.counts: Counter[str] = Counter()
        #: From the first file event to the last answer, of the newest applied save.
        self.last_ms = 0.0
        self._host = host
        self._read_file = read
        self._files = files
        #: What a file that could not be read held.
        self._found: Mapping[str, str] = {}
        self._changes: tuple[int, tuple[Change, ...], float] = (0, (), 0.0)
        self._tasks = Supervisor(lambda name, error: host.warn(self, f"{name}: {error!r}"))

    @property
    def name(self) -> str:
        return self.desk.deployment.name if self.desk is not None else self.file.stem

    # -- the beginning -----------------------------------------------------------------------
    def prepare(self) -> tuple[Loaded, Toolbox]:
        """The file with its tools imported. ConfigError, InputError."""
        # Taken first: what is saved while we read differs from it, and is seen.
        self._found = digests(self._files())
        loaded = self._read()
        return loaded, load_tools(loaded)

    async def open(self, loaded: Loaded, tools: Toolbox) -> None:
        """Take calls from now on. RtrunError when there is no engine."""
        address = await self._host.address(loaded.deployment)
        self.desk = Desk(
            loaded.deployment, tools, address, lambda call, event: self._heard(call, event)
        )
        self.applier = Applier(self.desk, loaded, self._read)
        self._accepted()
        self._host.told(self, Started(loaded.warnings))

    def refuse(self, error: RtrunError) -> Rejected:
        """What is wrong with the file, remembered and told."""
        if isinstance(error, ConfigError):
            problems = error.problems
        else:
            problems = (Problem(str(self.file), 0, 0, "", error.message, error.hint),)
        return self._refused(Rejected(problems))

    def _read(self) -> Loaded:
        loaded = self._read_file()
        name = loaded.deployment.name
        if self._host.taken(name, self):
            raise ConfigError(
                [
                    loaded.problem_at(
                        "name",
                        f"another file of this process is called '{name}' too",
                        "name: tells them apart; left out, it is the name of the file",
                    )
                ]
            )
        clash = same_number(loaded, self._host.others(self))
        if clash is not None:
            raise ConfigError([clash])
        return loaded

    # -- saves ---------------------------------------------------------------------------------
    async def follow(self) -> None:
        """Take each save, until cancelled."""
        loaded = None if self.applier is None else self.applier.loaded.deployment
        watcher = Watcher(
            (*(loaded.files if loaded else ()), *self._files()),
            digests=loaded.digests if loaded else self._found,
            on_warning=lambda text: self._host.warn(self, text),
        )
        async for saved in watcher.changes():
            taking = self._followed(watcher, saved.first_event)
            if self.applier is None:
                await taking
            else:  # a newer save overtakes one that waits for a slow call
                self._tasks.spawn(taking, "a save")

    async def _followed(self, watcher: Watcher, first_event: float) -> None:
        await self.reload(first_event)
        # A rejected file may name new prompts and tools: to mend one of them counts as a save.
        now = None if self.applier is None else self.applier.loaded.deployment
        watcher.set_files(
            (*(now.files if now else ()), *self._files()), digests=now.digests if now else None
        )

    async def reload(self, first_event: float | None = None) -> Outcome | None:
        """Take what the file says now; None when it has just started with it.
        ``first_event``: time.monotonic() of the save."""
        since = time.monotonic() if first_event is None else first_event
        if self.applier is None:
            return await self._begin()
        try:
            outcome = await self.applier.saved(since)
        except RtrunError as error:  # the file is gone, or cannot be read just now
            self._host.warn(self, f"the old configuration stays: {error.message}")
            return self._refused(
                Rejected((Problem(str(self.file), 0, 0, "", error.message, error.hint),)),
                tell=False,
            )
        return self.settle(outcome, since)

    def settle(self, outcome: Outcome, since: float) -> Outcome:
        """Remember and tell how a revision ended, however it came. ``since``: time.monotonic()."""
        match outcome:
            case Applied():
                self._changes = (outcome.revision, outcome.changes, since)
                self.counts["applied"] += 1
                self.last_ms = outcome.ms
                self._accepted()
                self._host.told(self, outcome)
            case Rejected():
                self._refused(outcome)
            case Unchanged():
                self.counts["unchanged"] += 1
                self._accepted()
        return outcome

    async def _begin(self) -> Outcome | None:
        """The file was broken until now."""
        try:
            loaded, tools = await in_own_thread(self.prepare, {}, "of a saved file")
            await self.open(loaded, tools)
        except RtrunError as error:
            return self.refuse(error)
        return None

    def _accepted(self) -> None:
        self.accepted_at = time.time()
        self.rejected = None

    def _refused(self, rejected: Rejected, *, tell: bool = True) -> Rejected:
        self.counts["rejected"] += 1
        self.rejected = Rejection(rejected.problems, time.time(), rejected.session)
        if tell:
            self._host.told(self, rejected)
        return rejected

    # -- calls -----------------------------------------------------------------------------------
    def _heard(self, call: Call, event: SessionEvent) -> None:
        revision, changes, since = self._changes
        match event:
            case SettingsPending():
                self._host.told(self, Pending(event.revision, call.id))
            case SettingsApplied() if event.revision == revision:
                # This call had to end its turn first; the others have it already.
                ms = (time.monotonic() - since) * 1000
                self._host.told(self, Later(revision, changes, call.id, ms))
            case SettingsRefused():
                self._tasks.spawn(self._undo(call, event), "undo")
        self._host.heard(self, call, event)

    async def _undo(self, call: Call, event: SettingsRefused) -> None:
        assert self.applier is not None
        rejected = await self.applier.refused_later(call, event)
        if rejected is not None:
            self._refused(rejected)

    async def close(self, reason: str = "stopped") -> None:
        """End its calls and stop."""
        if self.desk is not None:
            await self.desk.close(reason)
        await self._tasks.close()
