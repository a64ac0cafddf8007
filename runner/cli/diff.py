"""`rtrun diff A B`: what saving B over A would do to the calls on the line."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import given
from runner.cli.changes import as_json, as_text
from runner.cli.words import count
from runner.codec import dumps
from runner.config.compare import compare
from runner.config.load import load
from runner.errors import ConfigError, Problem


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path), metavar="A")
@click.argument("new", type=click.Path(path_type=Path), metavar="B")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
@given.options
def diff(
    old: Path,
    new: Path,
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
    """
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
