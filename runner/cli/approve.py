"""`rtrun approve`: say yes or no to a tool that waits in a running call."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from runner.cli import words
from runner.codec import dumps
from runner.errors import RtrunError, UsageError
from runner.serve.operators import Waiting
from runner.serve.reach import Process, everyone

Found = list[tuple[Process, Waiting]]


@click.command("approve")
@click.argument("call_id", required=False)
@click.option("--reject", is_flag=True, help="Say no.")
@click.option("--message", metavar="TEXT", help="With --reject: what the agent is told instead.")
@click.option(
    "--always", is_flag=True, help="Hold to it for later calls of this tool, in this call."
)
@click.option("--session", metavar="SESSION", help="Where it waits, if several have that id.")
@click.option("--deployment", metavar="NAME", help="Only calls of the deployment of this name.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def approve(
    call_id: str | None,
    reject: bool,
    message: str | None,
    always: bool,
    session: str | None,
    deployment: str | None,
    format_: str,
) -> None:
    """Say yes to the tool call CALL_ID, or list what waits.

    Looks through all running rtrun of this user. Exit code 0 when it is decided, 1 when nothing of
    that id waits.
    """
    if call_id is None and (reject or message is not None or always):
        raise UsageError("which call?", "rtrun approve lists what waits, with its ids")
    if message is not None and not reject:
        raise UsageError("--message goes with --reject", "a tool that may run tells its own result")
    waiting, running = _waiting()
    waiting = [found for found in waiting if session in (None, found[1].session)]
    waiting = [found for found in waiting if deployment in (None, found[1].deployment)]
    if call_id is None:
        print(_listed(waiting, running, json=format_ == "json"))
        return
    process, entry = _choose(call_id, waiting, running)
    if always and entry.kind == "mcp":
        raise UsageError("--always does not hold for a hosted MCP server", "decide each call")
    request = {
        "do": "decide",
        "deployment": entry.deployment,
        "session": entry.session,
        "call_id": entry.call_id,
        "yes": not reject,
        "message": message,
        "always": always,
    }
    if not process.ask(request).get("done"):
        raise RtrunError(
            f"{words.clean(call_id)} does not wait any more", "it was decided, or too late"
        )
    decision = "rejected" if reject else "approved"
    if format_ == "json":
        print(dumps({**_row(process, entry), "decision": decision}))
    else:
        print(f"{decision}: {_what(entry)}")


def _waiting() -> tuple[Found, int]:
    """What waits in all processes, and how many answered."""
    found, silent = everyone({"do": "approvals"})
    for error in silent:
        print(f"rtrun: {error}", file=sys.stderr)
    waiting: Found = []
    answered = 0
    for process, told in found:
        try:
            waiting += [(process, Waiting(**entry)) for entry in told["approvals"]]
            answered += 1
        except (KeyError, TypeError):
            print(f"rtrun: {process.other()}", file=sys.stderr)
    return waiting, answered


def _choose(call_id: str, waiting: Found, running: int) -> tuple[Process, Waiting]:
    """The one call of this id; RtrunError says what does wait, UsageError how to choose."""
    fitting = [(process, entry) for process, entry in waiting if entry.call_id == call_id]
    if len(fitting) == 1:
        return fitting[0]
    shown = words.clean(call_id)
    if not fitting:
        hint = "" if running else "no rtrun of yours is running"
        if waiting:
            hint = "these do:\n  " + "\n  ".join(_told(*entry) for entry in waiting)
        raise RtrunError(f"nothing with the id {shown} waits for a yes", hint)
    raise UsageError(
        f"{shown} waits in {len(fitting)} sessions",
        "choose one with --session:\n  " + "\n  ".join(_told(*entry) for entry in fitting),
    )


def _listed(waiting: Found, running: int, *, json: bool) -> str:
    if json:
        return dumps([_row(process, entry) for process, entry in waiting])
    if not running:
        return "no rtrun of yours is running"
    return "\n".join(_told(*entry) for entry in waiting) or (
        f"nothing waits for a yes ({words.count(running, 'process', 'processes')} asked)"
    )


def _told(process: Process, entry: Waiting) -> str:
    """``call_1  book(day="Tuesday")`` and where it waits; the arguments whole, since somebody is
    to agree to them."""
    place = f"{words.clean(entry.deployment)}, {words.clean(entry.session)}"
    since = f"waits {words.took(entry.seconds * 1000)}"
    return (
        f"{words.clean(entry.call_id)}  {_what(entry)}  ({place}, process {process.pid}, {since})"
    )


def _what(entry: Waiting) -> str:
    return words.call(entry.tool, entry.arguments, limit=sys.maxsize)


def _row(process: Process, entry: Waiting) -> dict[str, Any]:
    return {"pid": process.pid, **asdict(entry)}
