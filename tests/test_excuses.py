"""`on_failure:`: a service that refuses, is out of quota, or goes away, and what a caller hears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.hearing import words_in
from support.refusing import RefusingServer, refusing_server
from support.until import until

from runner import excuses, renewal
from runner.audio.formats import AudioFormat
from runner.audio.g711 import ulaw_decode
from runner.audio.sink import RealTimeSink
from runner.config.load import load
from runner.core.events import SessionError, Transcript
from runner.desk import Address, Call, Desk
from runner.errors import ConnectError
from runner.media.resample import resample
from runner.toolbox import load_tools
from runner.transports import websocket
from runner.transports.connection import Connection
from runner.transports.registry import create

LONG, WORDS = "We have a problem on the line.", "Sorry."
FILE = f"""\
transport: websocket
timezone: none
session: {{ audio: {{ output: {{ format: g711_ulaw }} }} }}
agents: {{ desk: {{ instructions: x }} }}
on_failure: {{ say: "{WORDS}" }}
"""
ULAW = AudioFormat.from_wire({"type": "audio/pcmu"})


class Ear(RealTimeSink):
    """A loudspeaker at real time; what it was given is what was heard, but for what was cut."""

    def __init__(self, fmt: AudioFormat = ULAW) -> None:
        super().__init__(fmt)
        self.heard: list[tuple[str, bytes]] = []

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        self.heard.append((item_id, data))
        super().play(item_id, content_index, data)


class Scene:
    def __init__(self, desk: Desk, server: RefusingServer, seen: list[tuple[Call, Any]]) -> None:
        self.desk, self.server, self.seen = desk, server, seen
        self.ear = Ear()

    async def call(self) -> Call:
        return await self.desk.open(sink=self.ear)

    async def fails(self, call: Call, n: int, code: str) -> None:
        """The newest connection fails to make an answer."""
        error = {"type": "x", "code": code, "message": f"{code} it is"}
        response = {"id": f"r{n}", "status": "in_progress", "output": []}
        number = len(self.server.connections) - 1
        await self.server.send(number, {"type": "response.created", "response": response})
        done = {
            **response,
            "status": "failed",
            "status_details": {"type": "failed", "error": error},
        }
        await self.server.send(number, {"type": "response.done", "response": done})

    @property
    def said(self) -> list[str]:
        return [event.text for _, event in self.seen if isinstance(event, Transcript)]


def scene(folder: Path, test: Callable[[Scene], Awaitable[None]], text: str = FILE) -> None:
    async def main() -> None:
        (folder / "x.yaml").write_text(text)
        loaded = load(folder / "x.yaml", env={"T": "token"})
        seen: list[tuple[Call, Any]] = []
        async with refusing_server() as server, asyncio.timeout(60):
            desk = Desk(
                loaded.deployment,
                load_tools(loaded),
                Address(server.url, "key"),
                lambda call, event: seen.append((call, event)),
            )
            try:
                await test(Scene(desk, server, seen))
            finally:
                await desk.close()

    asyncio.run(main())


def test_a_service_that_refuses(tmp_path: Path) -> None:
    """The caller has heard the words, in the call's own format, when the call is given up."""

    async def test(it: Scene) -> None:
        it.server.unknown.add(it.desk.deployment.model)
        with pytest.raises(ConnectError):
            await it.call()
        [(item, data)] = it.ear.heard
        assert item == "on_failure"
        assert it.ear.idle
        assert it.said == [LONG]
        assert "problem on the line" in await words_in(resample(ulaw_decode(data), 8000, 16000))

    scene(tmp_path, test, FILE.replace(WORDS, LONG))


def test_a_service_that_is_out_of_quota(tmp_path: Path) -> None:
    async def test(it: Scene) -> None:
        call = await it.call()
        await it.fails(call, 1, "insufficient_quota")
        await until(call.ended.is_set)
        assert (call.lost, call.reason) == (True, "the service failed: insufficient_quota it is")
        assert it.said == [WORDS]
        assert it.ear.heard
        assert it.ear.idle
        assert it.desk.calls == {}

    scene(tmp_path, test)


def test_a_service_that_makes_no_answers(tmp_path: Path) -> None:
    """One answer that fails is an accident; what comes after a good one counts anew."""

    async def test(it: Scene) -> None:
        call = await it.call()
        await it.fails(call, 1, "server_error")
        good = {"id": "r2", "status": "completed", "output": []}
        await it.server.send(0, {"type": "response.created", "response": good})
        await it.server.send(0, {"type": "response.done", "response": good})
        await it.fails(call, 3, "server_error")
        await until(lambda: call.failed == 1 and len(it.seen) > 3)
        assert call.reason is None
        await it.fails(call, 4, "server_error")
        await until(call.ended.is_set)
        assert call.reason == "the service failed: it makes no answers"

    scene(tmp_path, test)


def test_nothing_ends_where_nothing_is_said_of_it(tmp_path: Path) -> None:
    async def test(it: Scene) -> None:
        call = await it.call()
        await it.fails(call, 1, "insufficient_quota")
        await until(lambda: any(isinstance(event, SessionError) for _, event in it.seen))
        assert not call.lost
        assert call.session.connected
        assert it.said == []

    scene(tmp_path, test, FILE.partition("on_failure")[0])


def test_a_line_that_is_gone_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is told once while a new line is tried for; it comes, and the call goes on."""
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 0.05)

    async def test(it: Scene) -> None:
        call = await it.call()
        it.server.away = True
        await it.server.connections[0].close(1011)
        await until(lambda: it.said == [WORDS])
        await until(lambda: it.ear.heard)
        assert call.reason is None
        it.server.away = False
        await until(lambda: call.session.connected and not call.excused)
        assert it.said == [WORDS]
        assert not call.ended.is_set()

    scene(tmp_path, test)


def test_a_line_that_was_dead_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has waited while nobody knew."""
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 60.0)
    monkeypatch.setattr(websocket, "DEAD_SECONDS", 59.9)
    monkeypatch.setattr(Connection, "unanswered", True)

    async def test(it: Scene) -> None:
        await it.call()
        it.server.away = True
        await it.server.connections[0].close(1011)
        await until(lambda: it.said == [WORDS])

    scene(tmp_path, test)


def test_a_line_that_is_gone_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "BUDGET_SECONDS", 0.5)
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 0.05)

    async def test(it: Scene) -> None:
        call = await it.call()
        it.server.unknown.add(it.desk.deployment.model)
        await it.server.connections[0].close(1011)
        await until(call.ended.is_set)
        assert call.lost
        assert it.said == [WORDS]
        await until(lambda: it.ear.idle)

    scene(tmp_path, test)


def test_a_phone_whose_sound_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twilio's caller is told while a line is tried for; at the end Twilio speaks, which has the
    line still."""
    monkeypatch.setattr(renewal, "BUDGET_SECONDS", 0.5)
    monkeypatch.setattr(excuses, "SILENT_SECONDS", 0.05)
    phone = '{ type: twilio, auth_token: "${T}", public_url: "https://voice.example.com" }'

    async def test(it: Scene) -> None:
        call = await it.desk.open(sink=it.ear, transport=create("websocket"))
        it.server.away = True
        await it.server.connections[0].close(1011)
        await until(lambda: it.ear.heard)
        await until(call.ended.is_set)
        it.server.away = False
        other = await it.desk.open(sink=it.ear, transport=create("websocket"))
        await it.fails(other, 1, "insufficient_quota")
        await until(other.ended.is_set)
        assert (len(it.ear.heard), it.said) == (1, [WORDS])

    text = FILE.replace("transport: websocket", f"transport: {phone}")
    scene(tmp_path, test, text.replace("output: { format: g711_ulaw }", "output: {}"))


def test_typed_words_are_written(tmp_path: Path) -> None:
    text = FILE.replace("audio: { output: { format: g711_ulaw } }", "output_modalities: [text]")

    async def test(it: Scene) -> None:
        call = await it.call()
        await it.fails(call, 1, "insufficient_quota")
        await until(call.ended.is_set)
        assert (it.said, it.ear.heard) == ([WORDS], [])

    scene(tmp_path, test, text)
