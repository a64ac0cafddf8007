"""`rtrun FILE` with a microphone and a speaker: the call as a person at a machine has it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.command import Command
from support.hearing import share
from support.soundcard import SoundCard, sound_card
from support.speech import flite, read_wav, sides, silence, voiced_ms, write_wav
from support.until import until_sync

SHOP = """\
name: shop
transport: websocket
agents:
  desk:
    greeting: Spokes, how can I help?
    instructions: >
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 in the morning to 5 in the evening, Monday to Friday,
      and on the first Saturday of each month until noon.
"""


@pytest.fixture(scope="module")
def card() -> Iterator[SoundCard]:
    with sound_card() as card:
        yield card


def shop(folder: Path) -> Path:
    file = folder / "shop.yaml"
    file.write_text(SHOP)
    return file


def loudness(sound: np.ndarray | bytes) -> float:
    """In dB, of the parts that are not silence."""
    samples = np.frombuffer(sound, "<i2") if isinstance(sound, bytes) else sound
    power = np.square(samples[: len(samples) // 480 * 480].reshape(-1, 480), dtype=float).mean(1)
    return float(10 * np.log10(power[power > power.max() / 1000].mean()))


def sounds(raw: Path) -> list[np.ndarray]:
    """What the speaker played, mono at 48 kHz, split at half a second of quiet."""
    sound = np.frombuffer(raw.read_bytes()[: raw.stat().st_size // 2 * 2], "<i2")
    at = np.flatnonzero(np.abs(sound.astype(int)) > 100)
    parts = np.split(at, np.flatnonzero(np.diff(at) > 24_000) + 1)
    return [sound[part[0] : part[-1] + 1] for part in parts if len(part)]


def test_a_question_into_the_microphone_is_answered_by_the_speaker(
    card: SoundCard, tmp_path: Path
) -> None:
    question = write_wav(tmp_path / "q.wav", flite("What are your opening hours?"))
    out = tmp_path / "call.wav"
    arguments = ("run", str(shop(tmp_path)), "--engine", "local", "--out", str(out))
    raw = tmp_path / "spk.raw"
    with Command(*arguments, env=card.env) as run, card.recorded(raw):
        run.wait_for("turn_end")
        card.speak(question)
        heard = run.wait_for("transcript", lambda row: row["role"] == "user")
        assert share("What are your opening hours?", heard["text"]) > 0.7
        answer = run.wait_for("transcript", lambda row: row["role"] == "assistant")
        assert "9" in answer["text"]
        turn = run.wait_for("turn_end")
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 0, run.story()
    assert "half duplex" not in "".join(run.errors), "the echo is cancelled"
    assert "gone" not in "".join(run.errors), run.story()
    caller, agent = sides(out)
    first, last = voiced_ms(caller)
    assert first < last
    spoken = agent[int(last * 24) :]
    assert np.abs(spoken).max() > 2000, "the answer stands after the question"
    assert abs(len(np.trim_zeros(spoken)) / 24 - turn["played_ms"]) < 300
    assert abs(loudness(caller) - loudness(read_wav(question).pcm16)) < 1
    assert abs(loudness(spoken) - loudness(sounds(raw)[-1])) < 1


def test_a_barge_in_over_headphones_is_heard_and_counted(card: SoundCard, tmp_path: Path) -> None:
    question = write_wav(tmp_path / "q.wav", flite("What are your opening hours?"))
    stop = write_wav(tmp_path / "s.wav", flite("Wait, please stop a moment.") + silence(0.5))
    raw = tmp_path / "spk.raw"
    with Command(
        "run", str(shop(tmp_path)), "--engine", "local", "--headphones", env=card.env
    ) as run:
        run.wait_for("turn_end")
        with card.recorded(raw):
            card.speak(question)
            run.wait_for("transcript", lambda row: row["role"] == "assistant")
            # Over the running answer, once the speaker sounds.
            until_sync(lambda: sounds(raw) and len(sounds(raw)[0]) > 48_000)
            speaking = threading.Thread(target=card.speak, args=(stop,))
            speaking.start()
            cut = run.wait_for("interrupted")
            until_sync(lambda: len(sounds(raw)) > 1 or raw.stat().st_size > 48_000 * 2 * 12)
            speaking.join()
        run.process.send_signal(signal.SIGINT)
        assert run.finish() == 0, run.story()
    answer = len(sounds(raw)[0]) / 48
    assert abs(cut["heard_ms"] - answer) < 60, (cut, answer, run.story())
