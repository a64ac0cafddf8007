from __future__ import annotations

import numpy as np
import pytest

from runner.media.resample import Resampler, resample

pytestmark = pytest.mark.quick


def tone(rate: int, seconds: float, hz: float = 440.0) -> bytes:
    t = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * hz * t) * 12000).astype("<i2").tobytes()


def stream(resampler: Resampler, pcm: bytes, chunk: int) -> bytes:
    out = [resampler.process(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    return b"".join(out) + resampler.flush()


@pytest.mark.parametrize(("rate_in", "rate_out"), [(24000, 16000), (8000, 16000), (48000, 24000)])
@pytest.mark.parametrize("chunk", [320, 333, 4096])
def test_a_stream_in_chunks_is_the_tone_at_the_new_rate(
    rate_in: int, rate_out: int, chunk: int
) -> None:
    out = np.frombuffer(stream(Resampler(rate_in, rate_out), tone(rate_in, 1.0), chunk), "<i2")
    want = np.frombuffer(tone(rate_out, 1.0), "<i2")
    assert abs(len(out) - len(want)) <= 1
    middle = slice(rate_out // 10, -rate_out // 10)
    short = min(len(out), len(want))
    error = out[:short][middle].astype(float) - want[:short][middle]
    assert np.abs(error).max() < 60, "not aligned, or distorted"


def test_equal_rates_pass_through() -> None:
    assert stream(Resampler(16000, 16000), tone(16000, 0.1), 320) == tone(16000, 0.1)


def test_half_a_sample_waits_for_the_other() -> None:
    resampler = Resampler(16000, 16000)
    assert resampler.process(b"\x01\x02\x03") == b"\x01\x02"
    assert resampler.process(b"\x04") == b"\x03\x04"


@pytest.mark.parametrize(
    ("rate_in", "rate_out"),
    [(24000, 16000), (8000, 16000), (24000, 8000), (48000, 24000), (16000, 24000), (8000, 24000)],
)
def test_live_sound_is_never_held_back_more_than_3_ms(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    out = 0
    for n in range(1, 50):
        out += len(resampler.process(bytes(rate_in // 50 * 2))) // 2
        assert n * 20 - out * 1000 / rate_out <= 3


@pytest.mark.parametrize(("rate_in", "rate_out"), [(24000, 16000), (48000, 16000), (24000, 8000)])
def test_what_the_new_rate_cannot_carry_is_gone(rate_in: int, rate_out: int) -> None:
    out = stream(Resampler(rate_in, rate_out), tone(rate_in, 0.5, rate_out * 0.6), 960)
    middle = np.frombuffer(out, "<i2")[rate_out // 20 : -rate_out // 20]
    assert np.abs(middle).max() <= 4


def test_full_scale_does_not_wrap_around() -> None:
    square = np.repeat(np.tile([32767, -32768], 50), 24).astype("<i2").tobytes()
    out = np.frombuffer(stream(Resampler(24000, 16000), square, 960), "<i2").astype(int)
    assert out.max() == 32767
    assert out.min() == -32768
    assert np.count_nonzero(np.diff(np.sign(out[10:-10]))) == 99


def test_rates_without_a_small_ratio_are_soxrs() -> None:
    out = stream(Resampler(44100, 24000), tone(44100, 1.0), 882)
    assert abs(len(out) - 48000) <= 4


def test_a_flush_begins_anew() -> None:
    resampler = Resampler(24000, 16000)
    first = np.frombuffer(stream(resampler, tone(24000, 0.2), 960), "<i2")
    again = np.frombuffer(stream(resampler, tone(24000, 0.2), 960), "<i2")
    assert len(again) == len(first)
    assert np.abs(again.astype(int) - first).max() <= 2  # soxr dithers


def test_nothing_gives_nothing() -> None:
    assert Resampler(24000, 16000).process(b"") == b""
    assert resample(b"", 24000, 16000) == b""


def test_a_whole_recording() -> None:
    assert abs(len(resample(tone(44100, 1.0), 44100, 24000)) - 48000) <= 2
