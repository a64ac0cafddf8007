"""`rtrun validate FILE...`: every problem of a deployment, with its place and a way out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from runner.cli import formats, given
from runner.cli.found import extending, meant
from runner.cli.verdict import Verdict, beside_each_other, verdict, verdict_of_tests
from runner.config.find import deployments_in, is_base, is_tests
from runner.errors import InputError, UsageError

FORMATS = ("text", "json", "github", "sarif", "junit")
_UNUSED_BASE = "a base; no deployment in its folder or below extends it, so it was not checked"


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text")
@click.option("--strict", is_flag=True, help="A warning fails too.")
@click.option(
    "--stdin-name",
    metavar="NAME",
    help="What messages call the file on standard input, and where its paths begin.",
)
@given.options
def validate(
    files: tuple[str, ...],
    form: str,
    strict: bool,
    stdin_name: str | None,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_env: bool,
) -> None:
    """Check deployment files; a folder stands for its *.yaml, - for standard input.

    Prints file:line:column, what is wrong there, its code, the line and a caret; rtrun explain CODE
    says more. A quoted pattern such as 'agents.d/**/*.yaml' goes through folders. _*.yaml is
    checked through what extends it, NAME.test.yaml with NAME.yaml beside it. Exit code 0 when all
    are valid, 1 when one is not, 2 when one cannot be read. Tools are imported, nothing is called.
    """
    overrides = tuple(given.override(entry) for entry in sets)
    env = given.environment(env_file)
    if stdin_name is not None and "-" not in files:
        raise UsageError("--stdin-name names what is read with -", "add - as a file")
    verdicts: list[Verdict] = []
    for name in files:
        try:
            if name == "-":
                data = sys.stdin.buffer.read()
                label = stdin_name or "<stdin>"
                place = stdin_name or os.path.join(os.getcwd(), "stdin.yaml")
                verdicts.append(
                    verdict(
                        place, env=env, overrides=overrides, no_env=no_env, data=data, name=label
                    )
                )
                continue
            expanded = meant(name)
        except InputError as error:
            verdicts.append(Verdict(name, failure=str(error)))
            continue
        for file in expanded:
            verdicts += _verdicts(file, env, overrides, no_env)
    # One file that is named in two ways is told once.
    once: dict[str, Verdict] = {}
    for found in verdicts:
        once.setdefault(found.name, found)
    verdicts = beside_each_other(list(once.values()))
    _print(verdicts, form, strict)
    if any(v.failure for v in verdicts):
        raise click.exceptions.Exit(2)
    if not all(v.good(strict) for v in verdicts):
        raise click.exceptions.Exit(1)


def deployments(name: str) -> list[str]:
    """The files that ``name`` stands for: itself, or the YAML files of a folder."""
    return deployments_in(name) if Path(name).is_dir() else [name]


def _verdicts(
    file: str, env: Mapping[str, str], overrides: tuple[tuple[str, str], ...], no_env: bool
) -> list[Verdict]:
    if is_tests(file):
        return [_one(file, lambda: verdict_of_tests(file, env=env, no_env=no_env))]
    if is_base(file) and Path(file).is_file():
        standing = extending(file, env)
        if not standing:
            return [Verdict(file, note=_UNUSED_BASE)]
        return [v for name in standing for v in _verdicts(name, env, overrides, no_env)]
    return [_one(file, lambda: verdict(file, env=env, overrides=overrides, no_env=no_env))]


def _one(file: str, check: Callable[[], Verdict]) -> Verdict:
    try:
        return check()
    except InputError as error:
        return Verdict(file, failure=str(error))


def _print(verdicts: list[Verdict], form: str, strict: bool) -> None:
    for found in verdicts:
        if found.failure:
            print(f"rtrun: {found.failure}", file=sys.stderr)
    if form == "text":
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        out = formats.text(verdicts, color)
    elif form == "json":
        out = formats.as_json(verdicts, strict)
    elif form == "github":
        out = formats.github(verdicts)
    elif form == "junit":
        out = formats.junit(verdicts, strict)
    else:
        from runner.cli.sarif import sarif

        out = sarif(verdicts)
    sys.stdout.write(out)
    sys.stdout.flush()
