"""`rtrun validate FILE...`: every problem of a deployment, with its place and a way out."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from runner.config.find import deployments_in
from runner.config.load import Loaded, load
from runner.errors import ConfigError, InputError, Problem, RtrunError, UsageError


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override one field.")
def validate(files: tuple[str, ...], sets: tuple[str, ...]) -> None:
    """Check deployment files; a folder stands for its *.yaml.

    Prints file:line:column, what is wrong there, the line and a caret. Exit code 0 when all are
    valid, 1 when one is not, 2 when one cannot be read. Tools are imported, nothing is called.
    """
    overrides = tuple(_override(entry) for entry in sets)
    worst = 0
    for name in files:
        try:
            expanded = deployments(name)
        except InputError as error:
            print(f"rtrun: {error}", file=sys.stderr)
            worst = max(worst, error.exit_code)
            continue
        for file in expanded:
            worst = max(worst, _validate(file, overrides))
    if worst:
        raise click.exceptions.Exit(worst)


def deployments(name: str) -> list[str]:
    """The files that ``name`` stands for: itself, or the YAML files of a folder."""
    return deployments_in(name) if Path(name).is_dir() else [name]


def check(
    file: str, env: Mapping[str, str], overrides: tuple[tuple[str, str], ...] = ()
) -> tuple[Loaded, tuple[Problem, ...]]:
    """The deployment with its tools imported, and its warnings. ConfigError, InputError."""
    loaded = load(file, env=env, overrides=overrides)
    if loaded.deployment.tools or loaded.deployment.transport.type == "custom":
        # Only now: a file without code of its own needs no event loop to be checked.
        from runner.toolbox import load_tools

        load_tools(loaded)
    return loaded, loaded.warnings


def _validate(file: str, overrides: tuple[tuple[str, str], ...]) -> int:
    try:
        loaded, warnings = check(file, os.environ, overrides)
    except ConfigError as error:
        for problem in error.problems:
            print(problem.render())
        return error.exit_code
    except RtrunError as error:
        print(f"rtrun: {error}", file=sys.stderr)
        return error.exit_code
    for problem in warnings:
        print(f"warning: {problem.render()}")
    deployment = loaded.deployment
    parts = [_count(len(deployment.agents), "agent")]
    if deployment.tools:
        parts.append(_count(len(deployment.tools), "tool"))
    print(f"{file}: ok ({', '.join(parts)})")
    return 0


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _override(entry: str) -> tuple[str, str]:
    path, sign, value = entry.partition("=")
    if not sign or not path:
        raise UsageError(f"--set {entry}: not PATH=VALUE", "such as --set model=gpt-realtime-2")
    return path, value
