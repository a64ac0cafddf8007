"""The virtual speaker and the recording: what was heard stands where it was heard."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.until import until

from runner.audio.formats import PCMA, PCMU, AudioFormat
from runner.audio.g711 import alaw_encode, ulaw_encode
from runner.errors import AudioFileError
from runner.media import tape
from runner.media.tape import TapeRecorder
from runner.media.virtual import VirtualSpeaker

RATE = 24000


def tone(ms: float, level: int = 8000, rate: int = RATE) -> bytes:
    """A square of +-level: every sample counts as sound."""
    n = round(ms * rate / 1000)
    return array("h", [level if i % 2 else -level for i in range(n)]).tobytes()


def channels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    raw = np.frombuffer(path.read_bytes()[44:], "<i2").reshape(-1, 2)
    return raw[:, 0], raw[:, 1]


def sounding(side: np.ndarray) -> list[tuple[int, int]]:
    """Spans (first, last + 1) of sound, split by at least 1 ms of silence."""
    at = np.flatnonzero(side)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > RATE // 1000)
    firsts = np.concatenate(([at[0]], at[breaks + 1]))
    lasts = np.concatenate((at[breaks], [at[-1]]))
    return [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True)]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


# -- the tape, on a clock that the test turns ---------------------------------------------------
@pytest.mark.quick
def test_both_sides_stand_at_their_time(tmp_path: Path) -> None:
    clock = Clock()
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock)
    clock.now = 100.5
    recorder.caller(tone(20))
    recorder.agent(tone(100), 101.0)
    recorder.agent(tone(100), 101.1)
    clock.now = 102.0
    recorder.close()
    left, right = channels(tmp_path / "call.wav")
    assert sounding(left) == [(12000, 12480)]
    assert sounding(right) == [(24000, 28800)]


@pytest.mark.quick
def test_what_was_not_heard_is_not_on_the_tape(tmp_path: Path) -> None:
    clock = Clock()
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock)
    for n in range(10):
        recorder.agent(tone(100), 100.0 + n * 0.1)
    clock.now = 100.25
    recorder.cut(clock.now)
    clock.now = 103.0
    recorder.close()
    _, right = channels(tmp_path / "call.wav")
    assert sounding(right) == [(0, 6000)]
    assert len(right) == 6000, "no silence in the place of what nobody heard"


@pytest.mark.quick
def test_the_end_of_the_call_is_a_cut(tmp_path: Path) -> None:
    clock = Clock()
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock)
    recorder.agent(tone(1000), 100.0)
    clock.now = 100.4
    recorder.close()
    recorder.close()
    recorder.agent(tone(100), 101.0)
    recorder.caller(tone(100))
    assert sounding(channels(tmp_path / "call.wav")[1]) == [(0, 9600)]


@pytest.mark.quick
def test_jitter_of_the_caller_makes_no_gaps_but_a_pause_does(tmp_path: Path) -> None:
    clock = Clock()
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock)
    for n, late in enumerate((0.0, 0.015, 0.003, 0.019, 0.0)):
        clock.now = 100.0 + n * 0.02 + late
        recorder.caller(tone(20))
    clock.now = 101.0
    recorder.caller(tone(20))
    recorder.close()
    assert sounding(channels(tmp_path / "call.wav")[0]) == [(0, 2400), (24000, 24480)]


@pytest.mark.quick
def test_chunks_at_times_that_are_no_whole_samples_follow_without_a_click(tmp_path: Path) -> None:
    clock = Clock()
    clock.now = 0.1
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock)
    begins, chunk = 1 / 3, tone(20.0)
    for n in range(50):
        recorder.agent(chunk, begins + n * 480 / RATE)
    clock.now = 5.0
    recorder.close()
    ((first, last),) = sounding(channels(tmp_path / "call.wav")[1])
    assert last - first == 50 * 480
    assert first == round((1 / 3 - 0.1) * RATE)


@pytest.mark.quick
@pytest.mark.parametrize(("fmt", "encode"), [(PCMU, ulaw_encode), (PCMA, alaw_encode)])
def test_telephone_formats_are_recorded_as_sound(
    fmt: AudioFormat, encode: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    clock = Clock()
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock, fmt=fmt)
    wave = 8000 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)
    data = encode(wave.astype("<i2").tobytes())
    for n in range(50):
        recorder.agent(data[n * 160 : (n + 1) * 160], 100.0 + n * 0.02)
    clock.now = 102.0
    recorder.close()
    right = channels(tmp_path / "call.wav")[1].astype(float)
    assert abs(len(right) - RATE) <= 2
    spectrum = np.abs(np.fft.rfft(right))
    assert int(np.argmax(spectrum)) == 500
    assert 7600 < np.abs(right).max() < 8400


@pytest.mark.quick
def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, failures = Clock(), []

    def full(*args: object) -> None:
        raise AudioFileError("cannot write call.wav: No space left on device")

    monkeypatch.setattr(tape.StereoWriter, "_write", full)
    recorder = TapeRecorder(tmp_path / "call.wav", clock=clock, on_failure=failures.append)
    recorder.agent(tone(20), 100.0)
    clock.now = 101.0
    recorder.caller(tone(20))
    recorder.caller(tone(20))
    recorder.close()
    assert len(failures) == 1


@pytest.mark.quick
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="nowhere"):
        TapeRecorder(tmp_path / "nowhere" / "call.wav", clock=Clock())


# -- the speaker, on the loop's own clock ---------------------------------------------------------
def test_an_answer_is_heard_in_real_time_then_drained(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        recorder = TapeRecorder(tmp_path / "call.wav", clock=loop.time)
        speaker = VirtualSpeaker(recorder=recorder)
        drained: list[float] = []
        speaker.on_drained = lambda: drained.append(loop.time())
        began = loop.time()
        for _ in range(10):
            speaker.play("item", 0, tone(20))
        assert not speaker.idle
        assert speaker.heard("item", 0) < 4800
        await until(lambda: drained)
        assert drained[0] - began >= 0.199
        assert speaker.idle
        assert speaker.heard("item", 0) == 4800
        assert speaker.heard("item", 1) == speaker.heard("other", 0) == 0
        speaker.close()
        recorder.close()
        ((first, last),) = sounding(channels(tmp_path / "call.wav")[1])
        assert last - first == 4800

    run(main())


def test_after_a_barge_in_the_tape_holds_what_the_count_says(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        recorder = TapeRecorder(tmp_path / "call.wav", clock=loop.time)
        speaker = VirtualSpeaker(recorder=recorder)
        drained: list[bool] = []
        speaker.on_drained = lambda: drained.append(True)
        for _ in range(250):
            speaker.play("long", 0, tone(20))
        await until(lambda: speaker.heard("long", 0) >= 5000)
        speaker.flush()
        heard = speaker.heard("long", 0)
        assert speaker.idle
        speaker.play("next", 0, tone(40))
        await until(lambda: drained)
        assert speaker.heard("long", 0) == heard, "positions stay where they were"
        speaker.close()
        recorder.close()
        right = channels(tmp_path / "call.wav")[1]
        assert abs(np.count_nonzero(right) - heard - 960) <= 24  # a millisecond between two clocks
        assert len(right) < RATE

    run(main())
