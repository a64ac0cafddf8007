"""`rtrun reload`: take a saved file now, see what that would do, or go back."""

from __future__ import annotations

from typing import Any

import click

from runner.cli import targets, words
from runner.codec import dumps
from runner.errors import Problem

#: Longer than a process lets a reload take.
_SECONDS = 70.0


@click.command("reload")
@targets.chosen
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
def reload(deployment: str | None, pid: int | None, format_: str) -> None:
    """Take what the file of a running deployment says now, as saving it does.

    Exit code 0 when it is in force or says nothing new, 1 when it was refused: then the old
    configuration stays.
    """
    target = targets.one(deployment, pid)
    told = target.process.ask({"do": "reload", "deployment": target.name}, _SECONDS)
    _say(target, told, json=format_ == "json")


def _say(target: targets.Target, told: dict[str, Any], *, json: bool) -> None:
    del told["ok"]
    if json:
        print(dumps(told))
    else:
        print("\n".join([f"{words.clean(target.name)}: {_result(told)}", *_problems(told)]))
    if told["result"] == "rejected":
        raise click.exceptions.Exit(1)


def _result(told: dict[str, Any]) -> str:
    match told["result"]:
        case "applied":
            calls = told["sessions"]
            text = f"revision {told['revision']} applied in {words.took(told['ms'])}"
            text += f" ({calls['applied']} of {words.count(calls['total'], 'call')}"
            waiting = f", {calls['pending']} when their turn is over" if calls["pending"] else ""
            return f"{text}{waiting})"
        case "rejected":
            return "refused, the old configuration stays"
        case "started":
            return "started"
        case _:
            return "nothing new"


def _problems(told: dict[str, Any]) -> list[str]:
    return [words.clean(Problem(**entry).headline()) for entry in told.get("problems", ())]
