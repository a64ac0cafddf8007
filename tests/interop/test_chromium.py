"""The browser that other tests lean on: what it hears, what it reports, what it leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.browser import chromium, pages
from support.driven import PageError
from support.speech import flite, silence

PAGE = """<!doctype html><title>t</title><link rel=icon href="data:,">
<style>body { background: white } @media (prefers-color-scheme: dark) { body { background: black } }
</style><button onclick="this.textContent = 'pressed'">press</button><input>
<script>
async function loudest(ms) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext(), ear = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(ear);
  const heard = new Float32Array(ear.fftSize), end = performance.now() + ms;
  let most = 0;
  while (performance.now() < end && most < 0.05) {
    ear.getFloatTimeDomainData(heard);
    most = Math.max(most, ...heard.map(Math.abs));
    await new Promise((go) => setTimeout(go, 5));
  }
  return most;
}
</script>"""


def test_it_hears_shows_and_reports(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with chromium(flite("Hello, is anybody there?") + silence(0.5)) as browser:
            page = await browser.page(f"{url}/")
            assert await page.evaluate("loudest(20000)") >= 0.05
            assert page.errors == []

            background = "getComputedStyle(document.body).backgroundColor"
            await page.viewport(300, 200)
            await page.scheme("dark")
            assert await page.evaluate(background) == "rgb(0, 0, 0)"
            await page.scheme("light")
            assert await page.evaluate(background) == "rgb(255, 255, 255)"
            assert (await page.screenshot(tmp_path / "x.png")).read_bytes().startswith(b"\x89PNG")
            assert await page.evaluate("innerWidth") == 300

            await page.click("button")
            await page.until("document.querySelector('button').textContent === 'pressed'")
            await page.press("Tab")
            await page.press("a")
            assert await page.evaluate("document.querySelector('input').value") == "a"

            with pytest.raises(PageError, match="no such thing"):
                await page.evaluate("Promise.reject(new Error('no such thing'))")
            await page.evaluate("console.error('said', 7); fetch('/lost').then(() => 1)")
            await page.evaluate("setTimeout(() => { throw new Error('late') }); 1")
            await page.until("new Promise((go) => setTimeout(() => go(true), 50))")
            told = " ".join(page.errors)
            assert "said 7" in told
            assert "404" in told
            assert "late" in told
            await page.reload()
            assert await page.evaluate("document.querySelector('input').value") == ""
        assert browser.process.poll() is not None

    with pages({"/": PAGE}) as url:
        asyncio.run(main(url))
