"""The examples, run as the user runs them, against the engine that a user has."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import wave
from pathlib import Path

import httpx
import pytest
from support.browser import chromium
from support.command import ROOT, environment, rtrun
from support.engine import serving, speech_models, spoken
from support.phone_service import SECRET, PhoneService
from support.speech import flite, silence, write_wav
from support.until import until_sync

from runner.engine.brain import make_brain


def example(name: str, folder: Path, *argv: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *argv],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_session_with_a_tool(tmp_path: Path) -> None:
    with serving(make_brain(), speech_models()) as engine:
        said = example("session.py", tmp_path, engine.url)
    assert "user: What does a flat tyre cost?" in said
    assert "12 dollars" in said
    assert "closed" in said.lower()
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert answer.getnframes() > 24_000


def test_the_transport_as_a_thin_client(tmp_path: Path) -> None:
    with serving(make_brain(), speech_models()) as engine:
        said = example("thin_client.py", tmp_path, engine.url)
    assert "old oak" in said
    seconds = float(said.splitlines()[-1].split()[0])
    assert seconds > 0.5


def test_a_track_and_a_sink_of_ones_own(tmp_path: Path) -> None:
    write_wav(tmp_path / "question.wav", flite("When do you open on Monday?"))
    with serving(make_brain(), speech_models()) as engine:
        name = "webrtc-custom-track/call.py"
        said = example(name, tmp_path, "question.wav", "answer.wav", engine.url)
    assert said.startswith("call rtc_")
    assert "when do you open" in said.lower()
    assert "assistant: " in said
    assert said.endswith("the track is live\n")
    with wave.open(str(tmp_path / "answer.wav")) as answer:
        assert answer.getnframes() > 24_000


def test_two_agents_and_a_tool_that_wants_a_yes(tmp_path: Path) -> None:
    with serving(make_brain(), speech_models()) as engine:
        said = example("agents.py", tmp_path, engine.url)
    assert "front desk -> orders" in said
    assert 'approved: refund({"order":42})' in said
    assert "assistant: Order 42 is paid back." in said


def test_a_transport_of_one_s_own(tmp_path: Path) -> None:
    with serving(make_brain(), speech_models()) as engine:
        done = rtrun(
            "run",
            str(ROOT / "examples" / "transport" / "counted.yaml"),
            *("--text", "--engine", engine.url, "--no-watch"),
            stdin="When are you open?\n",
        )
    assert done.returncode == 0, done.stderr
    assert "from 9 am to 5 pm" in done.stdout
    assert re.search(r"^counted: [3-9] events sent, \d+ came$", done.stderr, re.MULTILINE)


def test_a_phone_that_is_answered() -> None:
    """examples/sip, against the service's side of a call."""
    with PhoneService() as service, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        taken.close()
        env = environment(
            OPENAI_API_KEY="k",
            OPENAI_WEBHOOK_SECRET=SECRET,
            OPENAI_BASE_URL=service.url.replace("ws", "http", 1).removesuffix("/realtime"),
            PORT=str(port),
        )
        command = [sys.executable, str(ROOT / "examples" / "sip" / "answer.py")]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            try:
                until_sync(lambda: answers(port), 30)
                phone = service.ring(f"http://127.0.0.1:{port}/webhook")
                phone.until_said("Bike shop, good day.")
                phone.says("When do you open?")
                phone.until_said("Aha.")
                phone.hangs_up()
                assert process.stdout is not None
                said = [process.stdout.readline().strip() for _ in range(4)]
            finally:
                process.kill()
    assert said[0] == "assistant: Bike shop, good day."
    assert said[1:] == ["user: When do you open?", "assistant: Aha.", "the call is over"]


def test_a_page_of_one_s_own() -> None:
    """examples/browser, by a browser with a microphone."""
    microphone = silence(3.0) + spoken("When are you open?") + silence(6.0)

    async def main(url: str) -> None:
        async with chromium(microphone, "--allow-loopback-in-peer-connection") as browser:
            page = await browser.page(url)
            await page.click("#talk")
            await page.until("document.querySelector('#state').textContent == 'on the line'")
            said = "document.querySelector('#said').textContent"
            # The microphone says it again and again; once it is understood.
            await page.until(f"{said}.includes('you: ') && {said}.includes('9 am')", 60)
            await page.click("#talk")
            await page.until("document.querySelector('#talk').textContent == 'Talk'")
            assert page.errors == []

    with serving(make_brain(), speech_models(), key="k") as engine:
        command = [sys.executable, str(ROOT / "examples" / "browser" / "serve.py"), engine.url]
        env = environment(OPENAI_API_KEY="k")
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                foreign = httpx.post(f"{url}/secret", headers={"Origin": "http://evil.example"})
                assert foreign.status_code == 403
                asyncio.run(main(url))
            finally:
                process.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.quick
@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "examples").glob("*.py")))
def test_every_example_says_how_to_run_it(name: str) -> None:
    text = (ROOT / "examples" / name).read_text()
    assert f"python examples/{name}" in text
