"""OpenAI's agents SDK for browsers, its own bundle in Chromium, calls our engine by WebRTC.

Needs Chromium and, in the folder that RTRUN_TEST_NODE names, `npm install @openai/agents`;
.ci/run sets both up.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.browser import Browser, Page, chromium, pages
from support.engine import Puppet, Serving, last_words
from support.hearing import died_away, share, words_in
from support.speech import flite, silence
from support.until import until

from runner.engine.ports import Call, Prompt

HOME = os.environ.get("RTRUN_TEST_NODE", "")
BUNDLE = Path(HOME, "node_modules", "@openai", "agents-realtime", "dist", "bundle")
PAGE = Path(__file__).with_name("browser.html")
QUESTION = "Good morning, could you please tell me what a small bell costs in your shop?"
PRICE = "A small bell costs about as much as a good cup of coffee"
COUNTING = "One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve."

pytestmark = pytest.mark.skipif(not HOME, reason="needs RTRUN_TEST_NODE")


@pytest.fixture
def site() -> Iterator[str]:
    with pages({"/": PAGE.read_text()}, BUNDLE) as url:
        yield url


def shop(prompt: Prompt) -> list[str | Call | Exception]:
    """Whoever asks for a price has it looked up, whoever says count hears numbers."""
    if prompt.items[-1]["type"] == "function_call_output":
        return [last_words(prompt)]
    return [COUNTING] if "count" in last_words(prompt).lower() else [Call("bell_price", "{}")]


def secret(engine: Serving, key: str = "sk-interop", **body: Any) -> str:
    """What a shop's server makes for its page."""
    made = httpx.post(
        f"{engine.http}/realtime/client_secrets",
        headers={"Authorization": f"Bearer {key}"},
        json={"session": {"type": "realtime", "model": "gpt-realtime"}, **body},
    )
    return str(made.json()["value"])


async def connected(browser: Browser, site: str, engine: Serving, page: Page | None = None) -> Page:
    if page is None:
        page = await browser.page(f"{site}/")
    await page.until("window.ready")
    call_id = await page.evaluate(f"connect('{engine.http}', '{secret(engine)}')")
    assert engine.engine.calls.find(call_id) is not None
    return page


async def heard(page: Page) -> bytes:
    """What the page's speaker got, PCM16 at 16 kHz, when it has died away."""
    async with asyncio.timeout(20):
        while not died_away(sound := base64.b64decode(await page.evaluate("heard()")), 16_000):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return sound


async def rung_off(engine: Serving) -> None:
    await until(lambda: not len(engine.engine.calls), 6)


def test_a_page_calls_the_engine(engine: Serving, puppet: Puppet, site: str) -> None:
    puppet.answer = shop

    async def main() -> None:
        # The question comes again and again, for whenever the line is open.
        async with chromium(silence(1) + flite(QUESTION) + silence(6)) as browser:
            page = await connected(browser, site, engine)
            assert await page.evaluate("told.states") == ["connecting", "connected"]
            assert await page.evaluate("count('session.updated')") >= 1
            await page.evaluate("listen()")

            # A question that was spoken, a function that ran in the page, its result in sound.
            await page.until("told.tools.length")
            await page.evaluate("session.mute(true)")
            await page.until("count('output_audio_buffer.stopped')")
            said = dict(await page.evaluate("said()"))
            assert share(QUESTION, said["user"]) > 0.7
            assert PRICE in said["assistant"]
            sound = await heard(page)
            assert share(PRICE, await words_in(sound)) > 0.7
            arrived = await page.evaluate("arrived()")
            assert arrived["packetsReceived"] > 100
            assert arrived["totalAudioEnergy"] > 0

            # An answer that is cut.
            started = await page.evaluate("count('output_audio_buffer.started')")
            await page.evaluate("session.sendMessage('Please count.'); 1")
            await page.until(f"count('output_audio_buffer.started') > {started}")
            await page.evaluate("session.interrupt()")
            await page.until("count('output_audio_buffer.cleared')")
            await page.until("count('conversation.item.truncated')")
            await page.until("!JSON.stringify(said()).includes('twelve')")  # asked for anew

            assert await page.evaluate("told.errors") == []
            assert await page.evaluate("count('error')") == 0
            assert page.errors == []

            # Whoever reloads the page has hung up, and calls again.
            await page.reload()
            await rung_off(engine)
            await connected(browser, site, engine, page)
            await page.evaluate("session.close()")
            await rung_off(engine)
            await connected(browser, site, engine, page)
            browser.kill()
            await rung_off(engine)

    asyncio.run(main())
