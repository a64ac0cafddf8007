"""What an edit would do, and the way back to what was in force."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.live_shop import PRICE, SHOP, Shop, in_shop
from support.until import until

from runner.config.load import load
from runner.errors import UserError
from runner.reload.apply import Applied, Rejected, Unchanged

TWO = SHOP.replace("Say one.", "Say two.")


def test_a_plan_says_what_would_change_where_and_applies_nothing(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        text = SHOP.replace("Say one.", "Say two.") + "model: gpt-realtime-mini\n"
        it.file.write_text(text + "  # night\n")
        plan = it.applier.plan(load(it.file, env={}))
        assert [(change.path, change.reload, calls) for change, calls in plan] == [
            ("model", "new", 0),
            ("agents.desk.instructions", "next", 3),
        ]
        assert plan.total == 3
        assert it.desk.revision == 0
        assert it.instructions() == ["Say one."] * 3

    in_shop(tmp_path, edit, calls=3)


def test_a_change_of_an_agent_that_is_not_on_the_line_touches_nobody(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        night = "  night: { instructions: Say good night. }\ntools:\n"
        it.file.write_text(SHOP.replace("tools:\n  price", night + "  price"))
        assert [calls for _, calls in it.applier.plan(load(it.file, env={}))] == [0]

    in_shop(tmp_path, edit, calls=1)


def test_revisions_say_how_they_came(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.save(TWO)
        await it.applier.back_to(0)
        told = [(r.number, r.how, [c.path for c in r.changes]) for r in it.applier.revisions]
        path = "agents.desk.instructions"
        assert told == [(0, "start", []), (1, "file", [path]), (2, "back to 0", [path])]
        assert all(abs(revision.at - time.time()) < 60 for revision in it.applier.revisions)

    in_shop(tmp_path, edit, calls=1)


def test_back_to_a_revision_brings_its_settings_and_its_code(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        (tmp_path / "price.py").write_text(PRICE.replace("one dollar", "two dollars"))
        await it.save(TWO)
        [call] = it.desk.calls.values()
        outcome = await it.applier.back_to(0)
        assert isinstance(outcome, Applied)
        assert (outcome.revision, call.revision) == (2, 2)
        assert it.instructions() == ["Say one."]
        [tool] = call.session.agent.tools
        assert await tool.run('{"item": "pen"}', None) == "one dollar"  # type: ignore
        # A later save wins as usual, also one of what the file said before.
        assert isinstance(await it.applier.saved(time.monotonic()), Applied)
        assert it.instructions() == ["Say two."]

    in_shop(tmp_path, edit, calls=1)


def test_back_to_what_is_in_force_is_no_revision(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        assert isinstance(await it.applier.back_to(0), Unchanged)
        assert [revision.number for revision in it.applier.revisions] == [0]

    in_shop(tmp_path, edit, calls=1)


def test_the_last_twenty_are_kept(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        for number in range(25):
            await it.save(SHOP.replace("Say one", f"Say {number}"))
        assert [revision.number for revision in it.applier.revisions] == list(range(6, 26))
        with pytest.raises(UserError, match="no revision 5") as error:
            await it.applier.back_to(5)
        assert "kept are 6, 7" in error.value.hint
        await it.applier.back_to(6)
        assert it.instructions() == ["Say 5."]

    in_shop(tmp_path, edit, calls=1)


def test_a_way_back_that_a_call_refuses_is_undone(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.save(SHOP.replace("Say one.", "Say poison."))
        await it.save(TWO)
        it.server.refusing = frozenset({1})
        outcome = await it.applier.back_to(1)
        assert isinstance(outcome, Rejected)
        await until(lambda: it.instructions() == ["Say two."] * 2)

    in_shop(tmp_path, edit, calls=2)
