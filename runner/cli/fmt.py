"""`rtrun fmt FILE...`: two spaces a level, and everything else as it was written."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import click

from runner.config.find import SUFFIXES
from runner.config.format import formatted
from runner.config.source import MAX_BYTES, decode, read_bytes
from runner.errors import ConfigError, InputError, RtrunError, UsageError


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file would change.")
@click.option("--diff", "show", is_flag=True, help="Write nothing; show what would change.")
def fmt(files: tuple[str, ...], check: bool, show: bool) -> None:
    """Lay out deployment files in place: two spaces a level, lists below their key.

    Keys keep their order; comments, quotes, blank lines and the breaks of long texts stay. A
    folder stands for its *.yaml, - for standard input, which goes to standard output. A file that
    is no YAML is left alone. Exit code 0, 1 for a file that would change with --check or that is
    invalid, 2 when one cannot be read or written.
    """
    worst = 0
    for name in _expanded(files):
        try:
            worst = max(worst, _one(name, check, show))
        except ConfigError as error:
            click.echo(str(error), err=True)
            worst = max(worst, error.exit_code)
        except RtrunError as error:
            click.echo(f"rtrun: {error}", err=True)
            worst = max(worst, error.exit_code)
    if worst:
        raise click.exceptions.Exit(worst)


def _expanded(files: tuple[str, ...]) -> Iterator[str]:
    """The files that are meant, bases too: they are laid out like all others."""
    if "-" in files and len(files) > 1:
        raise UsageError("- stands alone", "standard input goes to standard output")
    for name in dict.fromkeys(files):
        if name != "-" and Path(name).is_dir():
            inside = [p for p in Path(name).iterdir() if p.suffix in SUFFIXES and p.is_file()]
            yield from (str(p) for p in sorted(inside) if not p.name.startswith("."))
        else:
            yield name


def _one(name: str, check: bool, show: bool) -> int:
    shown = "<stdin>" if name == "-" else name
    data = sys.stdin.buffer.read(MAX_BYTES + 1) if name == "-" else read_bytes(Path(name), name)
    source = decode(data, shown)
    text = formatted(source)
    out = text.encode()
    if show:
        old = source.text.splitlines(keepends=True)
        lines = unified_diff(old, text.splitlines(keepends=True), shown, f"{shown} (formatted)")
        for line in lines:
            click.echo(line if line.endswith("\n") else f"{line}\n\\ no line end\n", nl=False)
        if data.startswith(codecs.BOM_UTF8):
            click.echo(f"{shown}: without its byte order mark")
    elif check:
        if out != data:
            click.echo(f"{shown}: would change (rtrun fmt {name})")
    elif name == "-":
        sys.stdout.write(text)
    elif out != data:
        _replace(Path(name), out)
        click.echo(f"{shown}: formatted")
    return int(check and out != data)


def _replace(path: Path, data: bytes) -> None:
    """Writes ``data`` in one step, with the mode of the file; a link keeps leading to it. A
    running deployment sees the old file or the new one, never a part."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
        number, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(data)
            os.chmod(temporary, mode & 0o7777)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
