"""Callers of the engine's WebRTC that do what they should not: the calls of others go on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from aiortc import RTCSessionDescription
from support.engine import Puppet, Serving, serving
from support.until import until
from support.webrtc import RtcClient, dialled

from runner.engine.rtc import peer

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), None, "nobody speaks here", stall_seconds=1.0) as running:
        yield running


async def answered(client: RtcClient) -> None:
    client.send("response.create", response={"instructions": "Say exactly:\n\nStill here."})
    done = await client.until("response.done")
    assert done["response"]["output"][0]["content"][0]["text"] == "Still here."


def test_two_offers_at_once_are_two_calls(engine: Serving) -> None:
    async def main() -> None:
        one, two = RtcClient(), RtcClient()
        await asyncio.gather(one.dial(engine.http), two.dial(engine.http))
        assert one.call_id != two.call_id
        await asyncio.gather(answered(one), answered(two))
        await one.close()
        await answered(two)
        await two.close()
        await until(lambda: not len(engine.engine.calls))

    asyncio.run(main())


def test_an_offer_that_is_sent_twice(engine: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a client that had no answer: the one it takes is its call, the other never opens, and
    is given up."""
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 2.0)

    async def main() -> None:
        client = RtcClient()
        sdp = await client.offer()
        async with httpx.AsyncClient() as http:
            url = f"{engine.http}/realtime/calls"
            twice = (http.post(url, content=sdp, headers=SDP) for _ in range(2))
            first, second = await asyncio.gather(*twice)
        assert first.headers["location"] != second.headers["location"]
        await client.pc.setRemoteDescription(RTCSessionDescription(second.text, "answer"))
        await client.until("session.created")
        await until(lambda: len(engine.engine.calls) == 1)
        await answered(client)
        await client.close()
        await until(lambda: not len(engine.engine.calls))

    asyncio.run(main())


def test_a_control_socket_that_does_not_read(engine: Serving) -> None:
    """It is let go, and neither the call nor another server waits for it."""

    async def main() -> None:
        where = urlsplit(engine.url)
        assert where.hostname is not None
        assert where.port is not None
        lazy = socket.socket()
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.connect((where.hostname, where.port))
        async with dialled(engine.http) as call:
            url = f"{engine.url}?call_id={call.call_id}"
            key = {"Authorization": "Bearer key"}
            asleep = await websockets.connect(url, additional_headers=key, sock=lazy, max_queue=1)
            awake = await websockets.connect(url, additional_headers=key, max_size=None)
            content = [{"type": "input_text", "text": "x" * 40_000}]
            item = {"type": "message", "role": "user", "id": "big", "content": content}
            call.send("conversation.item.create", item=item)
            await call.until("conversation.item.done")
            controls = engine.engine.calls.find(call.call_id)._controls
            assert len(controls) == 2
            asked = 0
            while len(controls) == 2:
                call.send("conversation.item.retrieve", item_id="big")
                await call.until("conversation.item.retrieved")
                asked += 1
            await answered(call)
            told: list[str] = []
            while "response.done" not in told:
                told.append(json.loads(await awake.recv())["type"])
            assert told.count("conversation.item.retrieved") == asked
            asleep.transport.abort()
            await awake.close()

    asyncio.run(main())
