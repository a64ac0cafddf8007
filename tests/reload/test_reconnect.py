"""``reload: { in_call: reconnect }``: what a line cannot take, a call gets by another line."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from support.engine import serving, speech_models, spoken
from support.live_shop import RESPONSE, SHOP, Shop, in_shop
from support.until import until

from runner.config.load import load
from runner.core.events import Reconnected, SessionEvent, SettingsPending, Transcript
from runner.desk import Address, Call, Desk
from runner.engine.brain.rehearsal import Rehearsal
from runner.reload.apply import Applied, Applier, Rejected, Superseded
from runner.toolbox import load_tools

MOVABLE = SHOP + "model: one\nreload: { in_call: reconnect }\n"


def movable(test: Any, folder: Path, calls: int, refusing: frozenset[int] = frozenset()) -> None:
    async def prepared(it: Shop) -> None:
        outcome = await it.save(MOVABLE)
        assert isinstance(outcome, Applied)
        assert it.server.models == ["gpt-realtime-2.1"] * calls + ["one"] * calls
        await test(it)

    in_shop(folder, prepared, calls=calls, refusing=refusing)


def on_the_line(it: Shop) -> list[tuple[str, Any]]:
    """The model and the instructions of each connection that is open."""
    there = [n for n, c in enumerate(it.server.connections) if c.close_code is None]
    return [(it.server.models[n], it.server.sessions[n].get("instructions")) for n in there]


def test_another_model_reaches_calls_that_run(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        outcome = await it.save(
            MOVABLE.replace("model: one", "model: two").replace("Say one.", "Say two.")
        )
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending, outcome.total) == (3, 0, 3)
        assert {c.path: c.reload for c in outcome.changes} == {
            "model": "reconnect",
            "agents.desk.instructions": "next",
        }
        assert on_the_line(it) == [("two", "Say two.")] * 3
        assert [type(e) for _, e in it.events if isinstance(e, Reconnected)] == [Reconnected] * 6
        assert all(call.session.model == "two" for call in it.desk.live)

    movable(edit, tmp_path, calls=3)


def test_without_it_a_model_is_for_new_calls(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        outcome = await it.save(SHOP + "model: two\n")
        assert isinstance(outcome, Applied)
        assert [(c.path, c.reload) for c in outcome.changes] == [("model", "new")]
        assert len(it.server.models) == 1

    in_shop(tmp_path, edit, calls=1)


def test_an_edit_that_a_line_can_take_opens_no_other(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.save(MOVABLE.replace("Say one.", "Say two."))
        assert on_the_line(it) == [("one", "Say two.")]
        assert len(it.server.models) == 2

    movable(edit, tmp_path, calls=1)


def test_one_refusal_puts_every_call_back_on_a_line_as_before(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        text = MOVABLE.replace("model: one", "model: two").replace("Say one.", "Say poison.")
        outcome = await it.save(text)
        assert isinstance(outcome, Rejected)
        assert outcome.session in {call.id for call in it.desk.live}
        assert outcome.degraded == ()
        await until(lambda: on_the_line(it) == [("one", "Say one.")] * 3)
        assert all(call.session.model == "one" for call in it.desk.live)
        again = await it.save(MOVABLE.replace("model: one", "model: two"))
        assert isinstance(again, Applied)
        assert on_the_line(it) == [("two", "Say one.")] * 3

    movable(edit, tmp_path, calls=3, refusing=frozenset({7}))


def test_a_model_that_the_server_does_not_have_changes_nothing(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        it.server.unknown = {"two"}
        outcome = await it.save(MOVABLE.replace("model: one", "model: two"))
        assert isinstance(outcome, Rejected)
        assert "404" in outcome.problems[0].message
        assert outcome.problems[0].path == "model"
        await until(lambda: on_the_line(it) == [("one", "Say one.")] * 2)
        assert [call.ended.is_set() for call in it.desk.live] == [False, False]

    movable(edit, tmp_path, calls=2)


def test_a_turn_is_finished_first_and_the_newest_save_wins(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        [call] = it.desk.live
        await it.server.send(1, {"type": "response.created", "response": RESPONSE})
        await until(lambda: call.session.busy)
        first = asyncio.create_task(it.save(MOVABLE.replace("model: one", "model: two")))
        await until(lambda: any(isinstance(e, SettingsPending) for _, e in it.events))
        outcome = await it.save(MOVABLE.replace("model: one", "model: three"))
        assert not isinstance(outcome, Rejected)
        assert isinstance(await first, Applied | Superseded)
        assert on_the_line(it) == [("one", "Say one.")]
        await it.done(1)
        await until(lambda: on_the_line(it) == [("three", "Say one.")])
        await until(lambda: call.revision == it.desk.revision)
        assert "two" not in it.server.models

    movable(edit, tmp_path, calls=1)


SPOKEN = """\
timezone: none
transport: websocket
session:
  audio:
    input: { format: pcm16, turn_detection: { type: server_vad } }
    output: { format: pcm16, voice: marin }
agents:
  desk:
    instructions: We are open from eight to five.
reload: { in_call: reconnect }
"""


class Tape:
    """A sink that counts what came, and has heard it at once."""

    def __init__(self) -> None:
        self.on_drained: Any = None
        self.counts: dict[tuple[str, int], int] = {}
        self.data = b""
        self.idle = True

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        part = (item_id, content_index)
        self.counts[part] = self.counts.get(part, 0) + len(data) // 2
        self.data += data
        asyncio.get_running_loop().call_soon(self.on_drained)

    def flush(self) -> None: ...

    def heard(self, item_id: str, content_index: int) -> int:
        return self.counts.get((item_id, content_index), 0)

    def close(self) -> None: ...


@pytest.mark.parametrize("law", ["g711_ulaw", "g711_alaw"])
def test_a_spoken_call_gets_other_formats_and_another_voice(tmp_path: Path, law: str) -> None:
    """Who speaks and hears goes on in PCM16 at 24 kHz, and the call remembers what was said."""
    file = tmp_path / "shop.yaml"
    file.write_text(SPOKEN)
    events: list[SessionEvent] = []

    def heard(call: Call, event: SessionEvent) -> None:
        events.append(event)

    def said(role: str) -> list[str]:
        return [e.text for e in events if isinstance(e, Transcript) and e.role == role]

    async def ask(call: Call, count: int) -> None:
        for start in range(
            0, len(audio := spoken("What are your opening hours?") + bytes(48_000)), 4800
        ):
            call.session.send_audio(audio[start : start + 4800])
        await until(lambda: len(said("assistant")) == count and not call.session.busy, 30)

    async def main(url: str) -> None:
        loaded = load(file, env={})
        tape = Tape()
        desk = Desk(loaded.deployment, load_tools(loaded), Address(url, "key"), heard)
        applier = Applier(desk, loaded, lambda: load(file, env={}))
        try:
            call = await desk.open(sink=tape)
            await ask(call, 1)
            first = len(tape.data)
            file.write_text(SPOKEN.replace("pcm16", law).replace("marin", "cedar"))
            outcome = await applier.saved(time.monotonic())
            assert isinstance(outcome, Applied)
            assert (outcome.applied, outcome.pending) == (1, 0)
            assert {c.reload for c in outcome.changes} == {"reconnect"}
            audio: Any = call.session.effective["audio"]
            wire = "audio/pcmu" if law == "g711_ulaw" else "audio/pcma"
            assert audio["input"]["format"]["type"] == wire
            assert audio["output"]["format"]["type"] == wire
            assert audio["output"]["voice"] == "cedar"
            await ask(call, 2)
            texts = [item.text for item in call.session.history if item.role == "assistant"]
            assert len(texts) == 2
            assert said("user")[0] == said("user")[1] == "What are your opening hours?"
            # The same words take as long in a sink that knows nothing of it.
            second = len(tape.data) - first
            assert 0.6 < (second / len(texts[1])) / (first / len(texts[0])) < 1.6
        finally:
            await desk.close()

    with serving(Rehearsal(), speech_models()) as engine:
        asyncio.run(main(engine.url))
