"""Edits race turns, tools, handoffs, barge-in and each other: all seeds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support import edit_race


def test_every_call_ends_on_one_revision_whole(tmp_path: Path) -> None:
    async def main() -> None:
        for seed in range(1000):
            await edit_race.run(seed, tmp_path)

    asyncio.run(main())
