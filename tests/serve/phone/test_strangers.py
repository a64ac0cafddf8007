"""Who may ring by Twilio and open a stream, what becomes of those who may not, and of streams that
are none. The engine has no ears here: nobody speaks."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from support.engine import Puppet, Serving, serving
from support.phone_service import post
from support.twilio import LINE, PUBLIC, TOKEN, Exchange, exchange
from support.until import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from runner.errors import ConnectError
from runner.serve.phone import socket as sockets
from runner.serve.phone import tickets
from runner.tasks import in_thread
from runner.testing import TwilioCaller
from runner.testing.twiml import Verb, read_twiml
from runner.transports.twilio_signature import HEADER, twilio_signature

FILE = LINE + "session: { output_modalities: [text] }\n"
ONE = (
    FILE
    + """\
calls:
  - { from: anonymous, reject: 603 }
  - { to: "+15550111", transfer: "tel:+15550199" }
  - { to: "+15550122", transfer: "sip:desk@example.com" }
  - { to: "+15550133", reject: 404 }
  - { to: "+155501*", answer: desk }
on_failure: { say: "We <have> a problem.", transfer: "tel:+15550188" }
limits: { calls: 2 }
agents: { desk: { instructions: x } }
"""
)
START = {"event": "start", "streamSid": "MZ1", "sequenceNumber": "1"}
MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet()) as running:
        yield running


def strangers(
    folder: Path, engine: Serving, test: Callable[[Exchange], Awaitable[None]], text: str = ONE
) -> None:
    async def main() -> None:
        async with exchange(folder, engine.url, one=text) as it, asyncio.timeout(60):
            await test(it)

    asyncio.run(main())


async def verbs(caller: TwilioCaller, **more: str) -> list[Verb]:
    return read_twiml(await caller.ask(**more))


async def ticket(caller: TwilioCaller) -> str:
    """The stream's URL as Twilio knows it."""
    return (await verbs(caller))[0].attributes["url"]


async def opened(it: Exchange, url: str, signature: str | None = None) -> ClientConnection:
    headers = {HEADER: twilio_signature(TOKEN, url) if signature is None else signature}
    here = it.webhook.replace("http", "ws") + url.removeprefix(PUBLIC.replace("https", "wss"))
    return await connect(here, additional_headers=headers, proxy=None, close_timeout=1)


async def refused(it: Exchange, url: str, signature: str | None = None) -> int:
    with pytest.raises(InvalidStatus) as error:
        await opened(it, url, signature)
    return error.value.response.status_code


async def closed(socket: ClientConnection) -> int:
    """The code with which the server closes it."""
    try:
        async with asyncio.timeout(10):
            while True:
                await socket.recv()
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd is not None else 1006


def begun(caller: TwilioCaller, **more: Any) -> str:
    ids = {"accountSid": caller.account_sid, "callSid": caller.call_sid, "streamSid": "MZ1"}
    return json.dumps({**START, "start": {**ids, "mediaFormat": MULAW, **more}})


def test_who_may_ring(tmp_path: Path, engine: Serving) -> None:
    async def test(it: Exchange) -> None:
        form = urlencode({"CallSid": "CA1", "From": "+1", "To": "+15550100"}).encode()
        for signature in ("", "x" * 28, "\xe9", twilio_signature("other", PUBLIC)):
            assert await in_thread(post, it.webhook, form, {HEADER: signature}) == 403
        whole = twilio_signature(TOKEN, PUBLIC, [("CallSid", "CA1"), ("From", "+1")])
        assert await in_thread(post, it.webhook, form, {HEADER: whole}) == 403  # a field more
        large = b"CallSid=" + b"A" * 100_000
        assert await in_thread(post, it.webhook, large, {}) == 413
        with contextlib.suppress(OSError):  # the rest of it is not taken
            assert await in_thread(post, it.webhook, large * 100, {}) == 413
        with pytest.raises(ConnectError, match="400 no CallSid"):
            await it.phone().ask(CallSid="")
        with pytest.raises(ConnectError, match="400 no CallSid"):
            await it.phone().ask(CallSid="../../x")

    strangers(tmp_path, engine, test)


def test_what_becomes_of_a_call(tmp_path: Path, engine: Serving) -> None:
    async def test(it: Exchange) -> None:
        phone = it.phone()
        assert await verbs(phone, From="anonymous") == [Verb("Reject", "", {"reason": "busy"})]
        assert await verbs(phone, To="+15550111") == [Verb("Dial", "+15550199")]
        assert await verbs(phone, To="+15550122") == [Verb("Dial", "sip:desk@example.com")]
        assert await verbs(phone, To="+15550133") == [Verb("Reject", "", {"reason": "rejected"})]
        assert await verbs(phone, To="+1999") == [Verb("Reject", "", {"reason": "busy"})]
        stream, *instead = await verbs(phone)
        assert stream.attributes["url"].startswith("wss://voice.example.com/twilio/")
        sorry = [Verb("Say", "We <have> a problem."), Verb("Dial", "+15550188")]
        assert instead == sorry
        await ticket(it.phone())
        assert await verbs(it.phone()) == [Verb("Reject", "", {"reason": "busy"})]  # limits.calls
        await ticket(phone)  # rung again, it is the same call
        it.draining = True
        assert await verbs(it.phone()) == sorry

    strangers(tmp_path, engine, test)


def test_who_may_open_a_stream(
    tmp_path: Path, engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, once, soon, and signed."""

    async def test(it: Exchange) -> None:
        phone = it.phone()
        first = await ticket(phone)
        second = await ticket(phone)
        assert await refused(it, first) == 403  # overtaken
        assert await refused(it, second, "") == 403
        assert await refused(it, second, twilio_signature(TOKEN, first)) == 403
        assert await refused(it, second + "x") == 403
        socket = await opened(it, second)
        assert await refused(it, second) == 403  # used up
        assert await refused(it, await ticket(phone)) == 403  # the call has a stream
        await socket.send(begun(it.phone()))
        assert await closed(socket) == 1008  # another call's
        monkeypatch.setattr(tickets, "SECONDS", 0.0)
        assert await refused(it, await ticket(phone)) == 403
        assert it.ears.calls == {}
        assert it.ears.notes == [f"{phone.call_sid}: the stream is another call's"]

    strangers(tmp_path, engine, test)


#: What a socket says, and what an operator reads of it. None: it is closed.
NO_STREAMS: list[tuple[list[Any], str]] = [
    (["hello"], "what came is no JSON"),
    ([b"\0\1"], "what came is no text"),
    (['{"event": "connected"}', "[]", "1", "null"], "what came is no stream"),
    (['{"event": "start", "start": 5}'], "the stream is another call's"),
    (['{"event": "connected"}', '{"event": "stop"}', None], "Twilio closed the stream"),
    (["x" * 100_000], "Twilio closed the stream"),
    ([], "no stream began within 0 s"),
]


def test_a_socket_that_is_no_stream(
    tmp_path: Path, engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(it: Exchange) -> None:
        for sent, words in NO_STREAMS:
            if not sent:
                monkeypatch.setattr(sockets, "START_SECONDS", 0.05)
            phone = it.phone()
            socket = await opened(it, await ticket(phone))
            for message in sent:
                if message is None:
                    await socket.close()
                else:
                    await socket.send(message)
            await closed(socket)
            await until(lambda: it.ears.notes)
            assert it.ears.notes == [f"{phone.call_sid}: {words}"]
            it.ears.notes.clear()

    strangers(tmp_path, engine, test)


def test_another_coding_is_refused(tmp_path: Path, engine: Serving) -> None:
    async def test(it: Exchange) -> None:
        phone = it.phone()
        socket = await opened(it, await ticket(phone))
        await socket.send(begun(phone, mediaFormat={"encoding": "audio/l16"}))
        assert await closed(socket) == 1008
        assert "not audio/x-mulaw" in it.ears.notes[0]

    strangers(tmp_path, engine, test)


def test_the_end_in_every_state(
    tmp_path: Path, engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, in the call, by a socket that dies, and by a line that falls silent."""

    async def test(it: Exchange) -> None:
        async def ended(how: Callable[[ClientConnection, TwilioCaller], Awaitable[Any]]) -> str:
            phone, over = it.phone(), len(it.ears.over)
            socket = await opened(it, await ticket(phone))
            await socket.send(begun(phone))
            await until(lambda: phone.call_sid in it.ears.calls)
            call = it.call(phone)
            await how(socket, phone)
            await until(lambda: len(it.ears.over) > over)
            assert not call.lost
            await socket.close()
            return str(call.reason)

        async def stop(socket: ClientConnection, phone: TwilioCaller) -> None:
            await socket.send(json.dumps({"event": "stop", "stop": {}}))

        async def dies(socket: ClientConnection, phone: TwilioCaller) -> None:
            socket.transport.abort()

        async def begins_again(socket: ClientConnection, phone: TwilioCaller) -> None:
            await socket.send(begun(phone, callSid="CAother", accountSid="ACother"))
            await socket.send("no JSON at all")
            await socket.send(json.dumps({"event": "stop", "stop": {}}))

        async def falls_silent(socket: ClientConnection, phone: TwilioCaller) -> None:
            monkeypatch.setattr(sockets, "QUIET_SECONDS", 0.05)
            await socket.send(json.dumps({"event": "media", "media": {}}))

        assert await ended(stop) == "the caller hung up"
        assert await ended(dies) == "Twilio closed the stream"
        assert await ended(begins_again) == "the caller hung up"
        assert "nothing came from Twilio" in await ended(falls_silent)
        phone = it.phone()
        socket = await opened(it, await ticket(phone))
        await socket.send(begun(phone))
        await stop(socket, phone)  # before the model has the line
        await closed(socket)
        assert it.api.asked == []  # who hung up is not hung up on

    strangers(tmp_path, engine, test)


def test_a_model_that_cannot_be_reached(tmp_path: Path, engine: Serving) -> None:
    """Twilio goes on with what stands behind the stream; of a call that is lost, with what the
    file says by then."""

    async def test(it: Exchange) -> None:
        desk = it.hall["one"].desk
        assert desk is not None
        object.__setattr__(desk._address, "url", "ws://127.0.0.1:1/v1/realtime")
        async with it.phone() as phone:
            await phone.over.wait()
            assert [verb.name for verb in phone.done] == ["Connect", "Say", "Dial"]
            assert phone.reason == "put through to +15550188"
        assert "cannot reach" in it.ears.notes[0]
        object.__setattr__(desk._address, "url", engine.url)
        async with it.phone() as phone:
            await until(lambda: phone.call_sid in it.ears.calls)
            (tmp_path / "one.yaml").write_text(ONE.replace("+15550188", "+15550177"))
            await it.hall["one"].reload()
            line = it.call(phone).session._line
            assert line is not None
            line._end("the service is gone")
            await phone.over.wait()
            assert phone.reason == "put through to +15550177"

    strangers(tmp_path, engine, test)


def test_forty_numbers_in_one_process(tmp_path: Path, engine: Serving) -> None:
    """Each call reaches its agent, and an edit touches its own calls alone."""
    numbers = [f"+155502{n:02}" for n in range(40)]
    files = {
        f"shop{n}": FILE
        + f'calls: [{{ to: "{number}", answer: desk }}]\n'
        + f'agents: {{ desk: {{ instructions: "Shop {n} of ${{call.to}}." }} }}\n'
        for n, number in enumerate(numbers)
    }

    async def main() -> None:
        async with exchange(tmp_path, engine.url, **files) as it, asyncio.timeout(60):
            phones = [it.phone(to=number) for number in numbers]
            await asyncio.gather(*(phone.ring() for phone in phones))
            await until(lambda: len(it.ears.calls) == 40, 40)
            for n, phone in enumerate(phones):
                assert it.ears.whose[phone.call_sid] == f"shop{n}"
                told = it.call(phone).session.effective["instructions"]
                assert told.startswith(f"Shop {n} of {numbers[n]}.")
            (tmp_path / "shop7.yaml").write_text(files["shop7"].replace("Shop 7", "Store 7"))
            await it.hall["shop7"].reload()
            await until(lambda: it.call(phones[7]).revision == 1)
            assert it.call(phones[7]).session.effective["instructions"].startswith("Store 7")
            assert [it.call(phone).revision for phone in phones] == [0] * 7 + [1] + [0] * 32
            await asyncio.gather(*(phone.close() for phone in phones))
            assert [phone.failures for phone in phones] == [[]] * 40
            await until(lambda: len(it.ears.over) == 40)

    asyncio.run(main())


def test_who_may_say_what_became_of_a_transfer(tmp_path: Path, engine: Serving) -> None:
    """Twilio alone, and of a call that was put through: else the call is hung up."""

    async def test(it: Exchange) -> None:
        url, here = f"{PUBLIC}/aToken", f"{it.webhook}/aToken"
        fields = (("CallSid", "CA1"), ("DialCallStatus", "busy"))
        form = urlencode(fields).encode()
        assert await in_thread(post, here, form, {HEADER: ""}) == 403
        assert await in_thread(post, here, form, {HEADER: twilio_signature(TOKEN, PUBLIC)}) == 403
        caller = it.phone()
        answer = await caller._ask(url, here, DialCallStatus="busy")
        assert [verb.name for verb in read_twiml(answer)] == ["Hangup"]

    strangers(tmp_path, engine, test)
