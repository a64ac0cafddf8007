"""`rtrun tail`: look at what happens in running calls."""

from __future__ import annotations

import sys
from typing import Any

import click

from runner.cli import targets, words
from runner.errors import UsageError
from runner.serve.reach import Process


@click.command("tail")
@click.argument("session", required=False)
@targets.chosen
@click.option("--raw", is_flag=True, help="The events of the wire, both ways, as they are.")
@click.option("--audio", is_flag=True, help="With --raw: sounds and pictures as well.")
def tail(
    session: str | None, deployment: str | None, pid: int | None, raw: bool, audio: bool
) -> None:
    """Show the log of a call, of a deployment, or of all that runs in a process.

    One JSON object a line, those of --log-format json, from now on. Ends with exit code 0 when the
    process does, and with Ctrl-C. Who reads too slowly loses lines, and a line says how many; no
    call waits.
    """
    if audio and not raw:
        raise UsageError("--audio goes with --raw", "the log holds no sound")
    process, request = _asked(session, deployment, pid)
    first, lines = process.stream({"do": "tail", "raw": raw, "audio": audio, **request})
    # Nothing may happen for a long time: say that it is being looked at.
    what = first["session"] or ", ".join(first["deployments"])
    print(f"rtrun: {words.clean(what)}, from now on", file=sys.stderr, flush=True)
    out = sys.stdout.buffer
    for line in lines:
        out.write(line + b"\n")
        out.flush()


def _asked(
    session: str | None, deployment: str | None, pid: int | None
) -> tuple[Process, dict[str, Any]]:
    if session is not None:
        target, session = targets.call(session, deployment, pid)
        return target.process, {"session": session, "deployment": target.name}
    if deployment is not None:
        target = targets.one(deployment, pid)
        return target.process, {"deployment": target.name}
    found = targets.running(pid)
    if len(found) > 1:
        known = ", ".join(target.told for target in targets.deployments(found))
        raise UsageError(
            f"{len(found)} processes run", f"choose with --deployment or --pid: {known}"
        )
    return found[0][0], {}
