"""`rtrun replay LOG...`: does the conversation still do what it did in a recorded call?"""

from __future__ import annotations

from pathlib import Path

import click

from runner.codec import dumps
from runner.errors import InputError
from runner.testing.record import Difference, excerpts, read_log, replay_log


@click.command("replay")
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="LOG...")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def replay(logs: tuple[Path, ...], form: str) -> None:
    """Play recorded calls into the conversation and compare what it asks for, byte for byte.

    A LOG is a file that `rtrun FILE --record DIR` or `rtrun test --record DIR` wrote; a folder
    stands for all in it. There is no engine, no tool runs and no time passes. Exit code 0 when all
    is the same, 1 when something differs, 2 when a log cannot be read.
    """
    worst = 0
    for log in _files(logs):
        try:
            done = replay_log(read_log(log))
        except InputError as error:
            click.echo(f"rtrun: {error}", err=True)
            worst = max(worst, error.exit_code)
            continue
        same = done.difference is None
        worst = max(worst, 0 if same else 1)
        if form == "json":
            row = {"log": str(log), "same": same, "calls": done.calls, "effects": done.effects}
            click.echo(dumps({**row, "difference": done.difference}))
        elif done.difference is None:
            click.echo(f"{log}: the same ({done.calls} calls, {done.effects} effects)")
        else:
            _tell(log, done.difference)
    if worst:
        raise click.exceptions.Exit(worst)


def _files(given: tuple[Path, ...]) -> list[Path]:
    out: list[Path] = []
    for path in given:
        found = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
        if not found:
            raise InputError(f"{path}: no .jsonl file in this folder")
        out += found
    return out


def _tell(log: Path, differs: Difference) -> None:
    when = "" if differs.at is None else f", {differs.at:.1f} s into the call"
    click.echo(f"{log}:{differs.line}: differs at {differs.call}{when}")
    then, now = excerpts(differs.then, differs.now)
    click.echo(f"  then: {then}")
    click.echo(f"  now:  {now}")
