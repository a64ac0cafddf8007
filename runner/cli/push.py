"""`rtrun push cloudflare FILE`: an edit to a deployed Worker, by its KV namespace."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from runner.cli import given
from runner.config.load import load
from runner.errors import UsageError


@click.group("push", context_settings={"help_option_names": ["-h", "--help"]})
def push() -> None:
    """Bring an edit to what was built and deployed: push cloudflare."""


@push.command("cloudflare")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--kv", metavar="ID", help="The namespace that the Worker has bound.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="A folder that rtrun build wrote, whose Worker runs in a workerd on this machine.",
)
@click.option(
    "--wrangler",
    metavar="PROGRAM",
    default="wrangler",
    show_default=True,
    help="The wrangler to run.",
)
@given.options
def cloudflare(
    file: Path,
    kv: str | None,
    folder: Path | None,
    wrangler: str,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_env: bool,
) -> None:
    """Write FILE to the KV namespace of a Worker, or to the folder of one that runs on this
    machine: its next sessions have it, without a deploy.

    Calls on the line keep what they have. Python code and new bindings need a build and a deploy:
    a Worker whose Python files differ keeps what it was built with. Exit code 0, 1 when FILE is
    invalid or wrangler failed, 2 when there is no wrangler.
    """
    from runner.bundle.cloudflare import push as put
    from runner.bundle.compiled import Compiled

    if (kv is None) == (folder is None):
        raise UsageError("one of --kv and --folder says where to", "rtrun push cloudflare --help")
    overrides = tuple(given.override(entry) for entry in sets)
    loaded = load(file, env=given.environment(env_file), overrides=overrides, no_env=True)
    compiled = Compiled(loaded)
    if folder is not None:
        put(compiled, folder)
    else:
        _put(compiled.json, str(kv), wrangler)
    click.echo(f"{file}: revision {compiled.revision} is what the Worker's next sessions have")
    if kv is not None:
        click.echo("  within a minute, which is how long KV may answer with the old one")


def _put(text: str, kv: str, wrangler: str) -> None:
    program = shutil.which(wrangler)
    if program is None:
        raise UsageError(f"there is no program {wrangler}", "npm install -g wrangler")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "deployment.json"
        path.write_text(text, encoding="utf-8")
        argv = [program, "kv", "key", "put", "deployment", "--path", str(path)]
        argv += ["--namespace-id", kv, "--remote"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        click.echo("\n".join(said[-8:]), err=True)
        raise click.exceptions.Exit(1)
