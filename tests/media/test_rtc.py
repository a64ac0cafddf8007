"""Frames of a WebRTC track as plain PCM16."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import aiortc.rtp
import numpy as np
import pytest
from av import AudioFrame

from runner.media.rtc import level, mono

pytestmark = pytest.mark.quick


def frame(samples: list[int], layout: str, rate: int) -> AudioFrame:
    channels = 2 if layout == "stereo" else 1
    made = AudioFrame(format="s16", layout=layout, samples=len(samples) // channels)
    made.planes[0].update(np.array(samples, "<i2").tobytes())
    made.sample_rate = rate
    return made


def test_two_channels_are_heard_as_their_mean() -> None:
    stereo = [0, 0, 32767, 32767, -32768, -32768, 32767, -32768, 5, 8, -5, -8, 1, 0]
    wanted = [0, 32767, -32768, -1, 6, -7, 0]
    assert np.frombuffer(mono(frame(stereo, "stereo", 48_000)), "<i2").tolist() == wanted


def test_a_telephone_s_rate_becomes_48_khz() -> None:
    samples = np.frombuffer(mono(frame([0, 600] * 80, "mono", 8000)), "<i2")
    assert len(samples) == 960
    assert samples[:7].tolist() == [0, 100, 200, 300, 400, 500, 600]


def aiortc_s_own() -> Callable[[AudioFrame], int]:
    """From a copy of its module: in this process ours may have taken its place."""
    spec = importlib.util.spec_from_file_location("aiortc.rtp_again", aiortc.rtp.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[AudioFrame], int] = module.compute_audio_level_dbov
    return found


@pytest.mark.parametrize("loudest", [0, 1, 30, 1000, 32767])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_a_frame_is_as_loud_as_aiortc_finds_it(layout: str, loudest: int) -> None:
    samples = np.random.default_rng(loudest).integers(-loudest, loudest + 1, 960).tolist()
    made = frame(samples, layout, 48_000)
    theirs = aiortc_s_own()
    assert theirs is not level
    assert level(made) == theirs(made)
    full = frame([32767, -32767] * 480, layout, 48_000)
    assert level(full) == theirs(full) == 0
