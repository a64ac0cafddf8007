"""80 of 80 edits of six kinds are seen, once each, and no touch is."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support import saving


def test_every_edit_is_seen_once_and_no_touch(tmp_path: Path) -> None:
    counts, others = asyncio.run(saving.seen(tmp_path, 80))
    assert (sum(counts.values()), others) == (80, 0), counts
