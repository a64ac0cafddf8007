"""A page in a real browser talks to /ws of a built Worker: examples/cloudflare, whole.

Needs Chromium, Node.js 20 and, in the folder that RTRUN_TEST_NODE names, `npm install pyodide
miniflare ws`; .ci/run sets them up.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.browser import Page, chromium, pages
from support.command import rtrun
from support.engine import Puppet, last_words, serving, speech_models, spoken
from support.speech import silence

from runner.engine.ports import Call, Prompt

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cloudflare"
HOME = os.environ.get("RTRUN_TEST_NODE", "")
KEY = "sk-worker"

pytestmark = pytest.mark.skipif(not (HOME and shutil.which("node")), reason="RTRUN_TEST_NODE")


def answer(prompt: Prompt) -> list[Any]:
    if prompt.instructions.startswith("Say exactly"):
        return [prompt.instructions.partition("\n\n")[2]]
    words = last_words(prompt).lower()
    if "cost" in words:
        return [Call("price", '{"repair": "flat tyre"}')]
    return [f"You said: {words}"]


@contextmanager
def worker(folder: Path, engine: str) -> Iterator[str]:
    """The address of /ws of the example's Worker, built into ``folder``."""
    done = rtrun(
        *("build", "cloudflare", str(EXAMPLE / "shop.yaml"), "-o", str(folder)),
        *("--without-sdk", "--set", "engine.url=${ENGINE_URL}", "--set", "engine.api_key=${KEY}"),
    )
    assert done.returncode == 0, done.stderr
    script = shutil.copy(Path(__file__).with_name("door.mjs"), Path(HOME) / "door.mjs")
    bindings = {"ENGINE_URL": engine, "KEY": KEY, "RTRUN_WS_TOKEN": "t0ken"}
    with (folder.parent / "said").open("wb") as said:
        process = subprocess.Popen(
            ["node", script, folder, json.dumps(bindings)], stdout=subprocess.PIPE, stderr=said
        )
        try:
            assert process.stdout is not None
            port = process.stdout.readline().decode().strip()
            assert port, (folder.parent / "said").read_text()[-2000:]
            yield f"ws://127.0.0.1:{port}/ws"
        finally:
            process.kill()
            process.communicate()


async def lines(page: Page, who: str) -> list[str]:
    found = f"[...document.querySelectorAll('li.{who}')].map((line) => line.textContent)"
    return list(await page.evaluate(found))


async def heard_of(page: Page, who: str, words: str) -> None:
    found = f"[...document.querySelectorAll('li.{who}')].some("
    await page.until(f"{found}(line) => line.textContent.toLowerCase().includes('{words}'))", 60)


def test_a_page_types_and_speaks_to_a_built_worker(tmp_path: Path) -> None:
    puppet = Puppet()
    puppet.answer = answer
    # It is heard once in a test: the microphone begins when the page opens it.
    question = silence(1.0) + spoken("What does a flat tyre cost?") + silence(60.0)

    async def talk(site: str, socket: str) -> None:
        async with chromium(question) as browser:
            page = await browser.page(f"{site}/page.html?worker={socket}&token=wrong")
            await page.click("#call")
            await heard_of(page, "trouble", "did not take the call")
            page = await browser.page(f"{site}/page.html?worker={socket}&token=t0ken")
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

    with (
        serving(puppet, speech_models(), key=KEY) as engine,
        worker(tmp_path / "dist", engine.url) as socket,
        pages({}, EXAMPLE) as site,
    ):
        asyncio.run(talk(site, socket))
