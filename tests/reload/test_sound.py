"""What the caller hears of a running answer while edits land: every sample, once, without a gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.engine import Puppet, Serving, serving, speech_models
from support.until import until

from runner.audio.sink import RealTimeSink
from runner.config.load import load
from runner.desk import Address, Desk
from runner.reload.apply import Applied, Applier
from runner.toolbox import load_tools

LONG = "This answer goes on and on. " * 2
FILE = """\
transport: websocket
reload: {{ apply: {apply} }}
session: {{ audio: {{ input: {{ turn_detection: null }} }} }}
agents:
  desk: {{ instructions: We are open from {number} to 5. }}
"""


class Recorder(RealTimeSink):
    """Keeps what is played, and the longest silence between two pieces of it."""

    def __init__(self) -> None:
        super().__init__()
        self.played = bytearray()
        self.longest_gap = 0.0
        self._end: float | None = None

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        super().play(item_id, content_index, data)
        now = time.monotonic()
        if self._end is not None:
            self.longest_gap = max(self.longest_gap, now - self._end)
        self._end = max(now, self._end or now) + len(data) / 48000
        self.played += data


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    puppet = Puppet()
    puppet.answer = lambda prompt: [LONG]
    with serving(puppet, speech_models()) as running:
        yield running


async def heard(engine: Serving, folder: Path, apply: str, edits: int) -> Recorder:
    """One answer, and so many edits while it sounds."""
    file = folder / "shop.yaml"
    file.write_text(FILE.format(apply=apply, number=0))
    loaded = load(file, env={})
    desk = Desk(
        loaded.deployment, load_tools(loaded), Address(engine.url, "key"), lambda call, event: None
    )
    applier = Applier(desk, loaded, lambda: load(file, env={}))
    sink = Recorder()
    try:
        call = await desk.open(sink=sink)
        call.session.send_message("What time do you open?")
        for number in range(1, edits + 1):
            await until(lambda n=number: len(sink.played) >= n * 24000, 20)
            assert call.session.busy
            file.write_text(FILE.format(apply=apply, number=number))
            outcome = await applier.saved(time.monotonic())
            assert isinstance(outcome, Applied)
            assert bool(outcome.pending) == (apply == "between_turns")
        await until(lambda: sink.played and not call.session.busy, 30)
        await until(lambda: call.revision == edits)
        assert f"from {edits} to" in call.session.effective["instructions"]
    finally:
        await desk.close()
    return sink


@pytest.mark.parametrize("apply", ["between_turns", "immediately"])
def test_an_answer_sounds_as_if_nobody_had_saved(
    engine: Serving, tmp_path: Path, apply: str
) -> None:
    async def main() -> None:
        plain = await heard(engine, tmp_path, apply, 0)
        edited = await heard(engine, tmp_path, apply, 2)
        assert len(plain.played) > 2 * 48000
        assert edited.played == plain.played
        assert edited.longest_gap <= 0.02

    asyncio.run(main())
