"""`rtrun doctor`: what this machine has for rtrun, and what it lacks."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from runner import tasks
from runner.cli import checkup, words
from runner.codec import dumps
from runner.errors import UsageError

_SIGNS = {"well": "ok", "lacks": "-", "broken": "!!"}


@click.command("doctor")
@click.option("--engine", metavar="ENGINE", help="Open a line to it: openai, local or a URL.")
@click.option("--sound", is_flag=True, help="Play a tone, and listen to the microphone.")
@click.option("--input", "input_", metavar="DEVICE", help="With --sound: this microphone.")
@click.option("--output", metavar="DEVICE", help="With --sound: this speaker.")
@click.option("--public", metavar="FILE", help="Is this deployment's phone found from outside?")
@click.option("--url", metavar="URL", help="With --public: the address, where FILE has none.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def doctor(
    engine: str | None,
    sound: bool,
    input_: str | None,
    output: str | None,
    public: str | None,
    url: str | None,
    format_: str,
) -> None:
    """Say what works here, what lacks, and what to do about it.

    With --public it looks at one deployment's telephone alone: whether its public address leads to
    this machine, and what to write at the carrier. Exit code 0 when only optional things lack, 1
    when something that is needed does, or when what --engine, --sound or --public tried does not
    work.
    """
    if not sound and (input_ is not None or output is not None):
        raise UsageError("--input and --output go with --sound", "without it none is opened")
    if url is not None and public is None:
        raise UsageError("--url goes with --public", "doctor --public FILE --url URL")
    env = dict(os.environ)
    if public is not None:
        from runner.cli.outside import outside  # starlette and websockets come with it

        found = tasks.run(outside(public, url, env))
    else:
        found = [
            *checkup.installation(),
            *checkup.engines(env),
            checkup.control(),
            *checkup.devices(),
        ]
    if engine is not None:
        found += tasks.run(checkup.lines(engine, env))
    if sound:
        found += tasks.run(checkup.sound(input_, output))
    if format_ == "json":
        print(dumps({"findings": [asdict(finding) for finding in found]}))
    else:
        for finding in found:
            hint = f" ({words.clean(finding.hint)})" if finding.hint else ""
            sign = _SIGNS[finding.state]
            print(f"{sign:3} {finding.name + ':':14} {words.clean(finding.text)}{hint}")
    if any(finding.state == "broken" for finding in found):
        raise click.exceptions.Exit(1)
