"""Frames of a WebRTC track as plain PCM16."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Callable, Sequence

import aiortc.rtp
import numpy as np
import pytest
from av import AudioFrame
from support.until import until

from runner.media.rtc import (
    CATCH_UP_SECONDS,
    FRAME_BYTES,
    FRAME_SECONDS,
    PAUSE_LOOK_SECONDS,
    PAUSE_LOOKS,
    PulledTrack,
    dying,
    heard,
    level,
    mono,
)
from runner.tasks import Supervisor

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


def test_behind_a_loss_the_last_sound_dies_away() -> None:
    last = np.arange(1, 961, dtype="<i2")
    sound = np.frombuffer(dying(last.tobytes(), 960 * 6), "<i2").astype(int)
    assert len(sound) == 960 * 6
    assert sound[0] == 960  # it joins what was heard
    peaks = [abs(sound[at : at + 960]).max() for at in range(0, len(sound), 960)]
    assert peaks[0] > peaks[1] > peaks[2] > 0
    assert peaks[3:] == [0, 0, 0]
    assert dying(last.tobytes(), 480) == dying(last.tobytes(), 960)[:960]
    assert dying(b"", 480) == bytes(960)


class Talker:
    """Says frames, each with its number in every sample, at the loop's real time: late ones at
    once, as a microphone's buffer hands them over."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.track = PulledTrack(self._pull)

    def _pull(self, whatever: bool) -> bytes:
        if self.waiting:
            return self.waiting.pop(0)
        return bytes(FRAME_BYTES) if whatever else b""

    async def say(self, numbers: Sequence[int]) -> None:
        due = asyncio.get_running_loop().time()
        for number in numbers:
            self.waiting.append(np.full(FRAME_BYTES // 2, number, "<i2").tobytes())
            self.track.news.set()
            due += FRAME_SECONDS
            await asyncio.sleep(due - asyncio.get_running_loop().time())


def numbers_of(pcm: bytes) -> list[int]:
    """What was heard, a number for each 20 ms, and each silence as one."""
    frames = np.frombuffer(pcm, "<i2").reshape(-1, FRAME_BYTES // 2)
    assert (frames == frames[:, :1]).all()
    found = frames[:, 0].tolist()
    return [n for i, n in enumerate(found) if n or i == 0 or found[i - 1]]


async def overheard(frames: AsyncIterator[bytes], into: bytearray) -> None:
    async for pcm in frames:
        into += pcm


def talk(count: int, stalls: dict[int, float]) -> list[int]:
    """What is heard of ``count`` frames when the loop of both ends stands still before some."""

    async def main() -> list[int]:
        tasks = Supervisor(lambda name, error: None)
        talker, into = Talker(), bytearray()
        tasks.spawn(overheard(heard(talker.track, tasks), into), "an ear")
        saying = tasks.spawn(talker.say(range(1, count + 1)), "a mouth")
        said = 0
        while not saying.done():
            if stall := stalls.pop(said, 0.0):
                time.sleep(stall)  # noqa: ASYNC251  # as a machine under load does it
            said += 1
            await asyncio.sleep(FRAME_SECONDS)
        last = np.full(1, count, "<i2").tobytes()
        await until(lambda: last in bytes(into[-4 * FRAME_BYTES :]))
        talker.track.stop()
        await tasks.close()
        return numbers_of(bytes(into[: len(into) // FRAME_BYTES * FRAME_BYTES]))

    return asyncio.run(main())


def test_a_sender_that_is_held_up_catches_up_and_tears_nothing_apart() -> None:
    """Stalls of up to what may be caught up cost nobody a sample, nor a silence between two."""
    stalls = {5: 0.07, 15: 0.15, 25: 0.3, 40: 0.3}
    assert max(stalls.values()) < CATCH_UP_SECONDS
    found = talk(60, stalls)
    assert [n for n in found if n] == list(range(1, 61))
    first, last = found.index(1), found.index(60)
    assert 0 not in found[first:last]


def test_behind_a_longer_stall_time_went_by_in_silence() -> None:
    """The far end hears all that is there still, and the gap where it was."""
    found = talk(30, {10: CATCH_UP_SECONDS + 0.4})
    assert [n for n in found if n] == list(range(1, 31))
    assert found[found.index(1) :].count(0) <= 2  # the gap, and behind the last


def test_a_sender_that_pauses_is_silent_for_as_long() -> None:
    """Whoever waits for the end of what was said waits no longer for it."""

    async def main() -> int:
        tasks = Supervisor(lambda name, error: None)
        into, paused = bytearray(), asyncio.Event()
        track = PulledTrack(lambda _: b"\1" * FRAME_BYTES)
        send = track.recv

        async def recv() -> AudioFrame:
            if into:
                await paused.wait()
            return await send()

        track.recv = recv  # type: ignore[method-assign]
        tasks.spawn(overheard(heard(track, tasks), into), "an ear")
        await until(lambda: bytes(4 * FRAME_BYTES) in bytes(into))
        silence = len(into) - len(bytes(into).rstrip(b"\0"))
        track.stop()
        await tasks.close()
        return silence

    assert asyncio.run(main()) >= PAUSE_LOOKS * PAUSE_LOOK_SECONDS * 2 * 48_000 - FRAME_BYTES
