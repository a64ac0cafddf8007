from __future__ import annotations

import numpy as np
import pytest

from runner.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from runner.audio.g711 import alaw_encode, ulaw_encode
from runner.engine.hearing.input import InputBuffer

pytestmark = pytest.mark.quick

ENCODE = {PCM16: bytes, PCMU: ulaw_encode, PCMA: alaw_encode}


def tone(rate: int, seconds: float, hz: float = 300.0) -> np.ndarray:
    t = np.arange(int(rate * seconds)) / rate
    return (np.sin(2 * np.pi * hz * t) * 8000).astype("<i2")


def wire(form: AudioFormat, seconds: float) -> bytes:
    return ENCODE[form](tone(form.rate, seconds).tobytes())


def feed(buffer: InputBuffer, data: bytes, chunk: int = 960) -> list[bytes]:
    return [f for at in range(0, len(data), chunk) for f in buffer.append(data[at : at + chunk])]


def error_against_tone(pcm16k: bytes, start: float) -> float:
    got = np.frombuffer(pcm16k, "<i2").astype(float)
    want = tone(16000, start + len(got) / 16000 + 0.01)[int(start * 16000) :][: len(got)]
    middle = slice(200, -200)
    return float(np.abs(got[middle] - want[middle]).max())


@pytest.mark.parametrize("chunk", [1, 333, 960, 1 << 20])
@pytest.mark.parametrize("form", [PCM16, PCMU, PCMA])
def test_frames_are_the_sound_at_16_khz_in_order(form: AudioFormat, chunk: int) -> None:
    buffer = InputBuffer(form)
    frames = feed(buffer, wire(form, 1.0), chunk)
    assert all(len(f) == 1024 for f in frames)
    assert len(frames) == 31
    assert buffer.frames_ms == len(frames) * 32
    assert buffer.total_ms == 1000
    assert error_against_tone(b"".join(frames), 0.0) < (40 if form is PCM16 else 400)


def test_a_slice_lies_where_it_was_said() -> None:
    buffer = InputBuffer(PCM16)
    feed(buffer, wire(PCM16, 2.0))
    buffer.commit(0, 0)  # fetches what the resampler holds back
    assert len(buffer.pcm16k(500, 1500)) == 32000
    assert error_against_tone(buffer.pcm16k(500, 1500), 0.5) < 40
    assert buffer.wire(500, 1500) == wire(PCM16, 2.0)[24000:72000]


def test_slices_are_clipped_to_what_is_there() -> None:
    buffer = InputBuffer(PCM16)
    feed(buffer, wire(PCM16, 0.5))
    assert buffer.wire(-100, 90_000) == wire(PCM16, 0.5)
    assert buffer.wire(400, 300) == b""
    assert buffer.pcm16k(9000) == b""


def test_push_to_talk_commit_takes_everything_since_the_last() -> None:
    buffer = InputBuffer(PCM16, push_to_talk=True)
    sound = wire(PCM16, 10.0)
    feed(buffer, sound[: 48000 * 8])
    assert buffer.pending_ms == 8000
    first = buffer.commit()
    assert (first.start_ms, first.end_ms, first.format) == (0, 8000, PCM16)
    assert first.wire == sound[: 48000 * 8]
    assert len(first.pcm16k) == 8 * 32000
    assert buffer.pending_ms == 0
    feed(buffer, sound[48000 * 8 :])
    second = buffer.commit()
    assert (second.start_ms, second.end_ms) == (8000, 10_000)
    assert second.wire == sound[48000 * 8 :]
    assert error_against_tone(second.pcm16k, 8.0) < 60


def test_time_does_not_drift_over_many_commits() -> None:
    buffer = InputBuffer(PCMU, push_to_talk=True)
    for _ in range(300):
        buffer.append(bytes(b"\xff" * 801))
        taken = buffer.commit()
        assert abs(len(taken.pcm16k) - 3204) <= 32
    assert buffer.total_ms == 300 * 801 // 8
    assert abs(buffer.frames_ms - buffer.total_ms) < 64


def test_clear_forgets_the_sound_and_time_goes_on() -> None:
    buffer = InputBuffer(PCM16, push_to_talk=True)
    feed(buffer, wire(PCM16, 1.0))
    buffer.clear()
    assert buffer.pending_ms == 0
    assert buffer.pcm16k(0) == buffer.wire(0) == b""
    assert buffer.total_ms == 1000
    feed(buffer, wire(PCM16, 0.5))
    taken = buffer.commit()
    assert (taken.start_ms, taken.end_ms) == (1000, 1500)
    assert len(taken.wire) == 24000


def test_silence_is_not_kept_beyond_the_pre_roll() -> None:
    buffer = InputBuffer(PCM16, idle_ms=2000)
    for _ in range(60 * 10):
        buffer.append(bytes(4800))
    assert buffer.total_ms == 60_000
    assert len(buffer.wire(0)) <= 48 * 3100
    assert len(buffer.pcm16k(0)) <= 32 * 3200
    assert len(buffer.wire(58_000)) == 48 * 2000


def test_a_held_speech_is_kept_however_long() -> None:
    buffer = InputBuffer(PCM16, idle_ms=500)
    feed(buffer, bytes(48000))
    buffer.hold(400)
    for _ in range(200):
        buffer.append(bytes(4800))
    assert len(buffer.wire(400, 21_000)) == 48 * 20_600
    buffer.commit(400)
    buffer.append(bytes(4800))
    assert len(buffer.wire(0)) < 48 * 2000


def test_the_oldest_goes_first_beyond_the_limit() -> None:
    buffer = InputBuffer(PCM16, push_to_talk=True, max_ms=5000)
    for n in range(100):
        buffer.append(n.to_bytes(2, "little") * 2400)
    assert 5000 <= buffer.pending_ms <= 6000
    taken = buffer.commit()
    assert taken.end_ms == 10_000
    assert taken.wire[-2:] == (99).to_bytes(2, "little")


@pytest.mark.parametrize(("before", "after"), [(PCM16, PCMU), (PCMA, PCM16), (PCMU, PCMA)])
def test_a_change_of_format_keeps_the_sound_and_the_time(
    before: AudioFormat, after: AudioFormat
) -> None:
    buffer = InputBuffer(before, push_to_talk=True)
    feed(buffer, wire(before, 1.0))
    buffer.configure(after)
    assert buffer.total_ms == 1000
    feed(buffer, wire(after, 1.5)[after.nbytes(1000) :])
    taken = buffer.commit()
    assert (taken.start_ms, taken.end_ms, taken.format) == (0, 1500, after)
    assert len(taken.wire) == after.nbytes(1500)
    got = np.frombuffer(taken.pcm16k, "<i2").astype(float)
    want = tone(16000, 1.5).astype(float)
    assert len(got) == len(want)
    assert np.abs(got - want)[np.r_[300:15_500, 16_500:23_500]].max() < 500


def test_half_a_sample_waits_for_its_other_half() -> None:
    buffer = InputBuffer(PCM16, push_to_talk=True)
    buffer.append(b"\x01")
    assert buffer.pending_ms == 0
    buffer.append(b"\x02" + bytes(4798))
    assert buffer.commit().wire[:2] == b"\x01\x02"


def test_an_empty_append_is_nothing() -> None:
    assert InputBuffer(PCM16).append(b"") == []
