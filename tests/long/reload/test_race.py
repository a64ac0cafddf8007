"""Edits race turns, tools, handoffs, barge-in and each other: all seeds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support import edit_race


def test_every_call_ends_on_one_revision_whole(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("runner.core.settings.ANSWER_WITHIN", edit_race.PATIENCE)

    async def main() -> None:
        for seed in range(1000):
            await edit_race.run(seed, tmp_path)

    asyncio.run(main())
