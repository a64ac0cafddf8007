"""`rtrun build cloudflare FILE`: a deployment as a Worker, in a folder that can be deployed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from runner.cli import given
from runner.config.load import load
from runner.errors import InputError


@click.group("build", context_settings={"help_option_names": ["-h", "--help"]})
def build() -> None:
    """Make something of a deployment that runs elsewhere: build cloudflare."""


@build.command("cloudflare")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="The folder to fill.",
)
@click.option("--kv", metavar="ID", help="A KV namespace that rtrun push cloudflare writes to.")
@click.option("--without-sdk", is_flag=True, help="Fetch nothing: python_modules is filled later.")
@click.option("--force", is_flag=True, help="Write into a folder that is not ours.")
@given.options
def cloudflare(
    file: Path,
    out: Path,
    kv: str | None,
    without_sdk: bool,
    force: bool,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_env: bool,
) -> None:
    """Compile FILE into a Python Worker: entry, rooms of rtrun, wrangler and workerd configuration.

    Variables of the environment become bindings of the Worker; nothing of them is in the folder.
    What a Worker cannot serve is an error with its place. Exit code 0, 1 when FILE is invalid, 2
    when something cannot be read or written.
    """
    from runner.bundle.cloudflare import claim, vendor_command, write
    from runner.bundle.compiled import Compiled
    from runner.toolbox import load_tools

    overrides = tuple(given.override(entry) for entry in sets)
    loaded = load(file, env=given.environment(env_file), overrides=overrides, no_env=True)
    compiled = Compiled(loaded)
    load_tools(loaded)
    claim(out, force)
    if not without_sdk:
        _vendor(vendor_command(out))
    size = write(compiled, out, kv)
    click.echo(f"{out}: {compiled.name}, revision {compiled.revision}, {size / 1024:.0f} kB")
    needed = [name for name, without in compiled.bindings.items() if without]
    click.echo(f"  bindings it needs: {', '.join(needed) or 'none'}")
    click.echo(f"  {out / 'README.md'} has the commands that deploy it")


def _vendor(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        hint = "or build --without-sdk, and fill python_modules as the README there says"
        raise InputError(f"pip could not fetch the Workers SDK: {said[-1] if said else ''}", hint)
