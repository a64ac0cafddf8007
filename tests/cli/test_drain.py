"""`rtrun drain`: a process ends when its calls have ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import rtrun
from support.engine import Puppet, serving
from support.live import running, shop

from runner.serve.sockets import own_folder


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with serving(Puppet(), no_speech="typed") as running:
        yield running.url


def test_drain_waits_until_the_process_has_ended(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run:
        done = rtrun("drain")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [
            f"draining shop (process {run.process.pid}): 1 call on the line",
            f"process {run.process.pid} has ended",
        ]
        assert run.process.wait(10) == 0
        assert run.wait_for("session_end")["reason"] == "drained"
    assert rtrun("drain").returncode == 1
    assert list(own_folder().iterdir()) == []


def test_a_deadline_ends_a_turn_that_takes_too_long(tmp_path: Path) -> None:
    class Silent(Puppet):
        async def think(self, prompt: Any) -> Any:  # type: ignore[override]
            await asyncio.sleep(3600)
            yield None

    with (
        serving(Silent(), no_speech="typed") as slow,
        running(slow.url, shop(tmp_path)) as run,
    ):
        run.type("hello")
        run.wait_for("transcript")
        assert rtrun("drain", "--no-wait").returncode == 0
        told = json.loads(rtrun("ps", "--format", "json").stdout)
        assert told[0]["draining"] is True
        assert told[0]["deployments"][0]["sessions"][0]["state"] == "in a turn"
        assert "draining" in rtrun("ps").stdout
        done = rtrun("drain", "--deadline", "200ms")
        assert done.returncode == 0
        assert run.process.wait(30) == 0
    assert rtrun("drain", "--deadline", "soon").returncode == 2


def test_all_processes_are_drained(tmp_path: Path, engine: str) -> None:
    with (
        running(engine, shop(tmp_path), shop(tmp_path, "bar")) as two,
        running(engine, shop(tmp_path, "pub")) as one,
    ):
        done = rtrun("drain", "--all")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("has ended") == 2
        assert (two.process.wait(10), one.process.wait(10)) == (0, 0)
