"""Who may ring: signatures, age, repeats, and strangers who send too much or too slowly."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route
from support.phone_service import SECRET, announced, signed
from support.reception import OTHER, Exchange, exchange
from support.until import until

from runner.errors import InputError
from runner.serve import door as doors
from runner.serve.door import Door
from runner.serve.phone.webhook import Seen, Signatures, incoming

FILE = """\
timezone: none
transport: {{ type: sip, listen: "127.0.0.1:0", webhook_secret: "${{{secret}}}" }}
calls: [{{ to: "{to}", answer: desk }}]
agents: {{ desk: {{ instructions: x, greeting: "{name} speaking." }} }}
"""


def one(name: str = "one", to: str = "+1555*", secret: str = "ONE") -> str:
    return FILE.format(name=name, to=to, secret=secret)


def test_who_may_ring(tmp_path: Path) -> None:
    """Forged, stale, ahead, repeated, two signatures: what each is answered, and who gets in."""

    async def test(it: Exchange) -> None:
        body = announced("rtc_1", {"To": "<sip:+15550100@x>", "From": "<sip:a@x>"})
        now = time.time()
        forged = signed(body, id="w1", secret=OTHER)
        assert await it.post(body, forged) == 401
        assert await it.post(body + b" ", signed(body, id="w1")) == 401
        assert await it.post(body, {}) == 401
        assert await it.post(body, {**signed(body, id="w1"), "webhook-signature": "v1,\xe9"}) == 401
        assert await it.post(body, signed(body, id="w1", at=now - 302)) == 401
        assert await it.post(body, signed(body, id="w1", at=now + 302)) == 401
        both = signed(body, id="w1")
        both["webhook-signature"] = f"v1,AAAA {both['webhook-signature']}"
        assert await it.post(body, both) == 200
        await until(lambda: it.ears.notes)  # the service knows no such call
        assert "hung up before" in it.ears.notes[0]
        # The same message, and another one about the same call, are taken and mean nothing.
        assert await it.post(body, signed(body, id="w1")) == 200
        assert await it.post(body, signed(body, id="w2")) == 200
        for bad in (b"{}", b'{"type": "batch.completed"}'):
            assert await it.post(bad, signed(bad, id="w3")) == 200
        for bad in (b"{", b"[]", b'{"type": "realtime.call.incoming", "data": {}}'):
            assert await it.post(bad, signed(bad, id="w4")) == 400
        call = await it.ring()
        await until(lambda: it.ears.calls)
        assert it.ears.calls == [("one", call.id)]
        assert len(it.ears.notes) == 1

    exchange(tmp_path, test, one=one())


def test_numbers_and_secrets_of_several_files(tmp_path: Path) -> None:
    """Each call reaches the deployment that names its number, if its secret signed it."""

    async def test(it: Exchange) -> None:
        first, second = await it.ring(to="+15550001"), await it.ring(to="+15550002")
        await until(lambda: len(it.ears.calls) == 2)
        assert dict(it.ears.calls) == {"one": first.id, "two": second.id}
        await until(lambda: first.said and second.said)
        assert (first.said, second.said) == (["one speaking."], ["two speaking."])
        # Signed with the secret of one and two: the third is none of that sender's.
        third = await it.ring(to="+15550003")
        await until(lambda: third.requests)
        assert third.requests == [("reject", {"status_code": 404})]
        body = announced("rtc_y", {"To": "<sip:+15550003@x>"})
        assert await it.post(body, signed(body, id="w", secret=OTHER)) == 200

    exchange(
        tmp_path,
        test,
        one=one("one", "+15550001"),
        two=one("two", "+15550002"),
        three=one("three", "+15550003", "TWO"),
    )


def test_a_silent_line_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phone is gone, the control socket says nothing and stays open."""
    monkeypatch.setattr("runner.serve.phone.lines.QUIET_SECONDS", 0.2)

    async def test(it: Exchange) -> None:
        call = await it.ring()
        await until(lambda: call.attached >= 3)  # asked, and still there
        live = it.live(call)
        assert not live.ended.is_set()
        call.vanishes()
        await until(lambda: it.ears.over)
        assert (live.reason, live.lost) == ("the caller hung up", False)

    exchange(tmp_path, test, one=one())


# -- pure ------------------------------------------------------------------------------------------
def test_what_was_seen_is_forgotten_after_ten_minutes() -> None:
    now = [0.0]
    seen = Seen(lambda: now[0])
    assert seen.first("message a", "call 1")
    assert not seen.first("message a", "call 2")
    assert not seen.first("message b", "call 1")
    now[0] = 599
    assert not seen.first("message a")
    now[0] = 601
    assert seen.first("message a", "call 1")


def test_the_headers_of_a_call_are_data() -> None:
    given = [{"name": "From", "value": "<sip:a@b>"}, {"name": "X"}, 7, {"name": 1, "value": "x"}]
    event = {"type": "realtime.call.incoming", "data": {"call_id": "r", "sip_headers": given}}
    found = incoming(json.dumps(event).encode())
    assert not isinstance(found, str)
    assert found is not None
    assert found.headers == (("From", "<sip:a@b>"),)
    assert found.caller == "a"


def test_any_of_the_secrets() -> None:
    signatures = Signatures()
    body = b"{}"
    headers = signed(body, id="w", secret=OTHER)
    assert signatures.secret_of(body, headers, [SECRET, OTHER]) == OTHER
    assert signatures.secret_of(body, headers, [SECRET]) is None
    assert signatures.secret_of(body, headers, []) is None


# -- strangers -------------------------------------------------------------------------------------
def at_the_door(test: Callable[[Door], Awaitable[None]]) -> None:
    async def run() -> None:
        failed: list[BaseException] = []
        door = Door("127.0.0.1", 0, lambda name, error: failed.append(error))

        async def take(request: Any) -> Any:
            body = await doors.body_of(request, 1000)
            return doors.plain(200, str(len(body))) if isinstance(body, bytes) else body

        door.add(Route("/hook", take, methods=["POST"]))
        await door.open()
        try:
            async with asyncio.timeout(30):
                await test(door)
        finally:
            await door.close()
        assert failed == []

    asyncio.run(run())


async def talk(door: Door, *parts: bytes, pause: float = 0) -> bytes:
    """What is answered until the connection closes."""
    reader, writer = await asyncio.open_connection(*door.url.removeprefix("http://").split(":"))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    answer = await reader.read()
    writer.close()
    return answer


HEAD = b"POST /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


def test_strangers_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(doors, "BODY_SECONDS", 0.3)

    async def test(door: Door) -> None:
        small = HEAD + b"Content-Length: 2\r\n\r\n{}"
        assert b"200 OK" in await talk(door, small)
        assert b" 404 " in await talk(door, small.replace(b"/hook", b"/"))
        assert b" 405 " in await talk(door, small.replace(b"POST", b"PUT"))
        assert b" 413 " in await talk(door, HEAD + b"Content-Length: 9999\r\n\r\n", b"x" * 9999)
        assert b" 408 " in await talk(door, HEAD + b"Content-Length: 10\r\n\r\n", b"x")
        # Neither a head that does not end, nor none, nor a second one keeps a connection.
        assert await talk(door, HEAD) == b""
        assert await talk(door) == b""
        kept = small.replace(b"Connection: close\r\n", b"")
        assert (await talk(door, kept, HEAD)).count(b"HTTP/1.1") == 1
        assert b" 400 " in await talk(door, b"\x16\x03\x01 no HTTP\r\n\r\n")

    at_the_door(test)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        door = Door("127.0.0.1", taken.getsockname()[1], lambda name, error: None)
        with pytest.raises(InputError, match="cannot listen on"):
            asyncio.run(door.open())
