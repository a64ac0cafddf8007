"""Edits race turns, tools, handoffs, barge-in and each other: a tenth of the seeds."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from support import edit_race


def test_every_call_ends_on_one_revision_whole(tmp_path: Path) -> None:
    async def main() -> Counter[str]:
        total: Counter[str] = Counter()
        for seed in range(100):
            total += await edit_race.run(seed, tmp_path)
        return total

    seen = asyncio.run(main())
    wanted = (
        "Applied",
        "Rejected",
        "Superseded",
        "pending",
        "refuses",
        "deaf",
        "mute",
        "late",
        "away",
    )
    assert all(seen[what] for what in wanted), seen
