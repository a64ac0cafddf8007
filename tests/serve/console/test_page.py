"""The console in a real browser: what a person sees and does, and a call from its microphone."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from support.browser import Page, chromium
from support.consoles import Desk, console_on
from support.engine import Puppet, last_words, serving, speech_models, spoken
from support.hearing import share, words_in
from support.houses import SHOP
from support.speech import silence
from support.until import until

from runner.engine.ports import Call, Prompt

VOICE = """\
transport: websocket
timezone: none
agents:
  desk:
    instructions: Say one.
    greeting: Good morning, this is the dentist.
    tools: [slots]
tools:
  slots:
    python: slots.py:slots
"""
#: Chromium leaves the loopback interface out, which may be the only one there is.
LOOPBACK = "--allow-loopback-in-peer-connection"
#: As when a person says no to the microphone.
REFUSE = """(() => {
  const media = navigator.mediaDevices;
  window.allowed = media.getUserMedia.bind(media);
  media.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
})()"""
#: What the page hears, as PCM16 at 16 kHz, in pieces of base64.
RECORD = """(() => {
  const context = new AudioContext({ sampleRate: 16000 });
  const pieces = window.heardPieces = [];
  const node = context.createScriptProcessor(4096, 1, 1);
  context.createMediaStreamSource(document.querySelector("#voice").srcObject).connect(node);
  node.connect(context.destination);
  node.onaudioprocess = (event) => {
    const out = Int16Array.from(event.inputBuffer.getChannelData(0), (v) => v * 32767);
    pieces.push(btoa(String.fromCharCode(...new Uint8Array(out.buffer))));
  };
})()"""


def text(selector: str) -> str:
    return f"(document.querySelector({json.dumps(selector)})?.textContent || '')"


def there(selector: str, words: str) -> str:
    return f"{text(selector)}.includes({json.dumps(words)})"


async def show(page: Page, tab: str) -> None:
    await page.evaluate(f"document.querySelector('#tabs [data-tab={tab}]').click()")


async def entered(page: Page, desk: Desk) -> None:
    await page.goto(desk.console.link())
    await page.until(there("#line", "live"))


async def hears(page: Page) -> str:
    """What the page has played since RECORD, in words."""
    pieces = await page.evaluate("window.heardPieces")
    return await words_in(b"".join(map(base64.b64decode, pieces)))


def test_a_person_reads_types_edits_and_sends(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        file = tmp_path / "shop.yaml"
        async with console_on(tmp_path, url) as desk, chromium() as browser:
            page = await browser.page()
            await page.viewport(1280, 800)
            await entered(page, desk)
            talk = "document.querySelector('#talk')"
            await page.until(f"{talk}.disabled")
            assert await page.evaluate(f"{talk}.title") == "it has no voice"
            call = await desk.hall.call("shop")
            await page.until("!document.querySelector('#say').disabled")
            await page.press("/", code="Slash")
            await page.do("Input.insertText", text="One <b>two</b>.")
            await page.press("Enter")
            await page.until(there(".message.assistant .said", "You said: One <b>two</b>."))
            assert await page.evaluate(text(".message.user .said")) == "One <b>two</b>."
            await show(page, "timing")
            await page.until(there(".turn", "Turn 1"))

            file.write_text(SHOP.replace("Say one.", "Say two."))
            await desk.ask("reload")
            await show(page, "saves")
            await page.until(there(".save.applied", "acts from the next answer"))
            assert await page.evaluate(there(".save.applied .no", "Say one."))
            file.write_text(SHOP.replace("instructions", "instruction"))
            await desk.ask("reload")
            shown = await page.until(text(".save.rejected pre"))
            assert shown == "    instruction: Say one.\n    ^"
            assert await page.evaluate(there(".save.rejected", "shop.yaml:6:5"))
            assert await page.evaluate("!document.querySelector('#saves-badge').hidden")
            file.write_text(SHOP)
            await desk.ask("reload")
            await page.until("document.querySelector('#saves-badge').hidden")
            await show(page, "config")
            await page.until(there("#config", "agents.desk.instructions"))

            await show(page, "events")
            await page.press("Escape")  # out of the field
            await page.press("e", code="KeyE")
            event = json.dumps({"type": "input_audio_buffer.clear"})
            await page.evaluate(
                f"(() => {{ const box = document.querySelector('#send-text'); box.value = '{{';"
                " box.dispatchEvent(new Event('input'));"
                " if (!document.querySelector('#send-now').disabled) throw new Error('sent');"
                f" box.value = {json.dumps(event)}; box.dispatchEvent(new Event('input')); }})()"
            )
            await page.until("document.querySelector('#send-dialog').open")
            await page.click("#send-now")
            await page.until(there("#send-answer", "input_audio_buffer.cleared"))
            await page.click("#send-close")
            await page.until(there("#event-list", "input_audio_buffer.clear"))
            await page.evaluate(
                "(() => { const box = document.querySelector('#event-filter');"
                " box.value = 'cleared'; box.dispatchEvent(new Event('input')); })()"
            )
            await page.until(there("#event-note", "1 event of"))

            await desk.restart()
            await page.until(there("#line", "live"))
            await until(lambda: len(desk.console._pages) == 1)
            await page.click("#hang-up")
            await page.until(there(".call .id", "hung up in the console"))
            await until(call.ended.is_set)
            assert await page.evaluate("document.querySelector('#say').title")
            # The socket of a console that goes is the one thing that may fail here.
            assert [e for e in page.errors if "WebSocket" not in e and "ERR_CONN" not in e] == []
            await page.evaluate(
                "document.body.append(Object.assign(document.createElement('script'),"
                " { textContent: 'window.broken = 1' }))"
            )
            assert await page.evaluate("window.broken") is None
            assert "Content Security Policy" in page.errors[-1]

    with serving(Puppet(), no_speech="typed") as engine:
        asyncio.run(main(engine.url))


def test_a_call_from_the_browser(tmp_path: Path) -> None:
    (tmp_path / "slots.py").write_text("def slots() -> str:\n    return 'nine and ten'\n")

    def answer(prompt: Prompt) -> list[str | Call | Exception]:
        if prompt.instructions.startswith("Say exactly"):
            return puppet.repeat(prompt)
        if prompt.items[-1]["type"] == "function_call_output":
            said = last_words(prompt)
            return [f"On Tuesday we have {said}. " + "Please tell me which one suits you. " * 3]
        return [Call("slots", "{}")]

    puppet = Puppet()
    puppet.answer = answer
    # Over and over: each question after the first falls into an answer.
    microphone = silence(4.5) + spoken("Do you have a time on Tuesday?") + silence(1.5)

    async def main(url: str) -> None:
        async with (
            console_on(tmp_path, url, voice=True, shop=VOICE) as desk,
            chromium(microphone, LOOPBACK) as browser,
        ):
            page = await browser.page()
            await entered(page, desk)
            await page.evaluate(REFUSE)
            await page.click("#talk")
            await page.until(there("#notice", "allow it beside the address"))
            assert await page.evaluate(text("#talk")) == "Talk"
            assert desk.told.calls == []
            await page.evaluate("navigator.mediaDevices.getUserMedia = window.allowed")
            await page.click("#talk")
            await page.until(there("#voice-state", "on the line"))
            await page.evaluate(RECORD)
            ((kind, session),) = desk.told.calls
            assert kind == "began"
            await page.until(there(".call", "browser"))
            await page.until(there(".message.assistant", "this is the dentist"))
            await page.until(there(".message.user", "Tuesday"), 60)
            await page.until(there(".tool.done .output", "nine and ten"))
            await page.until(text(".message .cut"), 60)
            await page.until(text(".message .unheard"), 60)
            async with asyncio.timeout(90):
                while share("Tuesday we have nine and ten", await hears(page)) < 0.6:  # noqa: ASYNC110
                    await asyncio.sleep(1)
            assert desk.hall["shop"].desk is not None
            call = desk.hall["shop"].desk.calls[session]
            await page.reload()
            await until(call.ended.is_set, 20)
            await page.until(there(".call .id", "ended: "))
            await page.until("!document.querySelector('#talk').disabled")
            await page.click("#talk")
            await page.until(there("#voice-state", "on the line"))
            assert [kind for kind, _ in desk.told.calls] == ["began", "ended", "began"]
            await page.click("#talk")
            await until(lambda: [k for k, _ in desk.told.calls].count("ended") == 2, 20)
            assert page.errors == []

    with serving(puppet, speech_models()) as engine:
        asyncio.run(main(engine.url))
