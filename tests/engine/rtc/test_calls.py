"""The engine as a WebRTC peer, called by plain aiortc; control sockets by call id."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from support.command import environment
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.hearing import died_away, share, words_in
from support.until import until
from support.webrtc import RtcClient, dialled

from runner.engine.ports import Call as ToolCall
from runner.engine.rtc.peer import BadOffer, Peer
from runner.media.resample import resample

HEARS = {
    "type": "realtime",
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad"},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
        }
    },
}
COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."


@pytest.fixture(scope="module")
def puppet() -> Puppet:
    return Puppet()


@pytest.fixture(scope="module")
def engine(puppet: Puppet) -> Iterator[Serving]:
    with serving(puppet, speech_models()) as running:
        yield running


def alone(engine: Serving) -> bool:
    return not len(engine.engine.calls)


def threads() -> int:
    """Those that somebody started; a loop's own pool grows by itself, to its bound."""
    return sum(not each.name.startswith("asyncio_") for each in threading.enumerate())


async def post(engine: Serving, path: str = "", **body: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{engine.http}/realtime/calls{path}", **body)


async def control(engine: Serving, call_id: str, key: str = "key") -> websockets.ClientConnection:
    return await websockets.connect(
        f"{engine.url}?call_id={call_id}", additional_headers={"Authorization": f"Bearer {key}"}
    )


async def told(
    socket: websockets.ClientConnection, call: RtcClient, kind: str, **fields: Any
) -> None:
    """An event from the server; who judges the call has to know of it."""
    event = {"type": kind, **fields}
    call.checker.client(event)
    await socket.send(json.dumps(event))


async def next_of(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


def test_a_spoken_question_is_answered_in_sound(engine: Serving) -> None:
    async def main() -> None:
        async with dialled(engine.http, session=HEARS) as call:
            assert call.call_id.startswith("rtc_")
            call.mouth.say(spoken("What time do you open on Saturday?"))
            done = await call.until("response.done")
            await call.until("output_audio_buffer.stopped", response_id=done["response"]["id"])
            await until(lambda: died_away(bytes(call.heard), 48_000))  # what the jitter buffer has
            kinds = call.types()
            assert "response.output_audio.delta" not in kinds
            assert kinds.index("response.content_part.added") < kinds.index(
                "output_audio_buffer.started"
            )
            assert kinds[-1] == "output_audio_buffer.stopped"
            sound = resample(bytes(call.heard), 48_000, 16_000)
            said = "You said what time do you open on Saturday"
            assert share(said, await words_in(sound)) > 0.7

    asyncio.run(main())


def test_speech_over_the_answer_cuts_it_where_it_was_heard(engine: Serving) -> None:
    async def main() -> None:
        async with dialled(engine.http, session=HEARS) as call:
            call.send("response.create", response={"instructions": COUNTING})
            started = await call.until("output_audio_buffer.started")
            await call.until("response.done")
            call.mouth.say(spoken("Stop please, that is enough."))
            await call.until("input_audio_buffer.speech_started")
            cleared = await call.until("output_audio_buffer.cleared")
            assert cleared["response_id"] == started["response_id"]
            cut = await call.until("conversation.item.truncated")
            await until(lambda: died_away(bytes(call.heard), 48_000))
            loud = np.flatnonzero(np.abs(np.frombuffer(bytes(call.heard), "<i2")) > 300)
            heard_ms = (loud[-1] - loud[0]) / 48
            # What the ear got is what the engine says, to a few packets.
            assert abs(heard_ms - cut["audio_end_ms"]) < 200
            call.send("conversation.item.retrieve", item_id=cut["item_id"])
            item = (await call.until("conversation.item.retrieved"))["item"]
            assert "eleven" not in json.dumps(item)

    asyncio.run(main())


def test_the_client_clears_what_is_not_played_yet(engine: Serving) -> None:
    async def main() -> None:
        async with dialled(engine.http, session=HEARS) as call:
            call.send("response.create", response={"instructions": COUNTING})
            await call.until("output_audio_buffer.started")
            call.send("output_audio_buffer.clear")
            await call.until("output_audio_buffer.cleared")
            await call.until("conversation.item.truncated")
            call.send("input_audio_buffer.append", audio="AAAA")
            error = (await call.until("error"))["error"]
            assert error["param"] == "type"
            assert "brings the caller's audio" in error["message"]

    asyncio.run(main())


def test_two_answers_are_played_one_behind_the_other(engine: Serving) -> None:
    async def main() -> None:
        async with dialled(engine.http, session=HEARS) as call:
            for number in ("One", "Two"):
                call.send(
                    "response.create", response={"instructions": f"Say exactly:\n\n{number}."}
                )
                await call.until("response.done")
            await until(lambda: call.types().count("output_audio_buffer.stopped") == 2, 20)
            told = [(e["type"].rpartition(".")[2], e["response_id"]) for e in call.events
                    if e["type"].startswith("output_audio_buffer")]  # fmt: skip
            first, second = told[0][1], told[2][1]
            assert told == [("started", first), ("stopped", first),
                            ("started", second), ("stopped", second)]  # fmt: skip

    asyncio.run(main())


def test_a_server_attaches_and_alone_decides(engine: Serving, puppet: Puppet) -> None:
    async def main() -> None:
        async with dialled(engine.http, session=HEARS) as call:
            tools = [{"type": "function", "name": "hours", "parameters": {"type": "object"}}]
            async with await control(engine, call.call_id) as server:
                created = await next_of(server, "session.created")
                assert (
                    created["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
                )
                update = {"type": "realtime", "tools": tools}
                await told(server, call, "session.update", session=update)
                await next_of(server, "session.updated")
                assert (await call.until("session.updated"))["session"]["tools"][0][
                    "name"
                ] == "hours"
                puppet.answer = lambda prompt: [ToolCall("hours", "{}")]
                call.send("response.create")
                done = await next_of(server, "response.function_call_arguments.done")
                await call.until("response.done")
                puppet.answer = puppet.repeat
                # Who speaks from the page may neither change the session nor answer a tool.
                output = {"type": "function_call_output", "call_id": done["call_id"], "output": "9"}
                call.send("conversation.item.create", item=output, event_id="mine")
                error = (await call.until("error"))["error"]
                assert (error["code"], error["event_id"]) == ("call_is_controlled", "mine")
                call.send("session.update", session={"type": "realtime", "instructions": "x"})
                assert (await call.until("error"))["error"]["code"] == "call_is_controlled"
                await told(server, call, "conversation.item.create", item=output)
                await told(server, call, "response.create")
                await next_of(server, "response.done")
                hung_up = await post(engine, f"/{call.call_id}/hangup")
                assert hung_up.status_code == 200
                async with asyncio.timeout(5):
                    kinds = [json.loads(text)["type"] async for text in server]
                assert server.close_code == 1000
                assert "response.output_audio.delta" not in kinds
                async with asyncio.timeout(5):
                    await call.closed.wait()
        with pytest.raises(websockets.InvalidStatus) as refused:
            await control(engine, call.call_id)
        body = json.loads(refused.value.response.body)
        assert refused.value.response.status_code == 404
        assert body["error"]["code"] == "call_id_not_found"

    asyncio.run(main())


def test_a_secret_opens_the_session_that_is_bound_to_it(engine: Serving) -> None:
    async def main() -> None:
        async with httpx.AsyncClient() as client:
            made = await client.post(
                f"{engine.http}/realtime/client_secrets",
                headers={"Authorization": "Bearer key"},
                json={"session": {"type": "realtime", "instructions": "Bound.", "model": "m"}},
            )
        async with dialled(engine.http, made.json()["value"]) as call:
            assert call.events[0]["session"]["instructions"] == "Bound."
            assert call.events[0]["session"]["model"] == "m"
            # It is in the hands of a page: no server, which would decide over the page's head.
            with pytest.raises(websockets.InvalidStatus) as refused:
                await control(engine, call.call_id, made.json()["value"])
            body = json.loads(refused.value.response.body)
            assert refused.value.response.status_code == 403
            assert body["error"]["code"] == "server_key_required"

    asyncio.run(main())


SDP = {"Content-Type": "application/sdp"}
BAD = [
    ({}, b"v=0\r\n", 400, "content type"),
    (SDP, b"hello", 400, "no SDP"),
    (SDP, b"v=0\r\nnonsense", 400, "offers no audio"),
    (SDP, b"v=0\r\nm=audio x RTP/AVP 0\r\n", 400, "could not be read"),
    (SDP, b"v=0" + bytes(300_000), 413, "larger"),
    ({**SDP, "Authorization": "Bearer ek_no_such"}, b"v=0\r\n", 401, "Incorrect"),
    ({**SDP, "Origin": "https://evil.example"}, b"v=0\r\n", 403, "client secret"),
    ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--\r\n", 400, "no part 'sdp'"),
]


@pytest.mark.parametrize(("headers", "body", "status", "words"), BAD, ids=range(len(BAD)))
def test_what_is_no_offer(
    engine: Serving, headers: dict[str, str], body: bytes, status: int, words: str
) -> None:
    answer = httpx.post(f"{engine.http}/realtime/calls", content=body, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert alone(engine)


def test_a_session_that_cannot_be(engine: Serving) -> None:
    async def main() -> None:
        client = RtcClient()
        parts = {
            "sdp": (None, await client.offer(), "application/sdp"),
            "session": (None, '{"type": "realtime", "audio": 7}', "application/json"),
        }
        answer = await post(engine, files=parts)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "session.audio"
        await client.close()

    asyncio.run(main())


def test_an_offer_without_sound(engine: Serving) -> None:
    async def main() -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection

        pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        pc.createDataChannel("oai-events")
        await pc.setLocalDescription(await pc.createOffer())
        answer = await post(engine, content=pc.localDescription.sdp, headers=SDP)
        assert answer.json()["error"]["message"] == "The SDP offers no audio."
        await pc.close()

    asyncio.run(main())


def test_an_offer_with_any_line_lost_or_broken() -> None:
    """It is answered, or refused in words; nothing fails in the background."""

    async def main() -> None:
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        client = RtcClient()
        lines = (await client.offer()).splitlines()
        for number, line in enumerate(lines):
            for broken in ([], [f"{line[:2]}x{line[3:]}"]):
                peer = Peer(lambda name, error: faults.append(error))
                offer = [*lines[:number], *broken, *lines[number + 1 :], ""]
                with contextlib.suppress(BadOffer):
                    await peer.answer("\r\n".join(offer))
                await peer.hang_up("looked at")
        await client.close()
        gc.collect()
        assert faults == []

    asyncio.run(main())


def test_pages_of_other_origins_may_ask_with_a_secret(engine: Serving) -> None:
    asked = httpx.options(
        f"{engine.http}/realtime/calls",
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-openai-agents-sdk",
        },
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "https://shop.example"
    assert "x-openai-agents-sdk" in asked.headers["access-control-allow-headers"]
    assert asked.headers["access-control-expose-headers"] == "Location"


KILLED = """
import asyncio, sys
from support.webrtc import RtcClient
async def main():
    client = RtcClient()
    await client.dial(sys.argv[1])
    print("on the line", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_a_caller_whose_program_was_killed_is_noticed(engine: Serving) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, engine.http],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=":".join(sys.path)),
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "on the line\n"
        assert not alone(engine)
        process.send_signal(signal.SIGKILL)
        asyncio.run(until(lambda: alone(engine), 8))
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("calls", [20])
def test_calls_dropped_in_every_state_leave_nothing(engine: Serving, calls: int) -> None:
    async def drop(number: int) -> None:
        client = RtcClient()
        match number % 4:
            case 0:  # an answer that nobody takes
                sdp = await client.offer()
                answer = await post(engine, content=sdp, headers=SDP)
                call = answer.headers["location"].rpartition("/")[2]
                await post(engine, f"/{call}/hangup")
            case 1:
                await client.dial(engine.http)
            case 2:
                await client.dial(engine.http, session=HEARS)
                client.send("response.create", response={"instructions": COUNTING})
                await client.until("output_audio_buffer.started")
            case 3:
                await client.dial(engine.http, session=HEARS)
                client.mouth.say(spoken("What time do you open on Saturday?"))
                await client.until("input_audio_buffer.speech_started")
        await client.close()

    async def some(numbers: range) -> None:
        for number in numbers:
            await drop(number)
        await until(lambda: alone(engine), 10)
        await asyncio.sleep(0)

    asyncio.run(some(range(4)))
    gc.collect()
    before = engine.tasks(), threads()
    asyncio.run(some(range(calls)))
    gc.collect()
    asyncio.run(until(lambda: engine.tasks() <= before[0], 5))
    assert threads() <= before[1]
