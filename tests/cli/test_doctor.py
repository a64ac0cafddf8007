"""`rtrun doctor` with a sound card and without, and beside engines that are none."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.command import environment
from support.engine import Puppet, serving
from support.refusing import refusing_server
from support.soundcard import SoundCard, sound_card
from support.speech import flite, write_wav


@pytest.fixture(scope="module")
def card() -> Iterator[SoundCard]:
    with sound_card() as card:
        yield card


def doctor(*args: str, **env: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "runner.cli.main", "doctor", "--format", "json", *args],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**env),
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)["findings"] if done.stdout else []
    return done.returncode, {finding["name"]: finding for finding in found}, done.stderr


def nowhere(folder: Path) -> dict[str, str]:
    """A machine whose sound server answers nobody."""
    return {"XDG_RUNTIME_DIR": str(folder), "PULSE_SERVER": f"unix:{folder}/none"}


def test_without_a_sound_card_only_optional_things_lack(tmp_path: Path) -> None:
    code, found, _ = doctor(**nowhere(tmp_path))
    assert code == 0
    assert found["packages"]["state"] == found["schema"]["state"] == "well"
    assert found["microphone"]["state"] == found["speaker"]["state"] == "lacks"
    assert found["OpenAI"]["state"] == "lacks"
    code, found, _ = doctor("--sound", **nowhere(tmp_path))
    assert code == 1
    assert found["tone"]["state"] == found["level"]["state"] == "broken"


def test_the_key_is_never_told() -> None:
    key = "sk-canary-not-to-be-seen"
    code, found, errors = doctor(OPENAI_API_KEY=key)
    assert code == 0
    assert found["OpenAI"]["state"] == "well"
    assert key not in json.dumps(found) + errors


def test_devices_are_listed_and_tried(card: SoundCard, tmp_path: Path) -> None:
    """The tone sounds on the card's speaker, and a voice at the microphone has a level."""
    voice = write_wav(tmp_path / "voice.wav", flite("Is anybody there? Hello, hello! " * 4))
    speaking = threading.Thread(target=card.speak, args=(voice,))
    with card.recorded(tmp_path / "tone.raw") as raw:
        speaking.start()
        code, found, errors = doctor("--sound", **card.env)
        speaking.join()
    assert code == 0, (found, errors)
    assert found["microphone"]["state"] == found["speaker"]["state"] == "well"
    assert -60 < int(found["level"]["text"].split()[0]) < 0
    played = np.frombuffer(raw.read_bytes()[: raw.stat().st_size // 2 * 2], "<i2")
    loud = np.flatnonzero(np.abs(played.astype(int)) > 2000)
    assert 0.5 < (loud[-1] - loud[0]) / 48_000 < 0.8
    tone = played[loud[0] : loud[-1]]
    spectrum = np.abs(np.fft.rfft(tone))
    assert abs(np.argmax(spectrum) * 48_000 / len(tone) - 440) < 5


def test_silence_at_the_microphone_is_no_level(card: SoundCard) -> None:
    code, found, _ = doctor("--sound", **card.env)
    assert code == 1
    assert found["tone"]["state"] == "well"
    assert "silence" in found["level"]["text"]
    assert "muted" in found["level"]["hint"]


def test_a_line_to_an_engine_is_tried() -> None:
    with serving(Puppet(), no_speech="typed", key="sk-right") as engine:
        code, found, _ = doctor("--engine", engine.url, RTRUN_ENGINE_KEY="sk-right")
        assert code == 0
        assert "answers after" in found["engine"]["text"]
        assert "a line is open after" in found["webrtc"]["text"]
        code, found, _ = doctor("--engine", engine.url, RTRUN_ENGINE_KEY="sk-wrong")
        assert code == 1
        assert "401" in found["engine"]["text"]
    code, found, _ = doctor("--engine", "openai")
    assert code == 1
    assert "OPENAI_API_KEY" in found["engine"]["text"]
    code, found, _ = doctor("--engine", "nonsense")
    assert code == 1
    assert "no such engine" in found["engine"]["text"]


def test_an_engine_without_webrtc_lacks_something_optional() -> None:
    async def main() -> None:
        async with refusing_server() as server:
            code, found, _ = await asyncio.to_thread(
                doctor, "--engine", server.url, RTRUN_ENGINE_KEY="sk"
            )
            assert (code, found["engine"]["state"], found["webrtc"]["state"]) == (
                0,
                "well",
                "lacks",
            )
            assert "transport: websocket" in found["webrtc"]["hint"]

    asyncio.run(main())


def test_devices_want_sound() -> None:
    code, _, errors = doctor("--input", "mic")
    assert code == 2
    assert "--sound" in errors
