"""Who is asked first, what a refusal undoes, and how a newer save overtakes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from support.live_shop import SHOP, Shop, in_shop
from support.until import until

from runner.core.events import SettingsPending
from runner.reload.apply import Applied, Rejected, Superseded, Unchanged

TWO = SHOP.replace("Say one.", "Say two.")
THREE = SHOP.replace("Say one.", "Say three.")
POISON = SHOP.replace("Say one.", "Say poison.")


@pytest.fixture
def hasty(monkeypatch: Any) -> None:
    """A server has a fifth of a second to answer."""
    monkeypatch.setattr("runner.core.settings.ANSWER_WITHIN", 0.2)


def test_the_call_that_was_idle_longest_tries_it(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        calls = list(it.desk.calls.values())
        for call, ago in zip(calls, (1, 30, 2), strict=True):
            call.active = time.monotonic() - ago
        outcome = await it.save(POISON)
        assert isinstance(outcome, Rejected)
        assert outcome.session == calls[1].id
        assert calls[1].id in outcome.problems[0].message
        assert [len(updates) for updates in it.server.updates] == [1, 2, 1]

    in_shop(tmp_path, edit, calls=3, refusing=frozenset({1}))


def test_where_none_is_idle_the_first_whose_turn_ends_tries_it(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        calls = [await it.busy(number) for number in range(3)]
        outcome = await it.save(POISON)
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending) == (0, 3)
        assert sum(isinstance(e, SettingsPending) for _, e in it.events) == 3
        await it.done(1)
        await until(it.refusals)
        undone = await it.applier.refused_later(*it.refusals()[0])
        assert isinstance(undone, Rejected)
        assert undone.session == calls[1].id
        await it.done(0)
        await it.done(2)
        await until(lambda: not any(call.session.busy for call in calls))
        # The others were never asked.
        assert [len(updates) for updates in it.server.updates] == [1, 2, 1]

    in_shop(tmp_path, edit, calls=3, refusing=frozenset({1}))


def test_the_others_get_it_when_the_first_has_it(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        calls = [await it.busy(number) for number in range(2)]
        await it.save(TWO)
        await it.done(0)
        await until(lambda: calls[0].revision == 1)
        assert calls[1].revision == 0
        await it.done(1)
        await until(lambda: calls[1].revision == 1)
        assert it.instructions() == ["Say two.", "Say two."]
        pending = [call for call, event in it.events if isinstance(event, SettingsPending)]
        assert pending == calls  # told once each

    in_shop(tmp_path, edit, calls=2)


def test_a_call_that_ends_before_its_turn_is_not_missed(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        calls = [await it.busy(number) for number in range(2)]
        await it.save(TWO)
        await it.desk.hang_up(calls[0])
        await it.done(1)
        await until(lambda: calls[1].revision == 1)
        # Nor is its end a refusal.
        for call, event in it.refusals():
            assert await it.applier.refused_later(call, event) is None
        assert it.desk.revision == 1

    in_shop(tmp_path, edit, calls=2)


def test_saving_the_same_again_does_not_forget_the_calls_that_wait(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        call = await it.busy(0)
        await it.save(TWO)
        assert isinstance(await it.save(TWO + "# the same\n"), Unchanged)
        await it.done(0)
        await until(lambda: call.revision == 1)

    in_shop(tmp_path, edit, calls=1)


def test_a_late_refusal_undoes_what_several_had_waited_for(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.busy(1)
        await it.busy(2)
        outcome = await it.save(POISON)
        assert isinstance(outcome, Applied)
        assert (outcome.applied, outcome.pending) == (1, 2)
        await it.done(2)
        await until(lambda: it.instructions()[2] == "Say poison.")
        await it.done(1)
        await until(it.refusals)
        assert isinstance(await it.applier.refused_later(*it.refusals()[0]), Rejected)
        assert it.instructions() == ["Say one."] * 3

    in_shop(tmp_path, edit, calls=3, refusing=frozenset({1}))


def test_a_newer_save_does_not_wait_for_a_server_that_is_silent(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        silent = next(iter(it.desk.calls.values()))
        silent.active -= 60
        it.server.silent.add(0)
        it.file.write_text(TWO)
        first = asyncio.ensure_future(it.applier.saved(time.monotonic()))
        await until(lambda: len(it.server.updates[0]) == 2)
        it.file.write_text(THREE)
        second = asyncio.ensure_future(it.applier.saved(time.monotonic()))
        assert isinstance(await first, Superseded)
        # Long before the five seconds are over that the silent one has.
        await until(lambda: it.instructions()[1:] == ["Say three."] * 2, 3)
        it.server.silent.clear()
        await it.server.echo(0)
        assert isinstance(await second, Applied)
        assert it.instructions() == ["Say three."] * 3

    in_shop(tmp_path, edit, calls=3)


def test_overtaken_by_what_was_there_before_nothing_of_it_stays(
    tmp_path: Path, hasty: None
) -> None:
    async def edit(it: Shop) -> None:
        it.server.silent.add(0)
        it.file.write_text(TWO)
        first = asyncio.ensure_future(it.applier.saved(time.monotonic()))
        await until(lambda: len(it.server.updates[0]) == 2)
        it.server.silent.clear()
        assert isinstance(await it.save(SHOP), Unchanged)
        assert isinstance(await first, Superseded)
        assert it.instructions() == ["Say one."]
        # The server may have taken it without a word: it was told the old words once more.
        assert it.server.updates[0][-1]["instructions"] == "Say one."

    in_shop(tmp_path, edit, calls=1)


def test_a_server_that_is_silent_undoes_it_everywhere(tmp_path: Path, hasty: None) -> None:
    async def edit(it: Shop) -> None:
        it.server.deaf_to = "two"
        outcome = await it.save(TWO)
        assert isinstance(outcome, Rejected)
        assert "timeout" in outcome.problems[0].message
        assert it.instructions() == ["Say one."] * 2

    in_shop(tmp_path, edit, calls=2)


def test_a_call_that_cannot_go_back_is_marked_and_goes_on(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        first, second = it.desk.calls.values()
        first.active -= 60
        it.server.refusing, it.server.stubborn = frozenset({1}), frozenset({0})
        outcome = await it.save(POISON)
        assert isinstance(outcome, Rejected)
        assert (outcome.session, outcome.degraded) == (second.id, (first.id,))
        assert "not back" in first.degraded
        assert [e.code for c, e in it.events if e.type == "error"] == ["degraded"]
        assert not first.ended.is_set()
        # A broken call does not stand in the way of the others, and is tried each time.
        assert isinstance(await it.save(TWO), Applied)
        assert second.revision == it.desk.revision
        assert first.degraded
        it.server.stubborn = frozenset()
        assert isinstance(await it.save(THREE), Applied)
        assert not first.degraded
        assert it.instructions() == ["Say three."] * 2

    in_shop(tmp_path, edit, calls=2)


def test_a_call_that_is_being_connected_gets_the_edit(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        it.server.silent.add(1)
        opening = asyncio.ensure_future(it.desk.open())
        await until(lambda: len(it.server.sessions) == 2 and it.server.updates[1])
        assert isinstance(await it.save(TWO), Applied)
        it.server.silent.clear()
        await it.server.echo(1)
        call = await opening
        await until(lambda: call.revision == 1)
        assert it.instructions() == ["Say two."] * 2

    in_shop(tmp_path, edit, calls=1)


NIGHT = """\
transport: websocket
timezone: none
agents:
  desk:
    instructions: Say day.
    handoffs: [{ to: night }, { to: clerk }]
  night: { instructions: Say night. }
  clerk: { instructions: Say clerk. }
"""


def test_an_agent_that_was_removed_keeps_its_call_and_loses_ways_to_others(tmp_path: Path) -> None:
    async def edit(it: Shop) -> None:
        await it.save(NIGHT)
        [call] = it.desk.calls.values()
        renamed = NIGHT.replace("desk:", "reception:").replace("{ to: night }, ", "")
        renamed = renamed.replace("  night: { instructions: Say night. }\n", "")
        renamed = renamed.replace("Say day.", "Say hello.").replace("Say clerk.", "Say hi.")
        outcome = await it.save(renamed)
        assert isinstance(outcome, Applied)
        assert call.session.agent.name == "desk"
        assert it.instructions() == ["Say day."]
        [tool] = it.server.sessions[0]["tools"]
        assert tool["name"] == "transfer_to_clerk"
        [way] = call.session.agent.handoffs
        assert way.agent.instructions == "Say hi."  # type: ignore[union-attr]
        # Back again, it is what the file says.
        await it.save(NIGHT.replace("Say day.", "Say dawn."))
        assert it.instructions() == ["Say dawn."]
        assert len(it.server.sessions[0]["tools"]) == 2

    in_shop(tmp_path, edit, calls=1)


def test_a_call_keeps_the_audio_format_that_it_began_with(tmp_path: Path) -> None:
    """Its own end knows of no other: the caller would hear noise."""

    async def edit(it: Shop) -> None:
        phone = TWO + (
            "session:\n  audio:\n"
            "    input: { format: { type: audio/pcmu } }\n"
            "    output: { format: { type: audio/pcmu }, speed: 1.2 }\n"
        )
        assert isinstance(await it.save(phone), Applied)
        [session] = it.server.sessions
        assert session["audio"]["output"]["speed"] == 1.2
        for side in ("input", "output"):
            assert session["audio"][side]["format"] == {"type": "audio/pcm", "rate": 24000}
        await it.desk.open()
        assert it.server.sessions[1]["audio"]["output"]["format"] == {"type": "audio/pcmu"}

    in_shop(tmp_path, edit, calls=1)
