"""`rtrun init`: a deployment to begin with, its prompt, a tool and the schema for the editor."""

from __future__ import annotations

import os
import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from runner.config import schema as schemas
from runner.config.write import inline
from runner.errors import InputError, UsageError

#: Purpose -> what it is, as the question shows it.
PURPOSES = {
    "receptionist": "a front desk that answers questions and takes messages",
    "support": "a help desk with two agents, that looks up an order",
    "voice-app": "the voice of an app, with a tool that does something",
    "blank": "one agent and its prompt",
}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}\Z", re.IGNORECASE | re.ASCII)


@click.command("init")
@click.argument("name", required=False)
@click.option("--purpose", metavar="PURPOSE", help=f"{', '.join(PURPOSES)}.")
@click.option("--transport", metavar="TYPE", help="How callers reach the agent.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("agents.d"),
    show_default=True,
    help="The folder of deployments.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
def init(
    name: str | None, purpose: str | None, transport: str | None, folder: Path, force: bool
) -> None:
    """Write a new deployment NAME: the YAML, its prompt, a Python tool, and the schema for editors.

    What no option says is asked when this is a terminal; else the purpose is receptionist and
    NAME that of the purpose. No file is written over without --force.
    """
    known = transports()
    try:
        name, purpose, transport = _answers(name, purpose, transport, known)
    except click.Abort:
        click.echo()  # the question stands there without an end of its line
        raise
    _check(name, purpose, transport, known)
    texts = _texts(name, purpose, transport, folder)
    there = [path for path in texts if os.path.lexists(path) and path.suffix != ".json"]
    if there and not force:
        listed = ", ".join(str(path) for path in there)
        raise InputError(f"{listed}: already there", "another NAME, or --force to write over it")
    for path, text in texts.items():
        if path.suffix == ".json" and path.exists() and not force:
            continue  # one schema serves all deployments beside it
        _write(path, text)
        click.echo(f"{path}: written")
    file = folder / f"{name}.yaml"
    then = "explain agents.assistant" if purpose == "blank" else f"test {file}"
    click.echo(f"\nNow:\n  rtrun validate {file}\n  rtrun {then}\n  rtrun {file}")
    click.echo("\nSave an edit of it while it runs: the call on the line has it.")


def _answers(
    name: str | None, purpose: str | None, transport: str | None, known: list[str]
) -> tuple[str, str, str]:
    """What was given, else what is answered on a terminal, else the usual. click.Abort when the
    questions are left."""
    asked = sys.stdin.isatty() and sys.stdout.isatty()
    if purpose is None:
        purpose = _ask_purpose() if asked else "receptionist"
    if transport is None:
        transport = _ask("Transport", known) if asked and len(known) > 1 else known[0]
    if name is None:
        name = str(click.prompt("Name", default=purpose)) if asked else purpose
    return name, purpose, transport


def transports() -> list[str]:
    """The transports that need nothing but their name, as the schema has them. A phone needs a
    number and a secret: docs/phone.md, docs/twilio.md."""
    nodes = schemas.load().at(("transport",))
    known = (str(value) for node in nodes for value in node.get("enum", ()))
    return [name for name in known if name not in ("sip", "twilio")]


def _check(name: str, purpose: str, transport: str, known: list[str]) -> None:
    if not _NAME.match(name):
        hint = "a letter, then letters, digits, _ and -; it names the files"
        raise UsageError(f"'{name}' cannot be the name of a deployment", hint)
    if purpose not in PURPOSES:
        raise UsageError(f"--purpose {purpose}: there is none", f"one of {', '.join(PURPOSES)}")
    if transport not in known:
        hint = f"one of {', '.join(known)}; others stand in the file with what they need"
        raise UsageError(f"--transport {transport}: not for a new deployment", hint)


def _ask(what: str, choices: list[str]) -> str:
    answer: Any = click.prompt(what, type=click.Choice(choices), default=choices[0])
    return str(answer)


def _ask_purpose() -> str:
    for key, words in PURPOSES.items():
        click.echo(f"  {key:<13} {words}")
    return _ask("Purpose", list(PURPOSES))


def _texts(name: str, purpose: str, transport: str, folder: Path) -> dict[Path, str]:
    """Path -> content, in the order of writing: what others name first, so that a run that
    follows the folder finds a whole deployment."""
    module = name.replace("-", "_")
    # Beside the folder; in it when it is the one that we stand in.
    own = folder.name in ("", "..")
    schema = (folder if own else folder.parent) / "schemas" / schemas.FILE_NAME
    words = {
        "SCHEMA": Path(os.path.relpath(schema, folder)).as_posix(),
        "TRANSPORT": transport,
        "MODULE": module,
        "QUOTED": inline(name),
        "NAME": name,
    }
    out = {schema: schemas.find().read_text(encoding="utf-8")}
    kinds = {
        "md": folder / "prompts" / f"{name}.md",
        "py.txt": folder / "tools" / f"{module}.py",
        "yaml": folder / f"{name}.yaml",
    }
    for end, path in kinds.items():
        template = files("runner.cli") / "templates" / f"{purpose}.{end}"
        if template.is_file():
            text = template.read_text(encoding="utf-8")
            out[path] = re.sub("|".join(words), lambda word: words[word.group()], text)
    return out


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
