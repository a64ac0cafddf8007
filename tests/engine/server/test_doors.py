"""Coming in, being refused, going away: the edges of the engine's one port."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import wave
from collections.abc import Iterator

import httpx
import pytest
import websockets
from support.engine import Puppet, Serving, connected, serving, speech_models, spoken
from support.speech import silence
from support.until import until

from runner.errors import InputError
from runner.listening import listen

LONG = "Say exactly:\n\n" + "This goes on and on, and it will not stop for a good long while. " * 6


@pytest.fixture(scope="module")
def locked() -> Iterator[Serving]:
    with serving(Puppet(), speech_models(), key="sk-right", max_sessions=2) as running:
        yield running


async def refused(url: str, **options) -> tuple[int, dict]:
    with pytest.raises(websockets.InvalidStatus) as caught:
        async with websockets.connect(url, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body)["error"]


def bearer(key: str) -> dict:
    return {"additional_headers": {"Authorization": f"Bearer {key}"}}


def test_a_wrong_or_missing_key_is_refused_before_the_upgrade(locked: Serving) -> None:
    async def story() -> None:
        assert (await refused(locked.url))[0] == 401
        status, error = await refused(locked.url, **bearer("sk-wrong"))
        assert (status, error["code"]) == (401, "invalid_api_key")
        assert error["type"] == "invalid_request_error"
        assert "sk-right" not in json.dumps(error)
        browser = ["realtime", "openai-insecure-api-key.sk-wrong"]
        assert (await refused(locked.url, subprotocols=browser))[0] == 401

    asyncio.run(story())


def test_the_key_opens_by_header_and_by_subprotocol(locked: Serving) -> None:
    async def story() -> None:
        async with websockets.connect(locked.url, **bearer("sk-right")) as session:
            assert json.loads(await session.recv())["type"] == "session.created"
            assert session.subprotocol is None
        browser = ["realtime", "openai-insecure-api-key.sk-right", "openai-agents-sdk.0.1"]
        async with websockets.connect(locked.url, subprotocols=browser) as session:
            assert session.subprotocol == "realtime"

    asyncio.run(story())


def test_an_unknown_call_and_an_unknown_path_are_404(engine: Serving) -> None:
    async def story() -> None:
        status, error = await refused(engine.url + "?call_id=rtc_none", **bearer("any"))
        assert status == 404
        assert (error["code"], error["param"]) == ("call_id_not_found", "call_id")
        assert (await refused(engine.url + "/else", **bearer("any")))[0] == 404

    asyncio.run(story())


def test_a_socket_that_is_refused_is_told_as_no_error_of_ours(
    locked: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(refused(f"{locked.url}?call_id=none", **bearer("sk-right")))
    # The next is answered when all was said of the first.
    asyncio.run(refused(f"{locked.url}?call_id=none", **bearer("sk-right")))
    assert caplog.messages == []


def test_one_session_too_many_is_refused_and_a_freed_place_taken(locked: Serving) -> None:
    async def story() -> None:
        first = await websockets.connect(locked.url, **bearer("sk-right"))
        async with websockets.connect(locked.url, **bearer("sk-right")):
            status, error = await refused(locked.url, **bearer("sk-right"))
            assert (status, error["code"]) == (503, "session_limit_reached")
            await first.close()
            await until(lambda: locked.engine.sessions == 1)
            async with websockets.connect(locked.url, **bearer("sk-right")) as third:
                assert json.loads(await third.recv())["type"] == "session.created"

    asyncio.run(story())


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_client_that_goes_mid_answer_leaves_nothing_behind(engine: Serving, how: str) -> None:
    async def story() -> None:
        await until(lambda: engine.engine.sessions == 0)
        before = engine.tasks()
        async with connected(engine, judge=False) as client:
            await client.detection(type="server_vad", silence_duration_ms=900)
            await client.send("response.create", response={"instructions": LONG})
            await client.until("response.output_audio.delta")
            await client.speak(spoken("What time do you open?") + silence(0.2))
            if how == "abort":
                client.socket.transport.abort()
            else:
                await client.socket.close()
        await until(lambda: engine.engine.sessions == 0)
        await until(lambda: engine.tasks() <= before)

    asyncio.run(story())


def test_a_peer_that_does_not_read_is_let_go() -> None:
    """A raw socket that stops reading: what is sent to it piles up, and then the line is cut."""

    async def story(server: Serving) -> None:
        raw = socket.create_connection(("127.0.0.1", server.port))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(
            b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await until(lambda: server.engine.sessions == 1)
        content = [{"type": "input_text", "text": "x" * 60_000}]
        message = {"type": "message", "role": "user", "id": "big", "content": content}
        send_raw(raw, {"type": "conversation.item.create", "item": message})
        raw.settimeout(0.2)
        # Each retrieve is answered with 60 kB that nobody reads.
        try:
            for _ in range(400):
                send_raw(raw, {"type": "conversation.item.retrieve", "item_id": "big"})
        except (TimeoutError, ConnectionError):
            pass  # it stopped reading us, or has cut the line already
        await until(lambda: server.engine.sessions == 0, 15)
        raw.close()

    with serving(Puppet(), None, "no models", stall_seconds=1.0) as server:
        asyncio.run(story(server))


def send_raw(raw: socket.socket, event: dict) -> None:
    """One masked text frame; the mask is zero, so that the payload stays as it is."""
    data = json.dumps(event).encode()
    head = b"\x81"
    if len(data) < 126:
        head += bytes([0x80 | len(data)])
    elif len(data) < 65536:
        head += bytes([0x80 | 126]) + len(data).to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + len(data).to_bytes(8, "big")
    raw.sendall(head + bytes(4) + data)


def test_a_session_ends_when_its_time_is_over() -> None:
    async def story(server: Serving) -> None:
        async with connected(server, judge=False) as client:
            error = await client.until("error")
            assert error["error"]["code"] == "session_expired"
            with pytest.raises(websockets.ConnectionClosed):
                await client.receive()

    with serving(Puppet(), None, "no models", session_seconds=0.5) as server:
        asyncio.run(story(server))


def test_stopping_the_engine_closes_its_sessions() -> None:
    async def story(server: Serving) -> None:
        async with connected(server, judge=False) as client:
            await asyncio.to_thread(server.close)
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await client.receive()
            assert caught.value.rcvd.code == 1012

    with serving(Puppet(), None, "no models") as server:
        asyncio.run(story(server))


def test_a_large_append_is_taken(engine: Serving) -> None:
    async def story() -> None:
        async with connected(engine) as client:
            await client.update(audio={"input": {"turn_detection": None}})
            await client.append(bytes(8 * 1024 * 1024))  # nearly three minutes
            await client.send("input_audio_buffer.commit")
            await client.until("input_audio_buffer.committed")

    asyncio.run(story())


# REST --------------------------------------------------------------------------------------


def test_models_and_health(locked: Serving) -> None:
    with httpx.Client(base_url=locked.http) as http:
        assert http.get("/models").status_code == 401
        http.headers["Authorization"] = "Bearer sk-right"
        models = http.get("/models").json()
        assert models["object"] == "list"
        assert "gpt-realtime" in [m["id"] for m in models["data"]]
        assert http.get("/models/gpt-realtime").json()["id"] == "gpt-realtime"
        missing = http.get("/models/none")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
    health = httpx.get(locked.http.removesuffix("/v1") + "/healthz").json()
    assert health["status"] == "ok"
    assert health["voice"] is True


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/models", 405), ("GET", "/audio/speech", 405)],
)
def test_refusals_have_openais_body(engine: Serving, method: str, path: str, status: int) -> None:
    response = httpx.request(method, engine.http + path)
    assert response.status_code == status
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_speech_is_made_as_wav_and_as_pcm(engine: Serving) -> None:
    body = {"model": "tts-1", "input": "Good morning. How are you?", "voice": "coral"}
    pcm = httpx.post(engine.http + "/audio/speech", json={**body, "response_format": "pcm"})
    whole = httpx.post(engine.http + "/audio/speech", json={**body, "response_format": "wav"})
    with wave.open(io.BytesIO(whole.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        assert file.readframes(file.getnframes()) == pcm.content
    assert len(pcm.content) > 48000
    fast = httpx.post(
        engine.http + "/audio/speech", json={**body, "response_format": "pcm", "speed": 1.5}
    )
    assert len(fast.content) < 0.8 * len(pcm.content)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": "  "}, "input"),
        ({"input": "x" * 5000}, "input"),
        ({"input": "hello", "response_format": "mp3"}, "response_format"),
        ({"input": "hello", "speed": 9}, "speed"),
        ({"input": "hello", "voice": 3}, "voice"),
    ],
)
def test_bad_speech_requests_name_what_is_wrong(engine: Serving, body: dict, param: str) -> None:
    response = httpx.post(engine.http + "/audio/speech", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_speech_without_models_says_why(typed: Serving) -> None:
    response = httpx.post(typed.http + "/audio/speech", json={"input": "hello"})
    assert response.status_code == 503
    assert "moonshine-voice" in response.json()["error"]["message"]


def test_a_port_in_use_is_one_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}"):
            listen("127.0.0.1", port)
    with pytest.raises(InputError, match="cannot listen"):
        listen("256.1.1.1", 0)


def test_small_events_do_not_wait_for_each_others_acknowledgement() -> None:
    async def main() -> None:
        delays: list[int] = []

        def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            delays.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(came, sock=listener) as server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            await until(lambda: delays)
            writer.close()
        assert delays == [1]

    asyncio.run(main())
