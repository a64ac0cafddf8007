"""How a run ends: what is a good end and what is a failure, and a line that is renewed is none."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.command import Command
from support.engine import Puppet, Serving, serving, speech_models
from support.faults import Proxy
from support.speech import flite, silence, write_wav
from support.until import until_sync
from support.wsserver import Peer, Service

from runner.cli.local import spent
from runner.desk import Address
from runner.engine.ports import Call, Prompt
from runner.engines import Engine
from runner.tasks import in_thread

SHOP = """\
name: shop
transport: websocket
session: { output_modalities: [text] }
agents:
  desk:
    instructions: You are the front desk of a bicycle shop called Spokes.
    tools: [end_call]
"""


def deployment(folder: Path, more: str = "") -> str:
    file = folder / "shop.yaml"
    file.write_text(SHOP + more)
    return str(file)


class Puppets(Puppet):
    """Says goodbye with end_call, and what it must not say."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = self.speak

    def speak(self, prompt: Prompt) -> list[Any]:
        told = self.repeat(prompt)
        if told == ["You said: bye"]:
            return ["Goodbye.", Call("end_call", "{}")]
        return told


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppets(), no_speech="typed") as running:
        yield running


class Cable(Proxy):
    """The proxy, pulled and plugged in again by a test that has no loop."""

    loop: asyncio.AbstractEventLoop
    out = False
    refused = 0

    def pull(self) -> None:
        """Break the line, and let no other one through before ``plug()``."""
        self.out = True
        self.loop.call_soon_threadsafe(self.rst)

    def plug(self) -> None:
        """Once two tries have failed: the call was without a line for a while."""
        until_sync(lambda: self.refused >= 2, 20)
        self.out = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.out:
            self.refused += 1
            writer.transport.abort()
        else:
            await super()._accept(reader, writer)


@contextmanager
def cable(port: int) -> Iterator[Cable]:
    """A line to ``port`` that can be broken."""
    made: list[Cable] = []
    ready, over = threading.Event(), threading.Event()

    async def main() -> None:
        async with Cable(port) as proxy:
            proxy.loop = asyncio.get_running_loop()
            made.append(proxy)
            ready.set()
            await in_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(20)
    try:
        yield made[0]
    finally:
        over.set()
        thread.join(20)


def url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/v1/realtime"


@pytest.mark.parametrize(
    ("more", "typed", "reason"),
    [
        ("", "bye", "the agent ended the call"),
        ("silence: { hang_up_after: 1s }\n", "", "the caller was silent"),
        (
            'guardrails: [{ name: rude, phrases: ["rude*"], then: hang_up }]\n',
            "rude words",
            "a guardrail ended the call",
        ),
        ("limits: { duration: 1s }\n", "", "duration limit"),
    ],
    ids=["end_call", "silence", "guardrail", "limit"],
)
def test_a_call_that_the_agent_or_a_limit_ends_went_well(
    more: str, typed: str, reason: str, engine: Serving, tmp_path: Path
) -> None:
    with Command("run", deployment(tmp_path, more), "--engine", engine.url, "--text") as run:
        run.wait_for("session_start")
        if typed:
            run.type(typed)
        end = run.wait_for("session_end")
        assert end["reason"] == reason, run.story()
        assert run.finish() == 0, run.story()
    assert run.of("error") == []
    if reason.startswith("a guardrail"):
        [tripped] = run.of("guardrail")
        assert (tripped["name"], tripped["check"], tripped["then"]) == ("rude", "output", "hang_up")


def test_a_line_that_is_lost_for_good_is_a_failure(tmp_path: Path) -> None:
    async def refuse(peer: Peer) -> None:
        """Takes the settings, then wants no more of this caller (1008, RFC 6455)."""
        await peer.send({"type": "session.created", "session": {"id": "sess_1"}})
        update = json.loads(await peer.connection.recv())
        await peer.send({"type": "session.updated", "session": update["session"]})
        await peer.connection.close(1008, "not welcome")

    def call(where: str) -> Command:
        with Command("run", deployment(tmp_path), "--engine", where, "--text") as run:
            assert run.finish() == 1, run.story()
        return run

    async def main() -> Command:
        async with Service(refuse) as service:
            return await in_thread(call, service.url)

    run = asyncio.run(main())
    [end] = run.of("session_end")
    assert "not welcome" in end["reason"], run.story()
    assert "usage" not in end, "no response told of any"


def test_typed_turns_go_on_over_a_renewed_line(engine: Serving, tmp_path: Path) -> None:
    with (
        cable(engine.port) as line,
        Command("run", deployment(tmp_path), "--engine", url(line.port), "--text") as run,
    ):
        session = run.wait_for("session_start")["session"]
        run.type("one")
        run.wait_for("transcript", lambda row: row["text"] == "You said: one")
        line.pull()
        lost = run.wait_for("connection")
        assert lost["status"] == "reconnecting"
        assert lost["reason"]
        run.type("two")
        run.end_input()
        line.plug()
        run.wait_for("transcript", lambda row: row["text"] == "You said: two")
        assert run.finish() == 0, run.story()
    assert run.of("reconnected")[0]["ms"] > 0
    [end] = run.of("session_end")
    assert (end["session"], end["reason"]) == (session, "input ended")
    assert end["usage"]["requests"] == 2
    assert end["usage"]["output_text"] > 0
    assert "cost" not in end, "this engine has no price"


def test_a_recording_is_heard_to_its_end_over_a_renewed_line(tmp_path: Path) -> None:
    wav = write_wav(
        tmp_path / "q.wav", silence(2.0) + flite("What are your opening hours?") + silence(1.0)
    )
    with (
        serving(Puppet(), speech_models()) as engine,
        cable(engine.port) as line,
        Command("run", deployment(tmp_path), "--engine", url(line.port), "--wav", str(wav)) as run,
    ):
        run.wait_for("session_start")
        line.pull()
        line.plug()
        heard = run.wait_for("transcript", lambda row: row["role"] == "user")
        assert "opening hours" in heard["text"].lower()
        run.wait_for("transcript", lambda row: row["role"] == "assistant")
        assert run.finish() == 0, run.story()
    assert len(run.of("reconnected")) == 1
    assert run.of("session_end")[0]["reason"] == "input ended"


# -- the price -----------------------------------------------------------------------------------
USAGE = {"requests": 1, "input_tokens": 1000, "input_text": 1000, "output_tokens": 0}


def ended(model: str, usage: dict[str, int]) -> Any:
    return SimpleNamespace(session=SimpleNamespace(model=model, usage=usage))


@pytest.mark.quick
def test_openais_prices_hold_for_openais_service_alone() -> None:
    service = Engine("openai", Address())
    named = Engine("api.openai.com", Address("wss://api.openai.com/v1/realtime"))
    assert spent(ended("gpt-realtime", USAGE), service) == (USAGE, 0.004)
    assert spent(ended("gpt-realtime", USAGE), named) == (USAGE, 0.004)
    assert spent(ended("my-own", USAGE), service) == (USAGE, None)
    assert spent(ended("gpt-realtime", {}), service) == (None, None)
    silent = {"requests": 1, "input_tokens": 0, "output_tokens": 0}
    assert spent(ended("gpt-realtime", silent), service) == (None, None)
    for other in (
        Engine("local", Address("ws://127.0.0.1:1/v1/realtime")),
        Engine("notopenai.com", Address("wss://notopenai.com/v1/realtime")),
        Engine("x", Address("wss://x.example/openai.com")),
    ):
        assert not other.address.openai
        assert spent(ended("gpt-realtime", USAGE), other) == (USAGE, None)
