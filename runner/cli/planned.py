"""What a save would do to the calls on the line, as the running process says it."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import targets, words
from runner.cli.changes import as_json, as_text
from runner.codec import dumps
from runner.errors import Problem
from runner.model.deployment import Change

#: Reading a file takes milliseconds; a process that is starting an engine may be busy.
_SECONDS = 30.0


def planned(target: targets.Target, file: str | None, *, json: bool) -> bool:
    """Ask, and print. ``file`` None is the deployment's own. True when something would change;
    exits with 1 when the file is invalid."""
    request = {"do": "plan", "deployment": target.name, "file": file}
    told = target.process.ask(request, _SECONDS)
    if told["result"] == "invalid":
        problems = problems_of(told)
        shown = "\n".join(words.clean(problem.headline()) for problem in problems)
        click.echo(dumps({"errors": problems}) if json else shown)
        raise click.exceptions.Exit(1)
    changes, hits = changes_of(told["changes"]), {c["path"]: c["calls"] for c in told["changes"]}
    if json:
        about = {key: told[key] for key in ("deployment", "file", "revision", "calls")}
        click.echo(dumps({**about, **as_json(changes, model=told["model"], hits=hits)}))
    elif changes:
        calls = words.count(told["calls"], "call")
        number = words.count(len(changes), "change")
        click.echo(f"{number} to {target.told}, revision {told['revision']}, {calls}\n")
        click.echo("\n".join(as_text(changes, model=told["model"], hits=hits)))
    else:
        click.echo(f"{words.clean(target.name)}: no change that acts")
    return bool(changes)


def changes_of(rows: list[dict[str, Any]]) -> list[Change]:
    return [Change(row["path"], row["class"], row["old"], row["new"]) for row in rows]


def problems_of(told: dict[str, Any]) -> list[Problem]:
    return [Problem(**entry) for entry in told.get("problems", ())]
