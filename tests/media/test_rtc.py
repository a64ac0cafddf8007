"""Frames of a WebRTC track as plain PCM16."""

from __future__ import annotations

import numpy as np
import pytest
from av import AudioFrame

from runner.media.rtc import mono

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
