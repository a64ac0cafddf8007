"""`rtrun send`: one event of your own on the wire of a running call."""

from __future__ import annotations

import sys

import click

from runner.cli import targets, words
from runner.codec import dumps, loads
from runner.errors import UsageError
from runner.serve.control import MAX_LINE
from runner.serve.sending import SECONDS


@click.command("send")
@click.argument("session")
@click.argument("event", metavar="JSON")
@targets.chosen
@click.option(
    "--wait", type=click.FloatRange(0, 30), default=SECONDS, show_default=True, metavar="SECONDS"
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def send(
    session: str, event: str, deployment: str | None, pid: int | None, wait: float, format_: str
) -> None:
    """Send the event JSON to the service on the line of the call SESSION.

    JSON is a client event of the Realtime API, "-" reads it from standard input; the beginning of
    a call's id will do. Waits for the service's error or answer for a moment: exit code 1 when it
    refused, 0 when it answered or said nothing.
    """
    text = sys.stdin.read(MAX_LINE) if event == "-" else event
    try:
        told = loads(text)
    except ValueError as wrong:
        hint = """such as '{"type": "response.create"}'"""
        raise UsageError(f"this is no JSON: {wrong}", hint) from None
    if not (isinstance(told, dict) and isinstance(told.get("type"), str)):
        raise UsageError("an event is a JSON object with a type", "such as response.create")
    target, session = targets.call(session, deployment, pid)
    request = {
        "do": "send",
        "deployment": target.name,
        "session": session,
        "event": told,
        "seconds": wait,
    }
    reply = target.process.ask(request, wait + 5)
    error, answer = reply.get("error"), reply.get("answer")
    reply.pop("ok", None)
    if format_ == "json":
        print(dumps(reply))
    elif error is not None:
        message = words.clean(f"{error.get('message')} ({error.get('code') or error.get('type')})")
        print(f"rtrun: the service refused it: {message}", file=sys.stderr)
    elif answer is not None:
        print(f"sent; the service answered {words.clean(str(answer.get('type')))}")
    else:
        print("sent; the service said nothing to it")
    if error is not None:
        raise click.exceptions.Exit(1)
