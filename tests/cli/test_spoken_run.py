"""`rtrun FILE --wav`: a spoken call, heard by real ears, answered by a real voice, recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from support.command import Command, rtrun
from support.speech import RATE, flite, sides, silence, voiced_ms, write_wav

CLINIC = """\
transport: websocket
session:
  audio:
    input:
      turn_detection: {{ type: server_vad, interrupt_response: {interrupt} }}
agents:
  desk:
    instructions: |
      You are the front desk of Northwind Dental.
      We are open from 8 in the morning until 6 in the evening, Monday to Friday.
      There is free parking behind the building, and the entrance is on the left side of it.
"""


def deployment(folder: Path, interrupt: str = "true", transport: str = "websocket") -> Path:
    file = folder / "clinic.yaml"
    text = CLINIC.format(interrupt=interrupt)
    file.write_text(text.replace("transport: websocket", f"transport: {transport}"))
    return file


def recognise(samples: np.ndarray) -> str:
    from runner.engine.speaking.models import LocalModels
    from runner.media.resample import resample

    models = LocalModels()
    models.load()
    try:
        pcm = resample(samples.astype("<i2").tobytes(), RATE, 16_000)
        return asyncio.run(models.ears.transcribe(pcm)).lower()
    finally:
        models.close()


@pytest.mark.parametrize("transport", ["websocket", "webrtc"])
def test_a_spoken_question_gets_the_spoken_fact(tmp_path: Path, transport: str) -> None:
    file = deployment(tmp_path, transport=transport)
    question = write_wav(tmp_path / "q.wav", flite("What are your opening hours?"))
    out = tmp_path / "call.wav"
    run = Command("run", str(file), "--engine", "local", "--wav", str(question), "--out", str(out))
    with run:
        assert run.finish(60) == 0, run.story()
    user = next(r for r in run.of("transcript") if r["role"] == "user")
    assert "opening hours" in user["text"].lower()
    agent = next(r for r in run.of("transcript") if r["role"] == "assistant")
    assert "8" in agent["text"] or "eight" in agent["text"].lower()
    turn = run.of("turn_end")[0]
    caller, spoken = sides(out)
    _, caller_end = voiced_ms(caller)
    agent_start, agent_end = voiced_ms(spoken)
    # The log's first_audio_ms is what the recording shows, within a frame or two of the VAD.
    assert turn["first_audio_ms"] == pytest.approx(agent_start - caller_end, abs=150)
    assert turn["played_ms"] == pytest.approx(agent_end - agent_start, abs=400)
    heard = recognise(spoken)
    assert "monday" in heard
    assert "open" in heard


def test_speech_over_the_answer_cuts_it(tmp_path: Path) -> None:
    file = deployment(tmp_path)
    pcm = flite("Where can I park?") + silence(2.2) + flite("Wait a moment please, stop.")
    question = write_wav(tmp_path / "q.wav", pcm)
    out = tmp_path / "call.wav"
    run = Command("run", str(file), "--engine", "local", "--wav", str(question), "--out", str(out))
    with run:
        assert run.finish(60) == 0, run.story()
    cut = run.of("interrupted")[0]
    _caller, agent = sides(out)
    start, _ = voiced_ms(agent)
    # The first sounding stretch of the agent ends where the log says that it was cut.
    quiet = longest_from(agent, start)
    assert cut["heard_ms"] == pytest.approx(quiet - start, abs=150)


def longest_from(samples: np.ndarray, start_ms: float) -> float:
    """Where the stretch that begins at ``start_ms`` is followed by 400 ms of exact silence."""
    nonzero = np.flatnonzero(samples[int(start_ms * RATE / 1000) :])
    gaps = np.flatnonzero(np.diff(nonzero) > 0.4 * RATE)
    last = nonzero[gaps[0]] if len(gaps) else nonzero[-1]
    return start_ms + last * 1000 / RATE


def test_without_interrupt_response_the_answer_goes_on(tmp_path: Path) -> None:
    file = deployment(tmp_path, interrupt="false")
    pcm = flite("Where can I park?") + silence(2.2) + flite("Wait a moment please.")
    question = write_wav(tmp_path / "q.wav", pcm)
    run = Command("run", str(file), "--engine", "local", "--wav", str(question))
    with run:
        assert run.finish(60) == 0, run.story()
    assert not run.of("interrupted")
    first = run.of("turn_end")[0]
    assert first["played_ms"] > 3000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is no recording", "not a WAV"),
        (b"", "empty"),
    ],
)
def test_a_wav_that_is_none(tmp_path: Path, content: bytes, words: str) -> None:
    wav = tmp_path / "q.wav"
    wav.write_bytes(content)
    done = rtrun("run", str(deployment(tmp_path)), "--engine", "local", "--wav", str(wav))
    assert done.returncode == 2
    assert words.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


def test_stereo_at_44_khz_is_understood(tmp_path: Path) -> None:
    from runner.media.resample import resample

    mono = np.frombuffer(resample(flite("What are your opening hours?"), RATE, 44_100), "<i2")
    wav = write_wav(tmp_path / "q.wav", np.repeat(mono, 2).tobytes(), 44_100, channels=2)
    with Command("run", str(deployment(tmp_path)), "--engine", "local", "--wav", str(wav)) as run:
        assert run.finish(60) == 0, run.story()
    user = next(r for r in run.of("transcript") if r["role"] == "user")
    assert "opening hours" in user["text"].lower()


def test_a_silent_recording_is_said_to_be_silent(tmp_path: Path) -> None:
    wav = write_wav(tmp_path / "q.wav", silence(2))
    done = rtrun("run", str(deployment(tmp_path)), "--engine", "local", "--wav", str(wav))
    assert done.returncode == 1
    assert "no speech was heard" in done.stderr


def test_push_to_talk_commits_at_the_end_of_the_recording(tmp_path: Path) -> None:
    file = tmp_path / "clinic.yaml"
    text = CLINIC.format(interrupt="true")
    old = "turn_detection: { type: server_vad, interrupt_response: true }"
    assert old in text
    file.write_text(text.replace(old, "turn_detection: null"))
    question = write_wav(tmp_path / "q.wav", flite("Where can I park?"))
    with Command("run", str(file), "--engine", "local", "--wav", str(question)) as run:
        assert run.finish(60) == 0, run.story()
    said = [(row["role"], row["text"]) for row in run.of("transcript")]
    assert "park" in said[0][1].lower()
    assert "free parking" in said[1][1]
    assert run.of("turn_end")[0]["first_audio_ms"] is not None
