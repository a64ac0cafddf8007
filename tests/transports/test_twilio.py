"""A phone call by Media Streams against the real engine, at real time."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from support.engine import Puppet, Serving, last_words, serving, speech_models, spoken
from support.faults import Proxy
from support.phone import Phone
from support.speech import silence, write_wav
from support.until import until
from websockets.asyncio.server import ServerConnection, serve

from runner import RealtimeAgent, RealtimeSession
from runner.audio.g711 import ulaw_decode, ulaw_encode
from runner.engine.ports import Prompt
from runner.errors import CallOver
from runner.media.resample import resample
from runner.media.wav import read_wav
from runner.tasks import Supervisor
from runner.transports.twilio import TwilioRealtimeTransport
from runner.transports.twilio_phone import MOST_WAITING

LONG = "This goes on and on, and it does not stop for a good long while. " * 8


def answer(prompt: Prompt) -> list[Any]:
    if prompt.instructions.startswith("Say exactly"):
        return [prompt.instructions.partition("\n\n")[2]]
    words = last_words(prompt)
    return [LONG] if "story" in words.lower() else [f"You said: {words}"]


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    puppet = Puppet()
    puppet.answer = answer
    with serving(puppet, speech_models()) as running:
        yield running


def ulaw(text: str, seconds: float = 1.0) -> bytes:
    return ulaw_encode(resample(spoken(text) + silence(seconds), 24_000, 8_000))


class Call:
    """A phone, and the session that it has reached."""

    def __init__(self, phone: Phone, session: RealtimeSession) -> None:
        self.phone = phone
        self.session = session
        self.seen: list[Any] = []

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.seen if getattr(event, "type", "") == kind]


Test = Callable[[Call], Awaitable[None]]


def on_the_phone(
    engine: Serving, test: Test, *, greeting: str = "", config: Any = None, **phone: Any
) -> Call:
    calls: list[Call] = []

    async def main() -> None:
        reached: asyncio.Future[RealtimeSession] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()

        async def answered(socket: ServerConnection) -> None:
            session = RealtimeSession(
                RealtimeAgent("desk", instructions="Be kind.", greeting=greeting),
                transport=TwilioRealtimeTransport(socket, url=engine.url),
                config=config,
            )
            reached.set_result(session)
            await over.wait()

        async with (
            serve(answered, "127.0.0.1", 0) as server,
            Phone(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", **phone) as line,
        ):
            session = await reached
            call = Call(line, session)
            calls.append(call)
            session.on("*", call.seen.append)
            try:
                async with asyncio.timeout(60):
                    await line.start()
                    await session.connect(api_key="test")
                    await test(call)
            finally:
                await session.close()
                # A call that the phone ended is being closed already.
                await until(lambda: "close after loss" not in names_of_tasks())
                over.set()
            assert line.failures == []

    asyncio.run(main())
    return calls[0]


def names_of_tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()}


def heard(played: bytes) -> str:
    ears = speech_models().ears
    pcm = resample(ulaw_decode(bytes(played)), 8_000, 16_000)
    return str(ears._thread.submit(ears.transcribe_now, pcm).result()).lower()


def test_a_phone_call_is_answered_and_heard(engine: Serving) -> None:
    """TW4: media becomes the caller's audio. TW18: media and a mark behind it, named by item,
    milliseconds and generation. Nobody names a format, and the call runs on mu-law (defect 3)."""

    async def talk(call: Call) -> None:
        await until(lambda: call.of("turn_end"), 20)
        await call.phone.speak(ulaw("What time do you open on Saturday?", 1.5))
        await until(lambda: len(call.of("turn_end")) == 2, 30)
        sent = call.session.effective["audio"]
        assert sent["input"]["format"] == sent["output"]["format"] == {"type": "audio/pcmu"}

    call = on_the_phone(engine, talk, greeting="Northwind Dental, how can I help you?")
    words = heard(call.phone.played)
    assert "help you" in words, words
    assert "saturday" in words, words
    frames = call.phone.of("media")
    marks = [message["mark"]["name"] for message in call.phone.of("mark")]
    assert all(name.rpartition(":m")[0].endswith(":g1") for name in marks), marks
    item, ms, *_ = marks[0].split(":")
    assert item.startswith("item_")
    assert int(ms) == 20  # a mark behind every frame
    assert len(frames) > 100


@pytest.mark.parametrize("returns_marks", [True, False])
def test_barge_in_clears_what_waits_and_truncates_at_what_was_acknowledged(
    engine: Serving, returns_marks: bool
) -> None:
    """TI2, TI3: one clear and one truncation, where the phone's ear was."""

    async def talk(call: Call) -> None:
        call.session.send_message("tell me a story")
        await until(lambda: len(call.phone.played) > 8_000, 20)  # a second
        await call.phone.speak(ulaw("Stop, please wait a moment.", 0.2))
        await until(lambda: call.of("audio_interrupted"), 20)
        played = len(call.phone.played)
        await call.phone.speak(ulaw_encode(silence(1.5)[: 2 * 12_000]))
        await until(lambda: call.of("turn_end") and not call.session.busy, 30)
        cut = call.of("audio_interrupted")[0]
        # What the phone played when it was cleared, give or take a mark and a frame.
        assert abs(cut.heard_ms - played / 8) < 250, (cut, played / 8)
        assert call.phone.clears == 1

    call = on_the_phone(engine, talk, returns_marks=returns_marks)
    items = [i for i in call.session.history if i.type == "message" and i.role == "assistant"]
    assert items[0].heard_ms == call.of("audio_interrupted")[0].heard_ms


def test_a_phone_that_returns_no_marks_still_ends_its_turns(engine: Serving) -> None:
    async def talk(call: Call) -> None:
        call.session.send_message("hello")
        await until(lambda: call.of("turn_end"), 30)

    on_the_phone(engine, talk, marks=False)


def test_digits_and_the_end_of_the_call(engine: Serving) -> None:
    """The caller hangs up: the session ends once, and says why. TI9, TI10: nothing is sent to a
    phone that is gone."""
    digits: list[str] = []

    async def talk(call: Call) -> None:
        call.session.transport.on("dtmf", digits.append)
        await call.phone.press("4")
        await call.phone.press("#")
        await until(lambda: digits == ["4", "#"])
        await call.phone.hang_up()
        await until(lambda: not call.session.connected)
        got = len(call.phone.got)
        call.session.transport.flush()
        assert len(call.phone.got) == got

    call = on_the_phone(engine, talk)
    ends = [e for e in call.of("connection_change") if e.status == "disconnected"]
    assert [e.reason for e in ends] == ["the caller hung up"]


def test_a_session_that_ends_closes_the_stream(engine: Serving) -> None:
    async def talk(call: Call) -> None:
        await call.session.close()
        await call.phone.over.wait()

    on_the_phone(engine, talk)


def test_an_explicit_format_is_kept(engine: Serving) -> None:
    """TW1, TW2: what is missing gets mu-law, what is given stays."""

    async def talk(call: Call) -> None:
        audio = call.session.effective["audio"]
        assert audio["input"]["format"]["type"] == "audio/pcma"
        assert audio["output"]["format"]["type"] == "audio/pcmu"

    on_the_phone(engine, talk, config={"audio": {"input": {"format": {"type": "audio/pcma"}}}})


def test_another_simulator_of_twilio_hears_its_answer_without_gaps(
    engine: Serving, tmp_path: Path
) -> None:
    """streamdouble, a peer that is not ours, calls a Starlette application, on a network that loses
    one frame in twenty of the caller and delays the others."""
    question, reply = tmp_path / "question.wav", tmp_path / "reply.wav"
    write_wav(question, spoken("What time do you open on Saturday?") + silence(1.0))

    async def media(socket: WebSocket) -> None:
        await socket.accept()
        line = TwilioRealtimeTransport(socket, url=engine.url)
        session = RealtimeSession(RealtimeAgent("desk", instructions="Be kind."), transport=line)
        over = asyncio.Event()
        session.on("connection_change", lambda e: over.set() if e.status == "disconnected" else 0)
        await session.connect(api_key="test")
        await over.wait()

    async def main() -> dict[str, Any]:
        app = Starlette(routes=[WebSocketRoute("/media", media)])
        web = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
        tasks = Supervisor(lambda name, error: None)
        running = tasks.spawn(web.serve(), "application")
        await until(lambda: web.started)
        port = web.servers[0].sockets[0].getsockname()[1]
        peer = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("streamdouble")), "call", "--json",
            "--packet-loss", "0.05", "--jitter", "30", "--chaos-seed", "4",
            "--audio", question, "--out", reply, f"ws://127.0.0.1:{port}/media",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await asyncio.wait_for(peer.communicate(), 60)
        assert peer.returncode == 0, (out, errors)
        web.should_exit = True
        await running
        told: dict[str, Any] = json.loads(out)
        return told

    told = asyncio.run(main())
    pcm = read_wav(reply, 16_000).pcm16
    ears = speech_models().ears
    words = str(ears._thread.submit(ears.transcribe_now, pcm).result()).lower()
    assert "saturday" in words, (words, told)


def test_a_line_to_the_model_that_breaks_is_renewed_under_the_same_call(engine: Serving) -> None:
    """TI11, TI12: what the phone says is heard by the new line, no mark is unknown, and gaps are
    still filled. TW20: an update of the agent leaves the format as it is."""

    async def main() -> None:
        over = asyncio.Event()
        reached: asyncio.Future[RealtimeSession] = asyncio.get_running_loop().create_future()
        async with Proxy(engine.port) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}/v1/realtime"

            async def answered(socket: ServerConnection) -> None:
                agent = RealtimeAgent("desk", instructions="Be kind.")
                line = TwilioRealtimeTransport(socket, url=url)
                reached.set_result(RealtimeSession(agent, transport=line))
                await over.wait()

            async with (
                serve(answered, "127.0.0.1", 0) as server,
                Phone(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as phone,
            ):
                session = await reached
                errors: list[Any] = []
                ends: list[Any] = []
                renewed: list[Any] = []
                session.transport.on("error", errors.append)
                session.on("turn_end", ends.append)
                session.on("reconnected", renewed.append)
                await phone.start()
                await session.connect(api_key="test")
                session.send_message("hello")
                await until(lambda: ends, 20)
                proxy.rst()
                await until(lambda: renewed, 20)
                await session.update_agent(RealtimeAgent("other", instructions="Be brief."))
                await phone.speak(ulaw("What time do you open on Saturday?", 1.5))
                await until(lambda: len(ends) == 2, 30)
                assert session.effective["audio"]["output"]["format"] == {"type": "audio/pcmu"}
                assert errors == []
                await session.close()
                over.set()

    asyncio.run(main())


def test_a_phone_that_takes_no_more_sound_has_gone() -> None:
    class Stuck:
        async def send(self, text: str) -> None:
            await asyncio.Event().wait()

        async def receive(self) -> str:
            await asyncio.Event().wait()
            return ""

        async def close(self) -> None: ...

    async def main() -> None:
        line = TwilioRealtimeTransport(Stuck(), url="ws://127.0.0.1:1/v1/realtime")
        line._stream.received({"event": "start", "start": {"streamSid": "MZ1"}})
        for item in range(MOST_WAITING):
            line._stream.play(f"item_{item}", 0, bytes(160))
            line._stream.flush()  # each time a frame, its mark, and what takes both back
        with pytest.raises(CallOver, match="takes no more sound"):
            await line.connect(api_key="test")
        await line.close()

    asyncio.run(main())
