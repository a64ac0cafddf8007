"""`rtrun show FILE`: a deployment as it is understood, and where each value comes from."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import given
from runner.codec import dumps
from runner.config.load import load
from runner.config.resolved import as_written, opened, origins, resolved
from runner.config.tree import Path as Steps
from runner.config.tree import dotted
from runner.config.write import write


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--resolved",
    "whole",
    is_flag=True,
    help="With its defaults, bases merged, ${...} filled in and prompts in place.",
)
@click.option("--origin", "told", is_flag=True, help="Say where each value comes from.")
@click.option("--show-secrets", is_flag=True, help="Print keys instead of ***.")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml")
@given.options
def show(
    file: Path,
    whole: bool,
    told: bool,
    show_secrets: bool,
    form: str,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_env: bool,
) -> None:
    """Print a deployment as rtrun reads it, as YAML that it reads again.

    --origin adds file and line of each value, the prompt file, the variable of the environment,
    --set, or default. With --format json it prints {"value": ..., "origins": {path: origin}}.
    Relative paths begin in the folder of FILE. Exit code 0, 1 when the file is invalid, 2 when it
    cannot be read.
    """
    overrides = tuple(given.override(entry) for entry in sets)
    env = given.environment(env_file)
    loaded = load(file, env=env, overrides=overrides, no_env=no_env)
    document = as_written(loaded, show_secrets)
    if whole:
        document = opened(resolved(loaded), show_secrets)
    where = origins(loaded, document, env) if told else {}
    if form == "json":
        named = {dotted(path): text for path, text in where.items()}
        click.echo(dumps({"value": document, "origins": named} if told else document))
        return

    def note(path: Steps) -> str:
        return where.get(path, "")

    click.echo(write(document, note), nl=False)
