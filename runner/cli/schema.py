"""`rtrun schema`: the JSON Schema of a deployment, for editors and other validators."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from runner.config import schema as schemas
from runner.errors import InputError


@click.command("schema")
@click.option(
    "--resolved", is_flag=True, help="As a file is once every ${...} is filled in; not as written."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file.")
def schema(resolved: bool, output: Path | None) -> None:
    """Print the JSON Schema that deployment files are checked against.

    It is the file that comes with rtrun, byte for byte. A first line
    "# yaml-language-server: $schema=PATH" makes an editor complete and check with it.
    """
    loaded = schemas.load()
    data = schemas.find().read_bytes()
    if resolved:
        data = (json.dumps(loaded.resolved, indent=2, ensure_ascii=False) + "\n").encode()
    if output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})") from None
    click.echo(f"{output}: written")
