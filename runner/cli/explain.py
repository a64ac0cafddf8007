"""`rtrun explain PATH`: what a key of a deployment is, and when a change of it acts."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import asdict

import click

from runner.cli.words import clean
from runner.codec import dumps
from runner.config import codes
from runner.config import schema as schemas
from runner.config.check import choices, near
from runner.config.diff import OF_A_KEY
from runner.config.explain import Explained, Key, explain, keys_below
from runner.config.write import inline
from runner.errors import UsageError

_CODE = re.compile(r"RT[0-9]+\Z", re.IGNORECASE)


@click.command("explain")
@click.argument("path", required=False)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def explain_(path: str | None, form: str) -> None:
    """Say what a key of a deployment file is, or what the code of a problem means.

    PATH is a path such as session.audio.input.format, agents.NAME.tools, as it stands in a
    message (agents.desk.tools[1]), or the code of a message such as RT202. Without one, the keys
    of the top level. Exit code 2 for a path or a code that there is not.
    """
    schema = schemas.load()
    if path is None:
        keys = keys_below((), schema)
        if form == "json":
            click.echo(dumps({"keys": keys}))
        else:
            click.echo("\n".join(["A deployment file has these keys:", "", *_keys(keys)]))
    elif _CODE.match(path):
        click.echo(_code(path.upper(), form))
    else:
        found = explain(path, schema)
        if form == "json":
            click.echo(dumps({**asdict(found), "words": OF_A_KEY[found.reload]}))
        else:
            click.echo("\n".join(_text(found)))


def _code(code: str, form: str) -> str:
    about = codes.about(code)
    if about is None:
        close = near(code, codes.codes())
        raise UsageError(f"there is no code {code}", close or "codes stand in problems, as [RT202]")
    return dumps({"code": code, "about": about}) if form == "json" else about.rstrip("\n")


def _text(found: Explained) -> list[str]:
    lines = [click.style(clean(found.path), bold=True), ""]
    lines += _wrapped(found.description or "Whatever you like.", "  ")
    rows = [
        ("value", _value(found)),
        ("form", found.expects),
        ("default", inline(found.default) if found.default is not None else ""),
        ("needed", "yes" if found.required else ""),
        ("secret", _secret(found.secret)),
        ("a change", f"acts {_WORDS.get(found.reload, OF_A_KEY[found.reload])} ({found.reload})"),
        ("stands in", found.parent or "the top level of the file"),
    ]
    lines += ["", *_table([(name, value) for name, value in rows if value])]
    if found.keys:
        lines += ["", "Keys below it:", "", *_keys(found.keys)]
    return lines


_WORDS = {"restart": "after a restart", "new": "in new calls"}


def _value(found: Explained) -> str:
    if found.choices:
        one = choices(found.choices) + (f", {found.also}" if found.also else "")
        others = [kind for kind in found.kinds if kind not in ("text", "null")]
        return ", or ".join([one, *others])
    return " or ".join(found.kinds)


def _secret(secret: bool | str) -> str:
    if not secret:
        return ""
    shown = "shown as *** everywhere"
    return shown if secret is True else f"{shown} when ${{NAME}} had a part in it"


def _keys(keys: tuple[Key, ...]) -> list[str]:
    return _table([(key.name, key.about + (" Needed." if key.required else "")) for key in keys])


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    lines = []
    for name, text in rows:
        first, *more = _wrapped(text, " " * (width + 4)) or [""]
        lines += [f"  {name:<{width}}  {first.strip()}".rstrip(), *more]
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    width = max(40, min(100, shutil.get_terminal_size((100, 24)).columns))
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
