"""`rtrun FILE` with transport: twilio: what it refuses to start with, and the one call that --wav,
--say and --text place through the same front door."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import Command, invoke, rtrun
from support.engine import Puppet, Serving, serving, speech_models, spoken
from support.speech import silence, write_wav

from runner.media.wav import read_wav
from runner.tasks import in_thread
from runner.testing import TwilioApi, TwilioCaller
from runner.testing.twiml import Verb, read_twiml

FILE = """\
timezone: none
transport:
  type: twilio
  listen: 127.0.0.1:0
  public_url: "${PUBLIC:-https://voice.example.com}"
  auth_token: ${TOKEN:-}
session: { audio: { input: { turn_detection: { type: server_vad } } } }
calls:
  - { to: "+1555*", answer: desk }
agents:
  desk: { instructions: "You answer ${call.to}.", tools: [end_call] }
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), speech_models()) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "bakery.yaml").write_text(FILE)
    return tmp_path / "bakery.yaml"


def test_what_is_refused_at_the_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "TOKEN", "PUBLIC"):
        monkeypatch.delenv(name, raising=False)
    url = ("--engine", "wss://realtime.example.com/v1/realtime")
    code, _, said = invoke("run", file, *url)
    assert code == 2
    assert "transport.auth_token is missing: anybody could ring" in said
    monkeypatch.setenv("TOKEN", "secret-of-the-account")
    code, _, said = invoke("run", file)
    assert code == 2
    assert "transport.public_url: https://voice.example.com is open to others" in said
    assert "engine: local" in said
    monkeypatch.setenv("PUBLIC", "")
    file.write_text(FILE.replace(":-https://voice.example.com", ":-"))
    code, _, said = invoke("run", file, *url)
    assert code == 2
    assert "transport.public_url is missing: nobody could ring" in said
    assert "secret-of-the-account" not in said


def test_a_call_is_placed_by_a_recording(file: Path, engine: Serving) -> None:
    """Without an auth token in the environment, and heard at both ends."""
    question, tape = file.parent / "in.wav", file.parent / "out.wav"
    write_wav(question, spoken("On Saturday?") + silence(0.6))
    flags = ("--engine", engine.url, "--wav", str(question), "--out", str(tape))
    with Command("run", str(file), *flags) as run:
        session = run.wait_for("session_start")["session"]
        assert session.startswith("CA")
        said = run.wait_for("transcript", lambda row: row["role"] == "user")["text"]
        assert "saturday" in said.lower()
        assert run.wait_for("session_end")["reason"] == "input ended"
        assert run.finish() == 0, run.story()
    assert read_wav(tape, 24_000).pcm16


def test_a_call_that_no_rule_takes_was_not_placed(file: Path, engine: Serving) -> None:
    file.write_text(FILE.replace("answer: desk", "reject: 486"))
    with Command("run", str(file), "--engine", engine.url, "--text") as run:
        run.end_input()
        assert run.finish() == 1
        assert "the call was not taken: rejected: busy" in "".join(run.errors)


async def calling(run: Command, api: TwilioApi) -> TwilioCaller:
    """A caller who has been greeted."""
    ready = next(iter(run.of("ready")), None) or await in_thread(run.wait_for, "ready")
    public = "https://voice.example.com/twilio"
    caller = api.add(TwilioCaller(ready["urls"]["webhook"], "tok", public_url=public))
    await caller.ring()
    await in_thread(run.wait_for, "session_start")
    return caller


@pytest.mark.parametrize("how", ["killed", "drained", "stopped"])
def test_a_process_that_ends_leaves_nobody_in_silence(
    file: Path, engine: Serving, how: str
) -> None:
    """Killed in mid-call, or drained in a hurry: on_failure comes. Ctrl-C hangs up."""
    text = FILE + 'on_failure: { transfer: "tel:+15550188" }\n'
    file.write_text(text.replace("  auth_token", '  api_url: "${API}"\n  auth_token'))

    async def main(api: TwilioApi) -> None:
        flags = ("--engine", engine.url)
        with Command("run", str(file), *flags, env={"TOKEN": "tok", "API": api.url}) as run:
            caller = await calling(run, api)
            if how == "killed":
                run.process.kill()
            elif how == "drained":
                run.process.send_signal(signal.SIGTERM)
                late = await calling_late(caller)
                assert [verb.text for verb in late] == ["+15550188"]
                run.process.send_signal(signal.SIGTERM)
            else:
                run.process.send_signal(signal.SIGINT)
            async with asyncio.timeout(20):
                await caller.over.wait()
            if how == "stopped":
                assert caller.reason == "hung up by REST"
            else:
                assert caller.reason == "put through to +15550188"
            assert caller.failures == []
            await caller.close()
            code = await in_thread(run.finish)
            assert code == (-signal.SIGKILL if how == "killed" else 0), run.story()

    async def calling_late(caller: TwilioCaller) -> list[Verb]:
        """What another caller is told once the process takes no more."""
        async with asyncio.timeout(20):
            while True:
                verbs = read_twiml(await caller.ask(CallSid="CAlate"))
                if verbs[0].name != "Connect":
                    return verbs

    async def whole() -> None:
        async with TwilioApi("tok") as api:
            await main(api)

    asyncio.run(whole())


def test_conversations_are_held_by_telephone(file: Path, engine: Serving) -> None:
    """Through the webhook and the stream, whatever the rules for calls say at this hour."""
    tests = """\
tests:
  - name: by phone
    from: "+15557777"
    turns:
      - caller: Hello there.
        expect: { agent: "hello there" }
"""
    text = FILE.replace("answer: desk", "reject: 486").replace("${call.to}", "${call.from}")
    file.write_text(text + tests)
    done = rtrun("test", str(file), "--engine", engine.url, "--as", "twilio")
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "1 passed" in done.stdout
    brain = engine.engine.brain
    assert isinstance(brain, Puppet)
    assert brain.prompts[-1].instructions.startswith("You answer +15557777")
    code, _, said = invoke("test", file, "--as", "twilio", "--record", file.parent / "calls")
    assert (code, "--as goes neither" in said) == (2, True)


def test_typed_turns_and_a_second_signal(file: Path, engine: Serving) -> None:
    with Command("run", str(file), "--engine", engine.url, "--text") as run:
        run.type("Hello there.")
        run.wait_for("transcript", lambda row: row.get("text") == "You said: Hello there.")
        run.wait_for("turn_end")
        run.process.send_signal(signal.SIGINT)
        assert run.wait_for("session_end")["reason"] == "stopped"
        assert run.finish() == 0, run.story()
