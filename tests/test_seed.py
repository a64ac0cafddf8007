"""docs/seed.md: each Python block is run as it stands, each file is loaded."""

from __future__ import annotations

import ast
import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.phone import Phone
from support.refusing import refusing_server
from support.speech import silence
from support.until import until
from support.webrtc import Mouth
from websockets.asyncio.server import ServerConnection, serve

import runner
from runner import RealtimeAgent
from runner.audio.g711 import ulaw_encode
from runner.config.load import load
from runner.media.resample import resample
from runner.tasks import Supervisor

PAGE = Path(__file__).parents[1] / "docs" / "seed.md"
PYTHON = dict(
    re.findall(r"<!-- seed: (\w+) -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
)
YAML = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


@pytest.fixture(autouse=True)
def the_service_is_the_engine(engine: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.transports.messages.OPENAI_URL", engine.url)
    monkeypatch.setenv("OPENAI_API_KEY", "any")


def test_webrtc(engine: Serving) -> None:
    class Sink:
        sound = b""

        def play(self, item_id: str, content_index: int, data: bytes) -> None:
            self.sound += data

        def flush(self) -> None: ...

    async def main() -> None:
        track, sink = Mouth(), Sink()
        names = await run("webrtc", my_track=track, my_sink=sink)
        names["session"].send_message("Hello.")
        await until(lambda: len(sink.sound) > 24_000, 20)
        await names["session"].close()
        track.stop()

    asyncio.run(main())


async def run(name: str, **given: Any) -> dict[str, Any]:
    """The block as a program of its own, and the names that it leaves."""
    import os

    names: dict[str, Any] = {n: getattr(runner, n) for n in runner.__all__}
    names |= {"os": os, "agent": RealtimeAgent("Greeter"), **given}
    code = compile(PYTHON[name], str(PAGE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    started = eval(code, names)
    if started is not None:
        await started
    return names


def test_every_block_is_run() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    # That of Workers runs in Pyodide: tests/interop/test_worker.py.
    assert [n for n in PYTHON if f'run("{n}"' not in source and n != "cloudflare"] == []
    assert len(PYTHON) == PAGE.read_text(encoding="utf-8").count("```python")


def test_websocket() -> None:
    async def story() -> None:
        speaker = io.BytesIO()
        names = await run("websocket", speaker=speaker, my_recorded_bytes=bytes(4800))
        session = names["session"]
        session.send_message("hello there")
        await until(lambda: len(speaker.getvalue()) > 4800)
        await session.close()

    asyncio.run(story())


def test_direct_access() -> None:
    async def story() -> None:
        seen: list[dict[str, Any]] = []
        session = (await run("direct", seen=seen))["session"]
        await until(lambda: [e for e in seen if e["type"] == "response.done"])
        assert seen[0]["type"] == "session.created"
        await session.close()

    asyncio.run(story())


def test_the_transport_alone() -> None:
    async def story() -> None:
        heard: list[bytes] = []
        client = (await run("thin", heard=heard, audio_buffer=bytes(4800)))["client"]
        item = {"type": "message", "role": "user"}
        item["content"] = [{"type": "input_text", "text": "Where is the treasure?"}]  # type: ignore[assignment]
        client.send_event({"type": "conversation.item.create", "item": item})
        client.send_event({"type": "response.create"})
        await until(lambda: heard)
        await client.close()

    asyncio.run(story())


def test_agents() -> None:
    async def story() -> None:
        session = (await run("agents"))["session"]
        assert session.agent.name == "Billing"
        await until(lambda: "billing questions" in session.effective.get("instructions", ""))
        await session.close()

    asyncio.run(story())


class Line:
    """A line of the user's own: here it echoes the settings and answers nothing else."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.on_message: Any = None

    def send(self, event: dict[str, Any]) -> None:
        self.sent.append(event)
        if event["type"] == "session.update":
            answer = {"type": "session.updated", "session": event["session"]}
            asyncio.get_running_loop().call_soon(self.on_message, answer)


def test_a_transport_of_one_s_own() -> None:
    async def story() -> None:
        line = Line()

        async def my_line(session: Any) -> Line:
            assert session["instructions"] == ""
            return line

        session = (await run("custom", my_line=my_line))["session"]
        kinds = [event["type"] for event in line.sent]
        assert kinds == ["session.update", "conversation.item.create", "response.create"]
        await session.close()

    asyncio.run(story())


def test_twilio() -> None:
    async def story() -> None:
        names = await run("twilio", asyncio=asyncio)
        over = asyncio.Event()

        async def answered(socket: ServerConnection) -> None:
            await names["media_stream"](socket)
            over.set()

        async with (
            serve(answered, "127.0.0.1", 0) as server,
            Phone(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as phone,
        ):
            await phone.start()
            question = spoken("What time do you open on Saturday?") + silence(1.5)
            await phone.speak(ulaw_encode(resample(question, 24_000, 8_000)))
            await until(lambda: len(phone.played) > 8000, 30)
            await phone.hang_up()
            await over.wait()
            # The session is closed whole before the loop ends.
            await until(lambda: not [t for t in asyncio.all_tasks() if "close" in t.get_name()])

    asyncio.run(story())


def test_sip() -> None:
    """SI2, WS48: accepted by the openai package's own call, attached by the call's id."""
    accepted: list[tuple[str, dict[str, Any]]] = []

    async def accept(request: Request) -> Response:
        accepted.append((request.path_params["call"], await request.json()))
        return Response()

    async def story() -> None:
        routes = [Route("/v1/realtime/calls/{call}/accept", accept, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_config=None, lifespan="off")
        web = uvicorn.Server(config)
        tasks = Supervisor(lambda name, error: None)
        serving_rest = tasks.spawn(web.serve(), "the service's REST side")
        await until(lambda: web.started)
        port = web.servers[0].sockets[0].getsockname()[1]
        openai = AsyncOpenAI(api_key="any", base_url=f"http://127.0.0.1:{port}/v1")
        async with refusing_server() as server:
            runner.transports.messages.OPENAI_URL = server.url  # undone with the fixture's patch
            names = await run("sip", openai=openai)
            await names["accept_incoming_call"]("rtc_1")
            [(call, body)] = accepted
            assert (call, body["type"], body["model"]) == ("rtc_1", "realtime", "gpt-realtime")
            detection = {"type": "semantic_vad", "interrupt_response": True}
            assert body["audio"]["input"]["turn_detection"] == detection
            session = await names["attach_realtime_session"]("rtc_1")
            assert "call_id=rtc_1" in server.connections[0].request.path
            await session.close()
        await openai.close()
        web.should_exit = True
        await serving_rest
        await tasks.close()

    asyncio.run(story())


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader], ids=["C", "pure"])
@pytest.mark.parametrize("text", YAML, ids=range(len(YAML)))
def test_every_file_is_valid(
    text: str, loader: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.config.tree.LOADER", loader)
    (tmp_path / "seed.yaml").write_text(text)
    assert load(tmp_path / "seed.yaml", env={}).deployment.agents
