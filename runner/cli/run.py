"""`rtrun FILE`: put a deployment on the line and keep it there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from runner import tasks
from runner.cli.callers import on_terminal
from runner.cli.flags import Options
from runner.cli.given import override, read_env_file
from runner.cli.runs import Run
from runner.config.find import deployments_in
from runner.errors import UsageError
from runner.serve.guard import address


@click.command("run")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option("--to", metavar="NAME", help="Several run: the one that the local caller calls.")
@click.option("--engine", metavar="ENGINE", help="auto, openai, local or a URL; above the file.")
@click.option("--wav", type=click.Path(path_type=Path), help="The caller is this recording.")
@click.option("--say", multiple=True, metavar="TEXT", help="The caller says this; repeatable.")
@click.option("--text", is_flag=True, help="Each line of standard input is a typed turn.")
@click.option("--out", type=click.Path(path_type=Path), help="Record both sides: caller left.")
@click.option(
    "--record", metavar="DIR", type=click.Path(path_type=Path),
    help="Keep each call in DIR, for rtrun replay.",
)  # fmt: skip
@click.option("--input", "input_", metavar="DEVICE", help="Microphone, by name or number.")
@click.option("--output", metavar="DEVICE", help="Speaker, by name or number.")
@click.option("--headphones", is_flag=True, help="No echo to fear: keep the microphone open.")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override one field.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Read NAME=VALUE lines first.")
@click.option("--no-watch", is_flag=True, help="Do not follow edits of the file.")
@click.option(
    "--admin", metavar="[HOST:]PORT", help="Health, metrics and configuration over HTTP, here."
)
@click.option("--console", metavar="[HOST:]PORT", help="The console in the browser, at this port.")
@click.option("--no-console", is_flag=True, help="No console; without a terminal there is none.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text")
@click.option("--log-content", is_flag=True, help="Write down what is said on phone calls, too.")
def run(
    files: tuple[Path, ...],
    to: str | None,
    engine: str | None,
    wav: Path | None,
    say: tuple[str, ...],
    text: bool,
    out: Path | None,
    record: Path | None,
    input_: str | None,
    output: str | None,
    headphones: bool,
    sets: tuple[str, ...],
    env_file: Path | None,
    no_watch: bool,
    admin: str | None,
    console: str | None,
    no_console: bool,
    log_format: str,
    log_content: bool,
) -> None:
    """Put each FILE on the line. Saving it changes the agent while the caller is talking.

    A folder stands for its *.yaml; what is new in it is put on the line too, and a broken file
    stops no other. The caller is the microphone when there is one, else what is typed; --wav,
    --say and --text name another, and the run then ends when its input has ended. Of several
    deployments these three call each, a person calls the first; --to names one.
    """
    if sum((wav is not None, bool(say), text)) > 1:
        raise UsageError("--wav, --say and --text exclude each other", "one caller is on the line")
    env = dict(os.environ)
    if env_file is not None:
        env |= read_env_file(env_file)
    if admin is not None:
        address(admin)  # said before engines are started
    if console is not None:
        if no_console:
            raise UsageError("--console and --no-console exclude each other", "leave one out")
        address(console, "--console")
    elif not no_console and log_format == "text" and sys.stdout.isatty() and on_terminal():
        console = ""
    plain, folders = _found(files)
    options = Options(
        files=plain,
        folders=folders,
        to=to,
        engine=engine,
        wav=wav,
        say=say,
        text=text,
        out=out,
        record=record,
        microphone=input_,
        speaker=output,
        headphones=headphones,
        overrides=tuple(override(entry) for entry in sets),
        env=env,
        watch=not no_watch,
        admin=admin,
        console=console,
        json=log_format == "json",
        log_content=log_content,
    )
    code = tasks.run(Run(options).main())
    if code:
        raise click.exceptions.Exit(code)


def _found(given: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The files that are meant, each once, and the folders that may get more."""
    files: dict[Path, None] = {}
    folders = []
    for path in given:
        if path.is_dir():
            folders.append(path)
            files |= dict.fromkeys(map(Path, deployments_in(str(path))))
        else:
            files[path] = None
    return tuple(files), tuple(folders)
