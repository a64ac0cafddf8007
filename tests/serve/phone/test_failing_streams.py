"""A model that cannot be reached, and what a caller at Twilio hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.refusing import RefusingServer, refusing_server
from support.twilio import LINE, Exchange, exchange
from support.until import until

from runner import excuses, voice
from runner.audio.g711 import ulaw_decode
from runner.errors import MissingModels
from runner.testing import TwilioCaller

WORDS, ELSEWHERE = "Sorry.", "+15550188"
FILE = LINE + "agents: { desk: { instructions: x } }\n"
BOTH = FILE + f'on_failure: {{ say: "{WORDS}", transfer: "tel:{ELSEWHERE}" }}\n'
SAY = FILE + f'on_failure: {{ say: "{WORDS}" }}\n'

Test = Callable[[Exchange, RefusingServer, TwilioCaller], Awaitable[None]]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 0.2)


def ring(folder: Path, test: Test, text: str) -> None:
    async def main() -> None:
        async with refusing_server() as server, asyncio.timeout(60):
            async with exchange(folder, server.url, clinic=text) as it, it.phone() as caller:
                await caller.connected.wait()
                await until(lambda: it.ears.calls)
                await test(it, server, caller)
            assert caller.failures == []

    asyncio.run(main())


def verbs(caller: TwilioCaller) -> list[str]:
    """What Twilio did behind the stream."""
    return [f"{verb.name} {verb.text}" for verb in caller.done if verb.name != "Connect"]


async def loses_the_model(it: Exchange, server: RefusingServer, caller: TwilioCaller) -> None:
    server.away = True
    await server.connections[-1].close(1011)


def test_the_words_and_then_somebody_else(tmp_path: Path) -> None:
    """They are heard on the stream while a line is tried for, once, before the caller leaves."""

    async def test(it: Exchange, server: RefusingServer, caller: TwilioCaller) -> None:
        await loses_the_model(it, server, caller)
        await caller.over.wait()
        assert verbs(caller) == [f"Dial {ELSEWHERE}"]
        heard = ulaw_decode(bytes(caller.played))
        assert len(heard) > 4_000
        assert len(set(heard)) > 100  # a voice, and no silence
        assert it.call(caller).lost

    ring(tmp_path, test, BOTH)


def test_twilio_speaks_where_no_voice_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_: object) -> None:
        raise MissingModels("no voice")

    monkeypatch.setattr(voice.LocalVoice, "__init__", nobody)
    monkeypatch.setattr(voice.Clip, "_made", {})

    async def test(it: Exchange, server: RefusingServer, caller: TwilioCaller) -> None:
        await loses_the_model(it, server, caller)
        await caller.over.wait()
        assert verbs(caller) == [f"Say {WORDS}"]
        assert not caller.played

    ring(tmp_path, test, SAY)


def test_a_line_that_comes_back_after_the_words(tmp_path: Path) -> None:
    """With nobody else to talk to, the caller is told and waits."""

    async def test(it: Exchange, server: RefusingServer, caller: TwilioCaller) -> None:
        await loses_the_model(it, server, caller)
        call = it.call(caller)
        await until(lambda: call.excused)
        server.away = False
        await until(lambda: call.session.connected and not call.away)
        assert (verbs(caller), call.excused) == ([], False)

    ring(tmp_path, test, SAY)


def test_a_model_that_says_nothing_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address takes connections and answers none: the caller does not wait for that."""
    monkeypatch.setattr(excuses, "CONNECT_SECONDS", 0.3)

    async def test(it: Exchange, server: RefusingServer, caller: TwilioCaller) -> None:
        server.open.clear()
        async with it.phone(to="+15550101") as another:
            await another.over.wait()
        assert verbs(another) == [f"Say {WORDS}", f"Dial {ELSEWHERE}"]
        assert any("no line within" in note for note in it.ears.notes)
        server.open.set()

    ring(tmp_path, test, BOTH)
