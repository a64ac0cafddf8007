"""Other people's telephones call the engine: PJSIP and baresip, as processes of their own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from support.conformance import Checker
from support.engine import Client
from support.hearing import share, words_in
from support.phones.drive import Baresip, Phone, Pjsip, certificate, ringing
from support.phones.operator import Exchange, telephone
from support.until import until, until_sync

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="pjsua2-python has no wheel for this Python"
)
QUESTION = "What time do you open on Saturday?"
COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    cert, key = certificate(tmp_path_factory.mktemp("tls"))
    with telephone(tls_host="127.0.0.1", certificate=cert, key=key) as running:
        running.operator.decide = lambda operator, call_id: operator.accept(call_id)
        yield running


@asynccontextmanager
async def controlled(exchange: Exchange, call_id: str) -> AsyncIterator[Client]:
    url = f"{exchange.serving.url}?call_id={call_id}"
    headers = {"Authorization": "Bearer key"}
    async with websockets.connect(url, additional_headers=headers, max_queue=None) as socket:
        client = Client(socket, Checker(rtc=True))
        await client.until("session.created")
        yield client


@asynccontextmanager
async def call(
    exchange: Exchange, kind: type[Phone], folder: Path, *, tls: bool = False
) -> AsyncIterator[tuple[Any, Client, str]]:
    """A call that was answered: the phone, its control socket, its id."""
    before = len(exchange.operator.announced)
    async with ringing(kind, folder) as phone:
        if tls:
            await phone.dial(f"sip:agent@{exchange.dial_tls};transport=tls", "srtp")
        else:
            await phone.dial(f"sip:agent@{exchange.dial}")
        call_id = exchange.operator.announced[before]["data"]["call_id"]
        async with controlled(exchange, call_id) as client:
            yield phone, client, call_id


async def post(exchange: Exchange, call_id: str, verb: str, body: Any = None) -> int:
    answer = await asyncio.to_thread(exchange.operator.post, call_id, verb, body)
    return answer.status_code


async def answered(phone: Any, client: Client) -> None:
    """A spoken question, understood, and its answer played out."""
    await phone.say(QUESTION)
    done = await client.until("conversation.item.input_audio_transcription.completed")
    assert share(QUESTION, done["transcript"]) > 0.6, done["transcript"]
    await client.until("response.done")
    await client.until("output_audio_buffer.stopped")


async def let_go(client: Client) -> None:
    """Until the engine closes the control socket, whatever it tells before."""
    async for text in client.socket:
        client.events.append(json.loads(text))


async def heard(phone: Any, text: str) -> None:
    words = await words_in(phone.heard())
    assert share(text, words) > 0.6, words


async def cut(phone: Any, client: Client) -> None:
    """Speech over the answer ends it."""
    await client.send("response.create", response={"instructions": COUNTING})
    await client.until("output_audio_buffer.started")
    await client.until("response.done")
    await phone.say("Stop please, that is enough.")
    await client.until("output_audio_buffer.cleared")
    told = await client.until("conversation.item.truncated")
    assert told["audio_end_ms"] < 5000


async def on_hold(hold: Any, unhold: Any, client: Client, is_held: Any) -> None:
    """What is said meanwhile waits."""
    await hold
    await until(lambda: is_held())
    await client.send("response.create", response={"instructions": "Say exactly:\n\nPurple."})
    await client.until("response.done")
    told = client.types().count("output_audio_buffer.stopped")
    await client.send("conversation.item.create", item=typed("Are you there?"))
    await client.until("conversation.item.done")
    assert client.types().count("output_audio_buffer.stopped") == told
    await unhold
    await client.until("output_audio_buffer.stopped")


def typed(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


def held(exchange: Exchange, call_id: str) -> bool:
    sip = exchange.serving.engine.exchange
    assert sip is not None
    return sip._by_id[call_id].agreed.held


def test_pjsip_asks_presses_interrupts_holds_and_is_put_through(
    exchange: Exchange, tmp_path: Path
) -> None:
    async def main() -> None:
        async with call(exchange, Pjsip, tmp_path / "p") as (phone, client, call_id):
            await answered(phone, client)
            await phone.command("press", "4#")
            for key in "4#":
                assert (await client.until("input_audio_buffer.dtmf_event_received"))[
                    "event"
                ] == key
            await cut(phone, client)
            await on_hold(
                phone.command("hold"),
                phone.command("unhold"),
                client,
                lambda: held(exchange, call_id),
            )
            # Put through to the same house: the phone calls there, and this call is over.
            target = f"sip:other@{exchange.dial}"
            assert await post(exchange, call_id, "refer", {"target_uri": target}) == 200
            await phone.until("transfer", target)
            await let_go(client)
            await until(lambda: len(exchange.operator.announced) == 2)
            await phone.command("hang_up")
            await phone.until("over")
            await heard(phone, "You said what time do you open on Saturday")

    exchange.operator.announced.clear()
    asyncio.run(main())
    exchange.empty()


def test_three_phones_at_once_by_udp_and_by_tls_with_srtp(
    exchange: Exchange, tmp_path: Path
) -> None:
    async def by_udp() -> None:
        async with call(exchange, Baresip, tmp_path / "udp") as (phone, client, call_id):
            await answered(phone, client)
            await phone.command("sndcode", "7")
            assert (await client.until("input_audio_buffer.dtmf_event_received"))["event"] == "7"
            await cut(phone, client)
            await on_hold(
                phone.command("hold"),
                phone.command("resume"),
                client,
                lambda: held(exchange, call_id),
            )
            await phone.command("hangup")
            await phone.until("CALL_CLOSED")
            await phone.command("quit")
            await phone.until("over")
            await heard(phone, "You said what time do you open on Saturday")

    async def by_tls(kind: type[Phone], *last: str) -> None:
        async with call(exchange, kind, tmp_path / kind.__name__, tls=True) as (phone, client, id):
            await answered(phone, client)
            assert await post(exchange, id, "hangup") == 200
            await phone.until(*last)
            if kind is Baresip:
                await phone.command("quit")
            await phone.until("over")
            await heard(phone, "You said what time do you open on Saturday")

    async def main() -> None:
        first = asyncio.create_task(by_udp())
        await until(lambda: exchange.calls == 1, 20)
        second = asyncio.create_task(by_tls(Baresip, "CALL_CLOSED"))
        await until(lambda: exchange.calls == 2, 20)
        await asyncio.gather(first, second, by_tls(Pjsip, "state", "DISCONNECTED"))

    exchange.operator.announced.clear()
    asyncio.run(main())
    exchange.empty()


def test_a_phone_that_is_killed_leaves_nothing_behind(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.sip.media import port

    monkeypatch.setattr(port, "SILENCE_SECONDS", 0.3)

    async def main() -> None:
        async with call(exchange, Pjsip, tmp_path / "k") as (phone, client, _):
            phone._process.kill()
            await let_go(client)

    asyncio.run(main())
    until_sync(lambda: exchange.calls == 0)
