"""The gate costs no word: with it and without it the same turns begin and end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.models import local_models
from support.speech import flite

from runner.audio.formats import PCMU
from runner.audio.g711 import ulaw_encode
from runner.engine.hearing import gate as gates
from runner.engine.hearing.gate import PREROLL_FRAMES, QUIET_FRAMES, Gate
from runner.engine.hearing.input import InputBuffer
from runner.engine.hearing.turns import SpeechStarted, TurnConfig, TurnDetector
from runner.media.resample import resample

FULL = 32768.0


class Counted:
    """A voice activity model, and how often it was asked."""

    def __init__(self, vad: Any) -> None:
        self._vad = vad
        self.asked = 0
        self.reset = vad.reset

    def __call__(self, frame: bytes) -> float:
        self.asked += 1
        return float(self._vad(frame))


def telephone(sound: np.ndarray) -> bytes:
    pcm = np.clip(sound, -FULL, FULL - 1).astype("<i2").tobytes()
    return ulaw_encode(resample(pcm, 24_000, 8_000))


def turns(line: bytes, *, gated: bool) -> tuple[list[tuple[str, int]], float]:
    """What began and ended, at which ms; the share of frames that the model was asked about."""
    vad = Counted(local_models().vad())
    gate, buffer, frames = Gate(vad), InputBuffer(PCMU), 0
    detector = TurnDetector(TurnConfig("server_vad"))
    found = []
    for at in range(0, len(line), 160):
        for frame in buffer.append(line[at : at + 160]):
            frames += 1
            state = {"speaking": detector.speaking, "threshold": detector.threshold}
            p = gate(frame, **state) if gated else vad(frame)  # type: ignore[arg-type]
            for event in detector.frame(p):
                if isinstance(event, SpeechStarted):
                    found.append(("started", event.speech_start_ms))
                elif type(event).__name__ == "SpeechStopped":
                    found.append(("stopped", detector.position_ms))
    return found, vad.asked / frames


@pytest.mark.parametrize("noise_db", [None, -10])
@pytest.mark.parametrize("level_db", [-35, -52])
def test_a_soft_voice_is_heard_as_without_it(level_db: int, noise_db: int | None) -> None:
    """``level_db`` of the voice below full scale, ``noise_db`` of white noise below the voice."""
    voice = np.frombuffer(flite("Hello, I need an appointment."), "<i2").astype(float)
    rms = np.sqrt((voice[np.abs(voice) > 200] ** 2).mean())
    voice *= FULL * 10 ** (level_db / 20) / rms
    quiet = np.zeros(2 * 24_000)
    line = np.concatenate([quiet, voice, quiet, voice, quiet])
    if noise_db is not None:
        line += np.random.default_rng(1).normal(
            0, FULL * 10 ** ((level_db + noise_db) / 20), len(line)
        )
    sound = telephone(line)
    without, _ = turns(sound, gated=False)
    found, asked = turns(sound, gated=True)
    assert (
        [kind for kind, _ in found] == [kind for kind, _ in without] == ["started", "stopped"] * 2
    )
    assert all(abs(a - b) <= 32 for (_, a), (_, b) in zip(found, without, strict=True))
    assert asked < 0.8


@pytest.mark.quick
class TestByNumbers:
    def frame(self, level: int) -> bytes:
        return (np.resize([level, -level], 512)).astype("<i2").tobytes()

    def heard(self, level: int, frames: int, gate: Gate) -> None:
        for _ in range(frames):
            gate(self.frame(level), speaking=False, threshold=0.5)

    @pytest.fixture
    def asked(self) -> list[bytes]:
        return []

    @pytest.fixture
    def gate(self, asked: list[bytes]) -> Gate:
        class Deaf:
            """Takes everything over 5000 for voice."""

            def reset(self) -> None:
                asked.clear()

            def __call__(self, frame: bytes) -> float:
                asked.append(frame)
                return 0.9 if np.abs(np.frombuffer(frame, "<i2")).max() > 5000 else 0.01

        return Gate(Deaf())

    def test_it_closes_on_what_the_model_takes_for_quiet(self, gate, asked):
        self.heard(200, QUIET_FRAMES + 50, gate)
        assert len(asked) == QUIET_FRAMES

    def test_it_opens_on_the_frame_and_shows_what_came_before(self, gate, asked):
        self.heard(200, QUIET_FRAMES + 50, gate)
        asked.clear()
        assert gate(self.frame(6000), speaking=False, threshold=0.5) == 0.9
        assert asked == [self.frame(200)] * PREROLL_FRAMES + [self.frame(6000)]
        self.heard(200, 1, gate)
        assert len(asked) == PREROLL_FRAMES + 2

    def test_a_click_does_not_make_it_deaf_to_what_is_softer(self, gate, asked):
        self.heard(4000, 1, gate)
        self.heard(100, QUIET_FRAMES + 5, gate)
        asked.clear()
        self.heard(140, 1, gate)
        assert asked

    def test_noise_that_grows_and_stays_is_quiet_again_after_a_second(self, gate, asked):
        self.heard(100, 40, gate)
        self.heard(1000, 2 * gates.FLOOR_FRAMES, gate)
        asked.clear()
        self.heard(1000, 40, gate)
        assert not asked

    def test_within_a_turn_each_frame_counts(self, gate, asked):
        self.heard(0, QUIET_FRAMES + 20, gate)
        asked.clear()
        for _ in range(40):
            gate(self.frame(0), speaking=True, threshold=0.5)
        assert len(asked) == 40 + PREROLL_FRAMES

    def test_a_caller_with_a_low_threshold_is_not_judged_by_a_high_one(self, gate, asked):
        for _ in range(QUIET_FRAMES + 20):
            gate(self.frame(200), speaking=False, threshold=0.01)
        assert len(asked) == QUIET_FRAMES + 20
