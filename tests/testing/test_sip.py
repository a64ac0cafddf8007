"""runner.testing.SipCaller, a telephone for users' own tests, against the engine's exchange."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from support.engine import spoken
from support.hearing import share, words_in
from support.phones.operator import Exchange, telephone
from support.until import until

from runner.audio.formats import PCMU
from runner.errors import ConnectError
from runner.media.convert import to_pcm16
from runner.media.resample import resample
from runner.testing import SipCaller

COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."


@pytest.fixture(scope="module")
def line() -> Iterator[Exchange]:
    with telephone() as it:
        yield it


@pytest.fixture
def exchange(line: Exchange) -> Iterator[Exchange]:
    line.operator.announced.clear()
    line.operator.decide = lambda operator, call_id: operator.accept(call_id)
    yield line
    line.empty()


class Server:
    """A control socket, and what it was told."""

    def __init__(self, call_id: str, socket: websockets.ClientConnection) -> None:
        self.call_id = call_id
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if event["type"] == kind:
                        self.events.remove(event)
                        return event
                self.events.append(json.loads(await self.socket.recv()))


@asynccontextmanager
async def called(exchange: Exchange, **options: Any) -> AsyncIterator[tuple[SipCaller, Server]]:
    async with SipCaller(exchange.dial, **options) as caller:
        async with asyncio.timeout(20):
            await caller.connected.wait()
        call_id = exchange.operator.announced[-1]["data"]["call_id"]
        url, key = f"{exchange.serving.url}?call_id={call_id}", {"Authorization": "Bearer key"}
        async with websockets.connect(url, additional_headers=key) as socket:
            yield caller, Server(call_id, socket)


def test_a_conversation_with_keys(exchange: Exchange) -> None:
    async def main() -> None:
        async with called(exchange, sender="+15551234") as (caller, server):
            headers = exchange.operator.announced[-1]["data"]["sip_headers"]
            assert any("<sip:+15551234@" in header["value"] for header in headers)
            await caller.press("42#")
            keys = [
                (await server.until("input_audio_buffer.dtmf_event_received"))["event"]
                for _ in range(3)
            ]
            assert keys == ["4", "2", "#"]
            caller.speak(spoken("What time do you open on Saturday?") + bytes(48_000))
            done = await server.until("conversation.item.input_audio_transcription.completed")
            assert share("What time do you open on Saturday", done["transcript"]) > 0.7
            await server.until("output_audio_buffer.stopped")
            heard = resample(to_pcm16(PCMU)(bytes(caller.played)), 8000, 16_000)
            said = "You said what time do you open on Saturday"
            assert share(said, await words_in(heard)) > 0.6
            await caller.hang_up()
            assert caller.reason == "the caller hung up"
            assert caller.failures == []
            with pytest.raises(websockets.ConnectionClosedOK):
                await server.until("nothing of this name")

    asyncio.run(main())


def test_speech_over_the_answer_cuts_it(exchange: Exchange) -> None:
    async def main() -> None:
        async with called(exchange) as (caller, server):
            ask = {"type": "response.create", "response": {"instructions": COUNTING}}
            await server.socket.send(json.dumps(ask))
            await server.until("output_audio_buffer.started")
            caller.speak(spoken("Stop please, that is enough.") + bytes(48_000))
            await server.until("output_audio_buffer.cleared")
            cut = await server.until("conversation.item.truncated")
            assert 0 < cut["audio_end_ms"] < 5000

    asyncio.run(main())


def test_the_other_side_hangs_up_refuses_and_transfers(exchange: Exchange) -> None:
    operator = exchange.operator

    async def main() -> None:
        async with called(exchange) as (caller, server):
            await asyncio.to_thread(operator.post, server.call_id, "hangup")
            await asyncio.wait_for(caller.over.wait(), 5)
            assert caller.reason == "hung up on the other side"
        async with called(exchange) as (caller, server):
            refer = {"target_uri": "tel:+15550177"}
            answer = await asyncio.to_thread(operator.post, server.call_id, "refer", refer)
            assert answer.status_code == 200
            await asyncio.wait_for(caller.over.wait(), 5)
            assert caller.referred == "tel:+15550177"
        operator.decide = lambda operator, call_id: operator.post(call_id, "reject")
        async with SipCaller(exchange.dial) as caller:
            await asyncio.wait_for(caller.over.wait(), 10)
            assert (caller.status, caller.connected.is_set()) == (603, False)
        operator.decide = lambda operator, call_id: None
        async with SipCaller(exchange.dial) as caller:
            await until(lambda: len(operator.announced) == 4)
        assert caller.reason == "the caller gave up"

    asyncio.run(main())


def test_nobody_is_there() -> None:
    async def main() -> None:
        with pytest.raises(ConnectError, match="nobody answers SIP at"):
            async with SipCaller("127.0.0.1:9"):
                pass

    asyncio.run(main())
