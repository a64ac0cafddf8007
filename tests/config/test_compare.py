"""Two files side by side: what is a change, what it costs, what was only renamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import write

from runner.config.compare import compare, price_of_resending, renamed, resends
from runner.config.load import load
from runner.model.deployment import Change

pytestmark = pytest.mark.quick

DESK = """\
agents:
  desk:
    instructions: |
      You are the front desk of a bicycle shop.
      We are open from 9 to 5.
    tools: [ask]
tools:
  ask: { command: [cat], description: Asks., parameters: { type: object } }
"""


def changes(tmp_path: Path, old: str, new: str) -> tuple[Change, ...]:
    found = [
        load(write(tmp_path / name, text, f"{name}.yaml"), env={"TZ": "UTC"}).deployment
        for name, text in (("one", old), ("two", new))
    ]
    return compare(*found)


def test_the_names_and_folders_of_the_files_are_no_change(tmp_path: Path) -> None:
    assert changes(tmp_path, DESK, DESK) == ()
    (named,) = changes(tmp_path, DESK, "name: shop\n" + DESK)
    assert (named.path, named.old, named.new) == ("name", "one", "shop")
    moved = DESK.replace("[cat]", "{ argv: [cat], cwd: sub }")
    (tmp_path / "two" / "sub").mkdir(parents=True)
    (cwd,) = changes(tmp_path, DESK, moved)
    assert cwd.path == "tools.ask.command.cwd"


@pytest.mark.parametrize(
    ("path", "reload", "again"),
    [
        ("agents.desk.instructions", "next", True),
        ("agents.desk.tools", "next", True),
        ("agents.desk.handoffs", "next", True),
        ("agents.desk.voice", "pinned", False),
        ("agents.desk.greeting", "new", False),
        ("tools.ask.description", "next", True),
        ("tools.ask.timeout", "live", False),
        ("timezone", "next", True),
        ("vars.hours", "next", False),
        ("session.tool_choice", "next", False),
    ],
)
def test_what_heads_the_prompt(path: str, reload: str, again: bool) -> None:
    assert resends(Change(path, reload, "a", "b")) is again  # type: ignore[arg-type]


def test_an_agent_that_comes_is_in_no_prompt() -> None:
    assert not resends(Change("agents.desk", "next", None, {"instructions": "x"}))
    assert resends(Change("tools.ask.parameters", "next", None, {"type": "object"}))


def test_the_price_is_told_for_models_that_have_one() -> None:
    assert price_of_resending("gpt-realtime-2.1-2026-01-01") == (
        "$4.00 instead of $0.40 per million tokens of text, $32.00 instead of $0.40 of audio"
    )
    assert price_of_resending("my-own-model") == ""


def test_one_that_went_and_one_that_came_may_be_the_same(tmp_path: Path) -> None:
    found = changes(tmp_path, DESK, DESK.replace("  desk:", "  front:"))
    assert renamed(found) == [("agents.desk", "agents.front")]
    other = "agents:\n  chef: { instructions: Du kochst Suppe. }\n"
    assert renamed(changes(tmp_path, DESK, other)) == []
