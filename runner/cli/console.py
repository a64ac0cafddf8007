"""`rtrun console`: a link into the console of a run."""

from __future__ import annotations

import click

from runner.cli import targets
from runner.errors import UsageError


@click.command("console")
@targets.chosen
def console(deployment: str | None, pid: int | None) -> None:
    """Print a link into the console of a running rtrun, for one more browser."""
    if deployment is not None:
        process = targets.one(deployment, pid).process
    else:
        found = [process for process, _ in targets.running(pid)]
        if len(found) > 1:
            pids = ", ".join(str(process.pid) for process in found)
            raise UsageError(f"{len(found)} processes are running", f"choose by --pid: {pids}")
        process = found[0]
    click.echo(process.ask({"do": "console"})["url"])
