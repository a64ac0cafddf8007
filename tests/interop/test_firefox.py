"""OpenAI's agents SDK for browsers in Firefox: another WebRTC stack, another microphone.

Needs Firefox and PulseAudio, and the bundle as in test_browser.py; .ci/run sets all up.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from interop.test_browser import BUNDLE, HOME, PAGE, PRICE, QUESTION, rung_off, secret, shop
from support.browser import pages
from support.engine import Puppet, Serving
from support.firefox import firefox
from support.hearing import died_away, share, words_in
from support.soundcard import RATE, sound_card
from support.speech import flite, silence, write_wav
from support.until import until

from runner.media.resample import resample

pytestmark = pytest.mark.skipif(not HOME, reason="needs RTRUN_TEST_NODE")


def test_a_page_in_firefox_calls_the_engine(
    engine: Serving, puppet: Puppet, tmp_path: Path
) -> None:
    puppet.answer = shop
    question = write_wav(tmp_path / "question.wav", silence(0.3) + flite(QUESTION) + silence(0.3))
    stop = write_wav(tmp_path / "stop.wav", flite("Stop please."))

    async def main(site: str) -> None:
        with sound_card() as card:
            async with firefox(card) as browser:
                page = await browser.page(f"{site}/")
                await page.until("window.ready")

                call = await page.evaluate(f"connect('{engine.http}', '{secret(engine)}')")
                assert engine.engine.calls.find(call) is not None
                with card.recorded(tmp_path / "speaker.raw") as speaker:
                    await asyncio.to_thread(card.speak, question)
                    await page.until("told.tools.length")
                    await page.until("count('output_audio_buffer.stopped')")
                    await until(lambda: died_away(whole(speaker), RATE), 20)
                said = dict(await page.evaluate("said()"))
                assert share(QUESTION, said["user"]) > 0.7
                assert share(PRICE, await words_in(resample(whole(speaker), RATE, 16_000))) > 0.7

                # Speech over an answer cuts it.
                await page.evaluate("session.sendMessage('Please count.')")
                await page.until("count('output_audio_buffer.started') > 1")
                await asyncio.to_thread(card.speak, stop)
                await page.until("count('output_audio_buffer.cleared')")
                await page.until("count('conversation.item.truncated')")
                assert await page.evaluate("told.errors") == []
                assert await page.evaluate("count('error')") == 0
                assert page.errors == []

                await page.reload()
                await rung_off(engine)

    with pages({"/": PAGE.read_text()}, BUNDLE) as site:
        asyncio.run(main(site))


def whole(raw: Path) -> bytes:
    data = raw.read_bytes()
    return data[: len(data) // 2 * 2]
