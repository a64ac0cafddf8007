"""OpenAIRealtimeWebRTC against the real engine, and against peers that do what they should not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.hearing import died_away, share, words_in
from support.refusing import refusing_server
from support.rtccalls import COUNTING, Call, drop_all, left, nothing_more
from support.until import until
from support.webrtc import Mouth

from runner import OpenAIRealtimeWebRTC
from runner.core.events import Interrupted, Reconnected, Transcript, TurnEnd
from runner.engine.rtc import peer
from runner.errors import ConnectError, UserError
from runner.media.resample import resample
from runner.transports import rtcpeer


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


def on_the_line(engine: Serving, test: Callable[[Call], Any], **options: Any) -> None:
    async def main() -> None:
        call = Call(**options)
        try:
            await call.session.connect(api_key="key", url=engine.url)
            await test(call)
        finally:
            await call.session.close()
        await until(lambda: not len(engine.engine.calls), 5)

    asyncio.run(main())


def test_a_spoken_question_is_answered_in_sound(engine: Serving) -> None:
    async def talk(call: Call) -> None:
        assert call.transport.call_id.startswith("rtc_")
        await call.say("What time do you open on Saturday?")
        await until(lambda: call.of(TurnEnd), 20)
        [turn] = call.of(TurnEnd)
        assert turn.first_audio_ms is not None
        said = [event.text for event in call.of(Transcript) if event.role == "assistant"]
        assert said[0].startswith("You said: What time")
        await until(lambda: died_away(call.ear.sound, 24_000))
        heard = await words_in(resample(call.ear.sound, 24_000, 16_000))
        assert share("You said what time do you open on Saturday", heard) > 0.7

    on_the_line(engine, talk)


def test_speech_over_the_answer_cuts_it_and_the_session_is_told(engine: Serving) -> None:
    async def talk(call: Call) -> None:
        call.session.respond({"instructions": COUNTING})
        await until(lambda: call.ear.sound, 10)
        await call.say("Stop please, that is enough.")
        await until(lambda: call.of(Interrupted), 10)
        [cut] = call.of(Interrupted)
        loud = np.flatnonzero(np.abs(np.frombuffer(call.ear.sound, "<i2")) > 300)
        assert cut.heard_ms < 5000
        assert cut.heard_ms - 300 < (loud[-1] - loud[0]) / 24

    on_the_line(engine, talk)


def test_a_program_cuts_the_answer(engine: Serving) -> None:
    async def talk(call: Call) -> None:
        call.session.respond({"instructions": COUNTING})
        await until(lambda: call.ear.sound, 10)
        call.session.interrupt()
        await until(lambda: call.of(Interrupted), 10)
        assert call.ear.flushed

    on_the_line(engine, talk)


def test_a_track_of_ones_own_speaks_and_is_left_alone(engine: Serving) -> None:
    mouth: list[Mouth] = []

    async def main() -> None:
        mouth.append(Mouth())
        call = Call(media_stream=mouth[0], change_peer_connection=seen.append)
        await call.session.connect(api_key="key", url=engine.url)
        with pytest.raises(UserError, match="media_stream"):
            call.session.send_audio(b"\0\0")
        mouth[0].say(spoken("What time do you open on Saturday?"))
        await until(lambda: call.of(TurnEnd), 20)
        await call.session.close()
        assert mouth[0].readyState == "live"
        mouth[0].stop()

    seen: list[Any] = []
    asyncio.run(main())
    assert type(seen[0]).__name__ == "RTCPeerConnection"


def test_a_thin_client_speaks_json(engine: Serving) -> None:
    async def main() -> None:
        line = OpenAIRealtimeWebRTC()
        events: list[Any] = []
        sound: list[bytes] = []
        line.on("*", events.append)
        line.on("audio", lambda event: sound.append(event.data))
        await line.connect(
            api_key="key",
            url=engine.http.replace("/v1", "/v1/realtime/calls"),
            initial_session_config={"instructions": "Be brief."},
        )
        await until(lambda: [e for e in events if e["type"] == "session.updated"], 5)
        line.send_event({"type": "response.create", "response": {"instructions": COUNTING}})
        await until(lambda: sound, 10)
        with pytest.raises(ConnectError, match="already connected"):
            await line.connect(api_key="key", url=engine.url)
        line.mute(True)
        assert line.muted
        await line.close()
        assert (line.status, line.call_id) == ("disconnected", "")

    asyncio.run(main())


def test_a_line_that_is_lost_is_renewed_with_its_history(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(call: Call) -> None:
        call.session.send_message("remember me")
        await until(lambda: call.of(TurnEnd), 10)
        peer = call.transport._connection
        assert peer is not None
        first = call.transport.call_id
        peer._end("the connection broke", 1006)
        await until(lambda: call.of(Reconnected), 10)
        assert call.transport.call_id not in ("", first)
        texts = [item.text for item in call.session.history]
        assert texts == ["remember me", "You said: remember me"]
        call.session.send_message("again")
        await until(lambda: len(call.of(TurnEnd)) == 2, 10)

    on_the_line(engine, talk)


@contextmanager
def answering(status: int, body: bytes, headers: dict[str, str]) -> Iterator[str]:
    """A service that says the same to every offer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.server_address[1]}/v1/realtime"
        finally:
            server.shutdown()
            thread.join()


SAID = b'{"error": {"message": "Incorrect API key provided.", "type": "x"}}'
REFUSALS = {
    "a key that is none": (401, SAID, {}, "refused with HTTP 401: Incorrect API key provided"),
    "no SDP": (201, b"hello", {}, "something that is no SDP"),
    "bytes that are no text": (201, b"\xff\xfe", {}, "no SDP: bytes that are no text"),
    "no such address": (404, b'{"detail":"Not Found"}', {}, "HTTP 404.*\n.*transport: websocket"),
    "no such method": (405, b"", {}, "refused with HTTP 405\n.*write transport: websocket"),
    "WebSockets alone": (426, b"", {}, "refused with HTTP 426\n.*write transport: websocket"),
    "a bad request": (400, b"Failed to open a WebSocket", {}, "HTTP 400\n.*transport: websocket"),
    "an offer refused": (400, SAID, {}, "HTTP 400: Incorrect API key provided.$"),
    "elsewhere": (302, b"", {"Location": "http://127.0.0.1:9/"}, "refused with HTTP 302"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_a_service_may_answer(kind: str) -> None:
    status, body, headers, words = REFUSALS[kind]

    async def main(url: str) -> None:
        line = OpenAIRealtimeWebRTC()
        with pytest.raises(ConnectError, match=words):
            await line.connect(api_key="key", url=url)
        assert line.status == "disconnected"

    with answering(status, body, headers) as url:
        asyncio.run(main(url))


def test_a_server_of_websockets_alone() -> None:
    async def main() -> None:
        async with refusing_server() as server:
            with pytest.raises(ConnectError, match="gave no answer to HTTP") as refused:
                await OpenAIRealtimeWebRTC().connect(api_key="key", url=server.url)
            assert refused.value.hint == "if it has no WebRTC, write transport: websocket"

    asyncio.run(main())


def test_a_server_that_takes_the_offer_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcpeer, "SECONDS", 0.5)

    async def main() -> None:
        over = asyncio.Event()

        async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await over.wait()
            writer.close()

        async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectError, match="did not answer within") as late:
                await OpenAIRealtimeWebRTC().connect(url=f"ws://127.0.0.1:{port}/v1/realtime")
            assert "transport: websocket" in late.value.hint
            over.set()

    asyncio.run(main())


def test_an_engine_on_this_machine_is_asked_past_a_proxy(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody is
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def talk(call: Call) -> None:
        assert call.transport.call_id.startswith("rtc_")

    on_the_line(engine, talk)


def test_nobody_is_there() -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="cannot reach"):
            await OpenAIRealtimeWebRTC().connect(api_key="key", url="ws://127.0.0.1:9/v1/realtime")

    asyncio.run(main())


def test_an_answer_behind_which_no_media_comes(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As behind a firewall that lets HTTP through and UDP not."""
    monkeypatch.setattr(rtcpeer, "OPEN_SECONDS", 1.0)
    post = rtcpeer.post_offer

    def elsewhere(url: str, headers: Any, offer: str, session: Any) -> Any:
        answer = post(url, headers, _nowhere(offer), session)
        return replace(answer, sdp=_nowhere(answer.sdp))

    monkeypatch.setattr(rtcpeer, "post_offer", elsewhere)

    async def main() -> None:
        with pytest.raises(ConnectError, match="no media came through") as refused:
            await OpenAIRealtimeWebRTC().connect(api_key="key", url=engine.url)
        assert "UDP" in (refused.value.hint or "")

    asyncio.run(main())


def _nowhere(sdp: str) -> str:
    """Candidates at an address that nobody has (TEST-NET-1)."""
    lines = sdp.splitlines()
    for index, line in enumerate(lines):
        if line.startswith("a=candidate:"):
            words = line.split()
            words[4], words[5] = "192.0.2.1", "9"
            lines[index] = " ".join(words)
    return "\r\n".join(lines) + "\r\n"


def test_calls_dropped_in_every_state_leave_nothing(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 3.0)  # of an offer whose caller gave up
    asyncio.run(drop_all(engine, 11))
    before = left(engine)
    asyncio.run(drop_all(engine, 11))
    nothing_more(engine, before)
