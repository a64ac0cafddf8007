"""An edit reaches every live call, or none."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from support.live_shop import PRICE, SHOP, Shop, in_shop
from support.until import until

from runner.core.events import SettingsRefused
from runner.reload.apply import Applied, Rejected, Unchanged


def test_every_call_gets_the_edit_and_only_the_edit(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        outcome = await it.save(SHOP.replace("Say one.", "Say two."))
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending, outcome.total) == (40, 0, 40)
        assert [(c.path, c.reload) for c in outcome.changes] == [
            ("agents.desk.instructions", "next")
        ]
        assert it.instructions() == ["Say two."] * 40
        # The minimum: tools that did not change would cost the cached prompt again.
        assert it.server.updates[7][1:] == [{"type": "realtime", "instructions": "Say two."}]

    in_shop(tmp_path, edit, calls=40)


def test_one_refusal_takes_it_back_everywhere(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        outcome = await it.save(SHOP.replace("Say one.", "Say poison."))
        assert isinstance(outcome, Rejected)
        [problem] = outcome.problems
        assert (problem.line, problem.path) == (5, "agents.desk.instructions")
        assert "no poison here" in problem.message
        assert it.instructions() == ["Say one."] * 6
        # What is in force is what new calls get, too.
        await it.desk.open()
        assert it.instructions()[-1] == "Say one."
        # And the next good save works.
        again = await it.save(SHOP.replace("Say one.", "Say three."))
        assert isinstance(again, Applied)
        assert it.instructions() == ["Say three."] * 7

    in_shop(tmp_path, edit, calls=6, refusing=frozenset({4}))


def test_the_first_call_is_the_canary(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.save(SHOP.replace("Say one.", "Say poison."))
        assert [len(updates) for updates in it.server.updates] == [2, 1, 1]

    in_shop(tmp_path, edit, calls=3, refusing=frozenset({0}))


def test_an_invalid_file_changes_nothing(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        outcome = await it.save(SHOP.replace("Say one.", "Say two.").replace("[price]", "[prise]"))
        assert isinstance(outcome, Rejected)
        assert outcome.problems[0].line == 6
        assert it.instructions() == ["Say one.", "Say one."]

    in_shop(tmp_path, edit, calls=2)


def test_a_tool_that_does_not_import_changes_nothing(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        (tmp_path / "price.py").write_text("def price(:\n")
        outcome = await it.applier.saved(time.monotonic())
        assert isinstance(outcome, Rejected)
        assert outcome.problems[0].path == "tools.price.python"
        assert "line 1" in outcome.problems[0].message

    in_shop(tmp_path, edit, calls=1)


def test_a_tool_that_hangs_at_import_stops_nobody(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("runner.reload.apply.READ_SECONDS", 0.3)

    async def edit(it: Shop) -> None:
        (tmp_path / "price.py").write_text("import threading\nthreading.Event().wait()\n")
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        outcome = await it.applier.saved(time.monotonic())
        heart.cancel()
        assert isinstance(outcome, Rejected)
        assert "still being imported" in outcome.problems[0].message
        assert beats > 10

    in_shop(tmp_path, edit, calls=1)


def test_edited_tool_code_is_live_without_a_word_to_the_server(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        (tmp_path / "price.py").write_text(PRICE.replace("one dollar", "two dollars"))
        outcome = await it.applier.saved(time.monotonic())
        assert isinstance(outcome, Applied)
        assert [change.reload for change in outcome.changes] == ["live"]
        assert [len(updates) for updates in it.server.updates] == [1]
        item = {"id": "item_1", "type": "function_call", "call_id": "call_1", "name": "price"}
        whole = {**item, "arguments": '{"item": "pen"}', "status": "completed"}
        response = {"id": "resp_1", "object": "realtime.response", "status": "in_progress"}
        await it.server.send(0, {"type": "response.created", "response": response})
        await it.server.send(
            0,
            {
                "type": "response.output_item.done",
                "response_id": "resp_1",
                "output_index": 0,
                "item": whole,
            },
        )
        await until(lambda: any(e.type == "agent_tool_end" for _, e in it.events))
        [end] = [e for _, e in it.events if e.type == "agent_tool_end"]
        assert end.output == "two dollars"

    in_shop(tmp_path, edit, calls=1)


def test_a_save_that_says_the_same_is_no_revision(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        assert isinstance(await it.save("# a comment\n" + SHOP), Unchanged)
        assert it.desk.revision == 0

    in_shop(tmp_path, edit, calls=1)


def test_a_call_in_a_turn_waits_and_a_late_refusal_undoes_all(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        busy = list(it.desk.calls.values())[1]
        response = {"id": "resp_1", "object": "realtime.response", "status": "in_progress"}
        await it.server.send(1, {"type": "response.created", "response": response})
        await until(lambda: busy.session.busy)
        outcome = await it.save(SHOP.replace("Say one.", "Say poison."))
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending, outcome.total) == (1, 1, 2)
        assert it.instructions() == ["Say poison.", "Say one."]
        done = {**response, "status": "completed", "output": []}
        await it.server.send(1, {"type": "response.done", "response": done})
        await until(lambda: any(isinstance(e, SettingsRefused) for _, e in it.events))
        [refused] = [(c, e) for c, e in it.events if isinstance(e, SettingsRefused)]
        undone = await it.applier.refused_later(*refused)
        assert isinstance(undone, Rejected)
        assert it.instructions() == ["Say one.", "Say one."]

    in_shop(tmp_path, edit, calls=2, refusing=frozenset({1}))


def test_a_newer_save_overtakes_one_that_waits(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        [call] = it.desk.calls.values()
        response = {"id": "resp_1", "object": "realtime.response", "status": "in_progress"}
        await it.server.send(0, {"type": "response.created", "response": response})
        await until(lambda: call.session.busy)
        await it.save(SHOP.replace("Say one.", "Say two."))
        second = await it.save(SHOP.replace("Say one.", "Say three."))
        assert isinstance(second, Applied)
        assert second.pending == 1
        done = {**response, "status": "completed", "output": []}
        await it.server.send(0, {"type": "response.done", "response": done})
        await until(lambda: call.revision == 2)
        assert [u.get("instructions") for u in it.server.updates[0]] == ["Say one.", "Say three."]

    in_shop(tmp_path, edit, calls=1)
