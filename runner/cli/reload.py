"""`rtrun reload`: take a saved file now, see what that would do, or go back."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import targets, words
from runner.cli.planned import changes_of, planned, problems_of
from runner.codec import dumps
from runner.config.diff import summary
from runner.errors import UsageError

#: Longer than a process lets a reload take.
_SECONDS = 70.0


@click.command("reload")
@targets.chosen
@click.option("--dry-run", is_flag=True, help="Only show what it would change, and in which calls.")
@click.option("--to", type=int, metavar="N", help="Put revision N in force again.")
@click.option("--list", "list_", is_flag=True, help="List the revisions that are kept.")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def reload(
    deployment: str | None,
    pid: int | None,
    dry_run: bool,
    to: int | None,
    list_: bool,
    format_: str,
) -> None:
    """Take what the file of a running deployment says now, as saving it does.

    --to goes back to one of the last 20 revisions, in the calls that run too; the file stays as it
    is, and its next save counts again. Exit code 0 when it is in force or says nothing new, 1 when
    it was refused: then the old configuration stays.
    """
    if sum((dry_run, to is not None, list_)) > 1:
        raise UsageError("--dry-run, --to and --list exclude each other")
    target = targets.one(deployment, pid)
    json = format_ == "json"
    if dry_run:
        planned(target, None, json=json)
    elif list_:
        _list(target, json=json)
    else:
        request = {"do": "reload", "deployment": target.name, "to": to}
        _say(target, target.process.ask(request, _SECONDS), json=json)


def _list(target: targets.Target, *, json: bool) -> None:
    told = target.process.ask({"do": "revisions", "deployment": target.name})
    del told["ok"]
    if json:
        click.echo(dumps(told))
        return
    for row in told["revisions"]:
        force = ", in force" if row["revision"] == told["in_force"] else ""
        what = summary(changes_of(row["changes"])) or "as it was when the process began"
        line = f"revision {row['revision']}  {row['at']}  {row['how']}{force}: {what}"
        click.echo(words.clean(line))


def _say(target: targets.Target, told: dict[str, Any], *, json: bool) -> None:
    del told["ok"]
    if json:
        click.echo(dumps(told))
    else:
        click.echo(f"{words.clean(target.name)}: {_result(told)}")
        for problem in problems_of(told):
            click.echo(words.clean(problem.headline()))
    if told["result"] == "rejected":
        raise click.exceptions.Exit(1)


def _result(told: dict[str, Any]) -> str:
    match told["result"]:
        case "applied":
            calls = told["sessions"]
            text = f"revision {told['revision']} applied in {words.took(told['ms'])}"
            text += f" ({calls['applied']} of {words.count(calls['total'], 'call')}"
            text += f", {calls['pending']} when their turn is over)" if calls["pending"] else ")"
            return f"{text}: {words.clean(summary(changes_of(told['changes'])))}"
        case "rejected":
            return "refused, the old configuration stays"
        case "superseded":
            return "a newer save came before it was in force, and counts"
        case "started":
            return "started"
        case _:
            return "nothing new"
