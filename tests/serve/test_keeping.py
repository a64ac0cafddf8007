"""`records: { keep: ... }`: what is old goes, and nothing else does."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from support.engine import Puppet, serving
from support.houses import SHOP, hall
from support.until import until

from runner.serve.keeping import sweep

OLD, NOW = 1000.0, 2000.0


def made(path: Path, at: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    os.utime(path, (at, at))
    return path


@pytest.mark.quick
def test_only_files_that_the_template_made(tmp_path: Path) -> None:
    gone = [
        made(tmp_path / "kept" / name)
        for name in (
            "call_1f.json",
            "call_1f-2.json",
            "rtc_x.json",
            "CA12.json",
            ".call_1-x_8.part",
        )
    ]
    stays = [
        made(tmp_path / "kept" / "call_2.json", NOW),
        *(
            made(tmp_path / "kept" / name)
            for name in ("notes.json", "call_1.wav", "call_1.json.bak", "xcall_1.json")
        ),
        made(tmp_path / "call_1.json"),
        made(tmp_path / "kept" / "deeper" / "call_1.json"),
    ]
    assert sweep(tmp_path, "kept/{call.id}.json", NOW) == len(gone)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)


@pytest.mark.quick
def test_a_folder_for_each_call(tmp_path: Path) -> None:
    old = made(tmp_path / "a" / "call_1" / "told.json")
    other = made(tmp_path / "a" / "mine" / "told.json")
    assert sweep(tmp_path, "a/{call.id}/told.json", NOW) == 1
    assert (old.exists(), other.exists()) == (False, True)
    assert sweep(tmp_path, "nowhere/{call.id}", NOW) == 0


@pytest.mark.quick
def test_no_link_is_followed_out_of_the_folder(tmp_path: Path) -> None:
    outside = made(tmp_path / "outside" / "told.json")
    other = made(tmp_path / "outside" / "call_9.json")
    kept = tmp_path / "here" / "kept"
    kept.mkdir(parents=True)
    (kept / "call_1").symlink_to(outside.parent)
    (kept / "call_2.json").symlink_to(other)
    assert sweep(tmp_path / "here", "kept/{call.id}/told.json", NOW) == 0
    assert sweep(tmp_path / "here", "kept/{call.id}.json", NOW) == 0
    assert outside.exists()
    assert other.exists()
    # The folder itself may be a link: that is how records go to another disk.
    (tmp_path / "here" / "disk").symlink_to(outside.parent)
    assert sweep(tmp_path / "here", "disk/{call.id}.json", NOW) == 1


def test_at_the_start_and_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.serve.records.SWEEP_SECONDS", 0.01)
    text = SHOP + 'records: { transcript: "kept/{call.id}.json", keep: 30d }\n'
    old = made(tmp_path / "kept" / "call_1.json")

    async def main(url: str) -> None:
        async with hall(tmp_path, url, shop=text) as it:
            await until(lambda: not old.exists())
            made(old)
            await until(lambda: not old.exists())
        assert it.failed == []

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))
