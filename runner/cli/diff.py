"""`rtrun diff A B`: what saving B over A would do to the calls on the line. `--live`: what saving
A would do to those that are there."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.cli import given, targets
from runner.cli.changes import as_json, as_text
from runner.cli.planned import planned
from runner.cli.words import count
from runner.codec import dumps
from runner.config.compare import compare
from runner.config.load import load
from runner.errors import ConfigError, InputError, Problem, UsageError


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path), metavar="A")
@click.argument("new", type=click.Path(path_type=Path), metavar="[B]", required=False)
@click.option("--live", is_flag=True, help="Against what is running, with the calls it touches.")
@click.option("--deployment", metavar="NAME", help="With --live: the deployment of this name.")
@click.option("--pid", type=int, metavar="PID", help="With --live: in the process of this id.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
@given.options
def diff(
    old: Path,
    new: Path | None,
    live: bool,
    deployment: str | None,
    pid: int | None,
    form: str,
    exit_code: bool,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_env: bool,
) -> None:
    """Show what changes from deployment A to B, and when each change acts.

    What is compared is what acts: defaults, prompt files and the code of tools included, comments
    and the order of keys not. Secrets stand as ***. Exit code 0, with --exit-code 1 when they
    differ, 1 when a file is invalid, 2 when one cannot be read.

    With --live the running process of A is asked what saving A now would do. It reads A itself,
    with its own environment and --set.
    """
    if live:
        if new is not None or sets or env_file is not None or no_env:
            raise UsageError(
                "--live takes one file", "the process reads it with its own environment and --set"
            )
        if not old.is_file():
            raise InputError(f"{old}: no such file")
        target = targets.for_file(os.path.abspath(old), deployment, pid)
        differs = planned(target, os.path.abspath(old), json=form == "json")
        if exit_code and differs:
            raise click.exceptions.Exit(1)
        return
    if new is None:
        raise UsageError("two files are compared", "or one with what is running: --live")
    if deployment is not None or pid is not None:
        raise UsageError("--deployment and --pid go with --live")
    overrides = tuple(given.override(entry) for entry in sets)
    env = given.environment(env_file)
    loaded = []
    failed: list[Problem] = []
    for file in (old, new):
        try:
            loaded.append(load(file, env=env, overrides=overrides, no_env=no_env).deployment)
        except ConfigError as error:
            failed += error.problems
    if failed:
        problems = list(dict.fromkeys(failed))
        told = "\n".join(problem.render() for problem in problems)
        click.echo(dumps({"errors": problems}) if form == "json" else told)
        raise click.exceptions.Exit(1)
    before, after = loaded
    changes = compare(before, after)
    if form == "json":
        report = {"old": str(old), "new": str(new), **as_json(changes, model=after.model)}
        click.echo(dumps(report))
    elif changes:
        click.echo(f"{count(len(changes), 'change')} from {old} to {new}\n")
        click.echo("\n".join(as_text(changes, model=after.model)))
    else:
        click.echo(f"{old} and {new}: no change that acts")
    if exit_code and changes:
        raise click.exceptions.Exit(1)
