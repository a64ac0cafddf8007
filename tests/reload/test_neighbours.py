"""A module that a tool imports from beside it is a part of the deployment."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from support.live_shop import Shop, in_shop

from runner.core.events import SettingsApplied
from runner.reload.apply import Applied, Rejected
from runner.reload.watch import Watcher
from runner.tools.base import ToolContext

TOOL = """\
import threading
from .our_list import amount
go_on, begun = threading.Event(), threading.Event()
def price(item: str) -> str:
    import our_words
    if item == "slow":
        begun.set()
        go_on.wait(10)
    return our_words.told(amount(item))
"""
LIST = "def amount(item): return 'one'\n"
WORDS = "def told(amount): return amount + ' dollar'\n"


def with_neighbours(folder: Path, test: Any, calls: int = 1) -> None:
    async def prepared(it: Shop) -> None:
        (folder / "our_list.py").write_text(LIST)
        (folder / "our_words.py").write_text(WORDS)
        (folder / "price.py").write_text(TOOL)
        assert isinstance(await it.applier.saved(time.monotonic()), Applied)
        files = it.applier.loaded.deployment
        watcher = Watcher(files.files, digests=files.digests)
        await watcher.start()
        try:
            await test(it, watcher)
        finally:
            await watcher.close()

    in_shop(folder, prepared, calls=calls)


async def asked(it: Shop, item: str) -> str:
    tool: Any = it.desk.tools.tools["price"]
    return str(await tool.run(f'{{"item": "{item}"}}', ToolContext("desk", "price", "c")))


def test_an_edited_neighbour_reaches_new_calls_of_the_tool_alone(tmp_path: Path) -> None:
    async def edit(it: Shop, watcher: Watcher) -> None:
        slow = asyncio.ensure_future(asked(it, "slow"))
        old: Any = it.desk.tools.tools["price"]
        await asyncio.to_thread(old.function.__globals__["begun"].wait, 10)
        for name, text in (("our_list", LIST.replace("one", "two")), ("our_words", WORDS + "\n")):
            (tmp_path / f"{name}.py").write_text(text)
            saved = await anext(watcher.changes()) if name == "our_list" else None
            outcome = await it.applier.saved(time.monotonic())
            assert isinstance(outcome, Applied)
            assert [(c.path, c.reload) for c in outcome.changes] == [("tools.price.python", "live")]
            assert saved is None or saved.paths == (tmp_path / "our_list.py",)
        assert await asked(it, "pen") == "two dollar"
        old.function.__globals__["go_on"].set()
        assert await slow == "one dollar"
        assert [len(updates) for updates in it.server.updates] == [1]
        back = await it.applier.back_to(1)
        assert isinstance(back, Applied)
        assert await asked(it, "pen") == "one dollar"
        assert len([e for _, e in it.events if isinstance(e, SettingsApplied)]) == 4

    with_neighbours(tmp_path, edit)


def test_a_broken_neighbour_refuses_the_save_at_its_own_line(tmp_path: Path) -> None:
    async def edit(it: Shop, watcher: Watcher) -> None:
        broken = tmp_path / "our_words.py"
        broken.write_text(WORDS + "def more(:\n")
        assert (await anext(watcher.changes())).paths == (broken,)
        outcome = await it.applier.saved(time.monotonic())
        assert isinstance(outcome, Rejected)
        [problem] = outcome.problems
        where = (problem.file, problem.line, problem.column, problem.path)
        assert where == (str(broken), 2, 10, "tools.price.python")
        assert "invalid syntax at line 2 of our_words.py" in problem.message
        assert await asked(it, "pen") == "one dollar"
        broken.write_text(WORDS.replace(" dollar", " euro"))
        assert isinstance(await it.applier.saved(time.monotonic()), Applied)
        assert await asked(it, "pen") == "one euro"

    with_neighbours(tmp_path, edit)
