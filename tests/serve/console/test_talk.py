"""Calls from a page, made by a WebRTC client that is not ours: how they begin and how they end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc import RTCSessionDescription
from support.consoles import Desk, console_on
from support.engine import Puppet, Serving, serving
from support.until import until
from support.webrtc import RtcClient

from runner.serve.console import talk
from runner.serve.console.book import NOT_KEPT
from runner.transports.browser import OpenAIRealtimeBrowser
from runner.transports.sip import OpenAIRealtimeSIP

SHOP = """\
transport: websocket
timezone: none
session: { output_modalities: [text] }
limits: { calls: 1 }
records: { transcript: "kept/{call.id}.json", audio: "kept/{call.id}.wav", redact: [phone_number] }
agents:
  desk:
    instructions: Say one.
    greeting: Good morning. Or call 555-0100.
"""

Test = Callable[[Desk, Serving], Awaitable[None]]


def on_a_console(folder: Path, test: Test) -> None:
    async def main(engine: Serving) -> None:
        async with console_on(folder, engine.url, voice=True, shop=SHOP) as desk:
            await test(desk, engine)

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine))


async def post(desk: Desk, path: str, **given: Any) -> httpx.Response:
    headers = {"Origin": desk.console.url, **given.pop("headers", {})}
    return await desk.client.post(path, headers=headers, **given)


async def offered(desk: Desk, sdp: str = "v=0", page: str = "page") -> httpx.Response:
    query = f"/console/calls?deployment=shop&page={page}"
    headers = {"Content-Type": "application/sdp"}
    return await post(desk, query, content=sdp, headers=headers)


@asynccontextmanager
async def calling(desk: Desk, page: str = "page") -> AsyncIterator[tuple[RtcClient, str]]:
    """A client whose line is open, and the path of its call."""
    client = RtcClient()
    try:
        answer = await offered(desk, await client.offer(), page)
        assert answer.status_code == 201, answer.text
        await client.pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await client.until("session.created")
        yield client, answer.headers["location"]
    finally:
        await client.close()


def test_a_call_is_the_deployments_and_ends_when_the_page_says_so(tmp_path: Path) -> None:
    async def test(desk: Desk, engine: Serving) -> None:
        async with desk.page() as page, calling(desk) as (client, path):
            begun = (await post(desk, f"{path}/begin")).json()
            session = begun["session"]
            assert path.endswith(session)
            assert desk.hall["shop"].desk is not None
            call = desk.hall["shop"].desk.calls[session]
            assert isinstance(call.session.transport, OpenAIRealtimeBrowser)
            assert call.about["from"] == "browser"
            told = await page.until(lambda s: s["is"] == "call" and s["call"]["via"] == "browser")
            assert told["call"]["no_mute"] == "the microphone is in the browser: mute it there"
            greeting = await page.row(role="assistant", done=True)
            assert greeting["text"] == "Good morning. Or call [phone_number]."
            # A page decides nothing of its call.
            client.send("session.update", session={"type": "realtime", "instructions": "Mine."})
            # Its checker knows nothing of what others ask for: read without it.
            await until(lambda: "error" in client.types())
            refused = next(event for event in client.events if event["type"] == "error")
            assert refused["error"]["code"] == "call_is_controlled"
            busy = await offered(desk)
            assert "limits.calls" in busy.json()["error"]
            assert (await post(desk, f"{path}/begin")).status_code == 502
            assert (await post(desk, f"{path}/hangup")).json()["ok"]
            await until(call.ended.is_set)
            await until(lambda: desk.told.calls[-1] == ("ended", "the page hung up"))
            await until(lambda: len(engine.engine.calls) == 0)
            assert not (await post(desk, f"{path}/hangup")).json()["ok"]
            # Its sound runs past us, what was said does not.
            kept = tmp_path / "kept" / f"{session}.json"
            await until(kept.exists)
            record = json.loads(kept.read_text())
            assert (record["from"], record["audio"]) == ("browser", None)
            assert record["reason"] == "the page hung up"
            said = [item["text"] for item in record["items"]]
            assert said == ["Good morning. Or call [phone_number]."]

    on_a_console(tmp_path, test)


def test_a_call_ends_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "PAGE_SECONDS", 0.3)

    async def test(desk: Desk, engine: Serving) -> None:
        async with calling(desk, "gone") as (_, path):
            async with desk.page("gone"):
                assert (await post(desk, f"{path}/begin")).json()["ok"]
            async with desk.page("gone"):  # its line was away for a moment
                await asyncio.sleep(0.5)
                assert desk.told.calls[-1][0] == "began"
            await until(lambda: desk.told.calls[-1] == ("ended", "the page was closed"))

    on_a_console(tmp_path, test)


def test_a_caller_who_vanishes_is_noticed(tmp_path: Path) -> None:
    async def test(desk: Desk, engine: Serving) -> None:
        async with calling(desk) as (client, path):
            assert (await post(desk, f"{path}/begin")).json()["ok"]
            await client.close()
            await until(lambda: desk.told.calls[-1][0] == "ended", 20)

    on_a_console(tmp_path, test)


def test_what_was_said_on_the_phone_is_let_go_with_the_call(tmp_path: Path) -> None:
    async def test(desk: Desk, engine: Serving) -> None:
        shop = desk.hall["shop"].desk
        assert shop is not None
        async with desk.page() as page, calling(desk) as (_, path):
            session = path.rpartition("/")[2]
            call = await shop.open(transport=OpenAIRealtimeSIP(), attach=session)
            told = await page.until(lambda s: s["is"] == "call" and s["call"]["via"] == "phone")
            assert "does not pass through rtrun" in told["call"]["no_mute"]
            await page.row(
                role="assistant", text="Good morning. Or call [phone_number].", done=True
            )
            await call.session.close("over")
            gone = await page.until(lambda s: s["is"] == "forget")
            assert [row["text"] for row in gone["rows"]] == [NOT_KEPT]
            assert (await post(desk, f"{path}/hangup")).json()["ok"]
        async with desk.page("later") as later:
            (known,) = later.said[0]["calls"]
            assert [row["text"] for row in known["rows"]] == [NOT_KEPT]

    on_a_console(tmp_path, test)


def test_who_does_not_come_so_far_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "BEGIN_SECONDS", 0.3)

    async def test(desk: Desk, engine: Serving) -> None:
        async with calling(desk) as (client, path):
            await until(client.closed.is_set)
            late = await post(desk, f"{path}/begin")
            assert "waits to begin" in late.json()["error"]
        assert desk.told.calls == []

    on_a_console(tmp_path, test)


def test_what_is_no_offer_is_refused_in_words(tmp_path: Path) -> None:
    async def test(desk: Desk, engine: Serving) -> None:
        for query, content, status, words in (
            ("deployment=shop", b"hello", 502, "no SDP offer"),
            ("deployment=shop", b"v=0\r\nhello", 502, "SDP"),
            ("deployment=none", b"v=0", 404, "no deployment 'none' runs here"),
            ("", b"v=0", 404, "no deployment"),
            ("deployment=shop", b"v=0" + b" " * 70_000, 413, ""),
        ):
            answer = await post(
                desk,
                f"/console/calls?{query}",
                content=content,
                headers={"Content-Type": "application/sdp"},
            )
            assert answer.status_code == status, answer.text
            assert words in answer.text
        assert (await post(desk, "/console/calls/rtc_none/begin")).status_code == 502
        desk.hall.house.draining = True
        drained = await offered(desk)
        assert "draining" in drained.json()["error"]
        assert len(engine.engine.calls) == 0

    on_a_console(tmp_path, test)
