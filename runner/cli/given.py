"""What several verbs take on their command line: ``--set``, ``--env-file``, ``--no-env``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from runner.errors import InputError, UsageError

F = TypeVar("F", bound=Callable[..., Any])


def options(command: F) -> F:
    """Adds the three; the command gets ``sets``, ``env_file`` and ``no_env``."""
    for add in (
        click.option(
            "--no-env",
            is_flag=True,
            help="Leave out what hangs on a variable that is not set, as in CI.",
        ),
        click.option(
            "--env-file",
            type=click.Path(path_type=Path),
            help="Read NAME=VALUE lines first.",
        ),
        click.option(
            "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override one field."
        ),
    ):
        command = add(command)
    return command


def override(entry: str) -> tuple[str, str]:
    """``PATH=VALUE`` of a ``--set``; UsageError for anything else."""
    path, sign, value = entry.partition("=")
    if not sign or not path:
        raise UsageError(f"--set {entry}: not PATH=VALUE", "such as --set model=gpt-realtime-2")
    return path, value


def environment(env_file: Path | None) -> dict[str, str]:
    """The process's environment with the lines of ``env_file`` on top."""
    return {**os.environ, **(read_env_file(env_file) if env_file is not None else {})}


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE a line; ``#`` comments, an optional ``export`` and quotes around the value."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--env-file {path}: {getattr(error, 'strerror', error)}") from None
    out: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, sign, value = line.partition("=")
        if not sign or not name.strip().isidentifier():
            # The line is not shown: it may be a key with its name forgotten.
            raise InputError(f"{path}:{number}: not NAME=VALUE")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        out[name.strip()] = value
    return out
