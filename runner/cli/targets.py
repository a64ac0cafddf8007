"""Which running process, deployment or call a verb means."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from runner.cli import words
from runner.config.check import near
from runner.errors import RtrunError, UsageError
from runner.serve.reach import Found, Process, everyone
from runner.serve.sockets import supported

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment of a running process; ``row`` is what `rtrun ps` says of it."""

    process: Process
    row: Row

    @property
    def name(self) -> str:
        return str(self.row["deployment"])

    @property
    def told(self) -> str:
        return f"{words.clean(self.name)} (process {self.process.pid})"


def chosen(command: Callable[..., None]) -> Callable[..., None]:
    """The flags ``--deployment`` and ``--pid``."""
    command = click.option("--pid", type=int, metavar="PID", help="In the process of this id.")(
        command
    )
    return click.option("--deployment", metavar="NAME", help="The deployment of this name.")(
        command
    )


def answers() -> Found:
    """What each process says of itself; one that does not, or in words of another version, is
    told of on standard error."""
    found, silent = everyone({"do": "ps"})
    known = [entry for entry in found if isinstance(entry[1].get("deployments"), list)]
    others = [process.other() for process, told in found if "deployments" not in told]
    for error in (*silent, *others):
        print(f"rtrun: {error}", file=sys.stderr)
    return known


def running(pid: int | None = None) -> Found:
    """The processes that answer. RtrunError when none does, or none of this pid."""
    found = [(process, told) for process, told in answers() if pid in (None, process.pid)]
    if not found:
        nothing = "no rtrun of yours is running" if pid is None else f"no rtrun {pid} is running"
        raise RtrunError(nothing, "" if supported() else "start it with --admin: it is found by it")
    return found


def deployments(found: Found) -> list[Target]:
    return [Target(process, row) for process, told in found for row in told["deployments"]]


def one(name: str | None, pid: int | None, *, file: str | None = None) -> Target:
    """The deployment of this name, of this file, or the only one. RtrunError when there is none,
    UsageError with the list when there are several."""
    known = deployments(running(pid))
    fitting = [t for t in known if name in (None, t.name) and file in (None, t.row["file"])]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        flag = "--pid" if len({target.name for target in fitting}) == 1 else "--deployment"
        raise UsageError(
            f"{len(fitting)} deployments are running", f"choose one with {flag}: {_list(fitting)}"
        )
    what = f"of {words.clean(file)}" if file is not None and name is None else f"'{name}'"
    hint = near(name or "", [t.name for t in known]) or f"these are: {_list(known)}"
    raise RtrunError(f"no deployment {what} is running", hint)


def for_file(file: str, name: str | None, pid: int | None) -> Target:
    """The deployment that runs from ``file``, an absolute path, or that is named, or the only
    one: a candidate may stand beside it. Errors as of :func:`one`."""
    if name is None:
        known = deployments(running(pid))
        if any(target.row["file"] == file for target in known):
            return one(None, pid, file=file)
    return one(name, pid)


def call(session: str, name: str | None, pid: int | None) -> tuple[Target, str]:
    """The call of this id, or of the only id that begins so."""
    fitting = [
        (target, str(row["session"]))
        for target in deployments(running(pid))
        if name in (None, target.name)
        for row in target.row["sessions"]
        if str(row["session"]).startswith(session)
    ]
    exact = [found for found in fitting if found[1] == session] or fitting
    if len(exact) == 1:
        return exact[0]
    shown = words.clean(session)
    if not exact:
        raise RtrunError(f"no call {shown} is on the line", "rtrun ps shows those that are")
    raise UsageError(
        f"{len(exact)} calls begin with {shown}",
        "they are: " + ", ".join(words.clean(found[1]) for found in exact),
    )


def _list(targets: Iterable[Target]) -> str:
    return ", ".join(target.told for target in targets)
