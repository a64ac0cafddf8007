"""A built Worker as it is met: examples/cloudflare, its entry inside Pyodide behind a door, called
by a page in a real browser and by a telephone of the engine's.

Needs Chromium, Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install pyodide
miniflare ws`; .ci/run sets them up.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from support.browser import Page, chromium, pages
from support.command import rtrun
from support.engine import Puppet, Serving, last_words, speech_models, spoken
from support.hearing import died_away, words_in
from support.phones.udp import UdpPhone
from support.speech import silence
from support.until import until, until_sync

from runner.engine.app import Engine
from runner.engine.ports import Call, Prompt, Say
from runner.engine.server.options import EngineOptions
from runner.engine.sip.options import SipOptions
from runner.media.resample import resample

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cloudflare"
HOME = os.environ.get("RTRUN_TEST_NODE", "")
KEY = "sk-worker"
SECRET = "whsec_" + base64.b64encode(b"a secret").decode()

pytestmark = pytest.mark.skipif(not (HOME and shutil.which("node")), reason="RTRUN_TEST_NODE")


def answer(prompt: Prompt) -> list[Any]:
    """Who says hello hears it, who says something else hears a price, and after that goodbye."""
    if prompt.instructions.startswith("Say exactly"):
        return [prompt.instructions.partition("\n\n")[2]]
    words = last_words(prompt)
    told = any(item["type"] == "function_call_output" for item in prompt.items)
    if prompt.items[-1]["type"] == "function_call_output" or words == "hello":
        return [f"You said: {words}"]
    if told:
        return [Say("Goodbye."), Call("end_call", "{}")]
    return [Call("price", '{"repair": "flat tyre"}')]


@dataclass(frozen=True)
class Live:
    """``door`` is the Worker's address without its scheme, ``engine`` has the telephone."""

    door: str
    engine: Serving


@contextmanager
def worker(folder: Path, bindings: Path) -> Iterator[str]:
    """The door of the example's Worker, built into ``folder``."""
    done = rtrun(
        *("build", "cloudflare", str(EXAMPLE / "shop.yaml"), "-o", str(folder)),
        *("--without-sdk", "--set", "engine.url=${ENGINE_URL}", "--set", "engine.api_key=${KEY}"),
    )
    assert done.returncode == 0, done.stderr
    script = shutil.copy(Path(__file__).with_name("door.mjs"), Path(HOME) / "door.mjs")
    said = folder.with_name("said")
    with said.open("wb") as log:
        process = subprocess.Popen(
            ["node", script, folder, bindings], stdout=subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdout is not None
            port = process.stdout.readline().decode().strip()
            assert port, said.read_text()[-2000:]
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("worker")
    puppet = Puppet()
    puppet.answer = answer
    with worker(folder / "dist", folder / "bindings.json") as door:
        sip = SipOptions(webhook=f"http://{door}/sip/webhook", secret=SECRET)
        engine = Serving(Engine(EngineOptions(key=KEY), puppet, speech_models(), sip=sip))
        names = {"ENGINE_URL": engine.url, "KEY": KEY, "RTRUN_WS_TOKEN": "t0ken"}
        (folder / "bindings.json").write_text(
            json.dumps({**names, "OPENAI_WEBHOOK_SECRET": SECRET})
        )
        try:
            yield Live(door, engine)
        finally:
            engine.close()


def test_its_health(live: Live) -> None:
    with urlopen(f"http://{live.door}/healthz", timeout=30) as found:
        assert json.load(found)["name"] == "shop"


async def lines(page: Page, who: str) -> list[str]:
    found = f"[...document.querySelectorAll('li.{who}')].map((line) => line.textContent)"
    return list(await page.evaluate(found))


async def heard_of(page: Page, who: str, words: str) -> None:
    found = f"[...document.querySelectorAll('li.{who}')].some("
    await page.until(f"{found}(line) => line.textContent.toLowerCase().includes('{words}'))", 60)


def test_a_page_types_and_speaks(live: Live, tmp_path: Path) -> None:
    # It is heard once in a test: the microphone begins when the page opens it.
    question = silence(1.0) + spoken("What does a flat tyre cost?") + silence(60.0)

    async def talk(site: str) -> None:
        address = f"{site}/page.html?worker=ws://{live.door}/ws&token"
        async with chromium(question) as browser:
            page = await browser.page(f"{address}=wrong")
            await page.click("#call")
            await heard_of(page, "trouble", "did not take the call")
            page = await browser.page(f"{address}=t0ken")
            await page.click("#words")
            for key in "hello":
                await page.press(key)
            await page.press("Enter")
            await heard_of(page, "agent", "good day")
            await heard_of(page, "agent", "you said: hello")
            await page.until("speaker.seconds > 1")
            await page.click("#call")  # the line is hung up
            await page.until("document.getElementById('status').textContent.includes('over')")
            await page.click("#call")
            await heard_of(page, "caller", "cost")
            await heard_of(page, "agent", "12 euros")
            await page.until("speaker.seconds > 1")
            assert await lines(page, "trouble") == []
            assert page.errors == []
            await page.screenshot(tmp_path / "page.png")

    with pages({}, EXAMPLE) as site:
        asyncio.run(talk(site))


class Softphone(asyncio.DatagramProtocol):
    """SIP by UDP, as little as one call takes; its sound is ``phone``'s. ``state`` is that of the
    newest answer, and BYE when the far end has hung up."""

    def __init__(self, dial: str, phone: UdpPhone) -> None:
        host, _, port = dial.partition(":")
        self._there = host, int(port)
        self._dial = f"sip:shop@{dial}"
        self._phone = phone
        self._to = f"<{self._dial}>"
        self.state = ""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._here = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
        self._ask("INVITE", 1, self._phone.offer())

    def _ask(self, verb: str, number: int, body: bytes = b"") -> None:
        head = [
            f"{verb} {self._dial} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._here};branch=z9hG4bK{verb}{number};rport",
            f"From: <sip:+4930123@{self._here}>;tag=here",
            f"To: {self._to}",
            f"Call-ID: one@{self._here}",
            f"CSeq: {number} {verb}",
            f"Contact: <sip:+4930123@{self._here}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._transport.sendto("\r\n".join([*head, "", ""]).encode() + body, self._there)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        head, _, body = data.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        if first.startswith("BYE"):
            kept = ("via", "from", "to", "call-id", "cseq")
            echoed = [line for line in rest if line.partition(":")[0].strip().lower() in kept]
            answer = ["SIP/2.0 200 OK", *echoed, "Content-Length: 0", "", ""]
            self._transport.sendto("\r\n".join(answer).encode(), addr)
            self.state = "BYE"
        elif first.startswith("SIP/2.0 "):
            if first.split()[1] == "200" and b"INVITE" in head:
                [self._to] = [line[3:].strip() for line in rest if line.lower().startswith("to:")]
                self._ask("ACK", 1)
                if self.state != "200":
                    self._phone.answered(body)
                    self._phone.talk()
            self.state = self.state if self.state == "BYE" else first.split()[1]


def test_a_telephone_call(live: Live) -> None:
    """SIP and RTP into the engine; announced, accepted, followed and hung up by the Worker."""
    exchange = live.engine.engine.exchange
    assert exchange is not None

    async def call(dial: str) -> str:
        phone = await UdpPhone.open()
        loop = asyncio.get_running_loop()
        transport, line = await loop.create_datagram_endpoint(
            lambda: Softphone(dial, phone), local_addr=("127.0.0.1", 0)
        )

        async def spoken_to(since: int) -> int:
            """Until the agent has said something, and it has died away."""
            await until(lambda: died_away(bytes(phone.heard[since:]), 8_000, 800), 60)
            return len(phone.heard)

        try:
            await until(lambda: line.state == "200", 60)
            greeted = await spoken_to(0)
            phone.say(spoken("What does a flat tyre cost?"))
            await spoken_to(greeted)
            phone.say(spoken("Okay, goodbye."))
            await until(lambda: line.state == "BYE", 60)
            # Once: these ears are the engine's as well.
            return (await words_in(resample(bytes(phone.heard), 8_000, 16_000))).lower()
        finally:
            phone.close()
            transport.close()

    said = asyncio.run(call(exchange.dial))
    assert [word for word in ("good day", "euro", "bye") if word not in said] == [], said
    until_sync(lambda: not len(live.engine.engine.calls))
