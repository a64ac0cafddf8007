"""Microphone and speaker through PortAudio, ALSA and PulseAudio, with null sinks as the card."""

from __future__ import annotations

import asyncio
import sys
import time
import wave
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.soundcard import SoundCard, sound_card
from support.until import until

from runner.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from runner.audio.g711 import alaw_encode, ulaw_encode
from runner.errors import DeviceError
from runner.media import device, devices, portaudio
from runner.media.devices import Microphone, Speaker
from runner.media.tape import TapeRecorder

RATE = 24_000
OUT = 48_000  # the card's


def begin_anew() -> None:
    """PortAudio reads the list of devices once; have it read the card of this test."""
    import sounddevice

    sounddevice._terminate()
    sounddevice._initialize()


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    for stream in tuple(portaudio._open):
        stream.close()


@contextmanager
def card_of_its_own() -> Iterator[SoundCard]:
    """A sound card that PortAudio sees until the end of the block."""
    with pytest.MonkeyPatch.context() as patch, sound_card() as card:
        for name, value in card.env.items():
            patch.setenv(name, value)
        begin_anew()
        yield card
    begin_anew()


@pytest.fixture(scope="module")
def card() -> Iterator[SoundCard]:
    with card_of_its_own() as card:
        yield card


def sine(hz: float, seconds: float, rate: int = RATE) -> bytes:
    n = np.arange(round(rate * seconds))
    return (10000 * np.sin(2 * np.pi * hz * n / rate)).astype("<i2").tobytes()


def pitch(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def sounds(samples: np.ndarray, rate: int) -> list[np.ndarray]:
    """Each sound, ended by 200 ms of quiet. Quiet within is cut out: on a busy machine the null
    sink's recorder drops out for a moment, which is no fault of what is tested."""
    frame = rate // 500
    loud = np.abs(samples[: len(samples) // frame * frame].astype(int)).reshape(-1, frame)
    at = np.flatnonzero(loud.max(axis=1) > 500)
    parts = np.split(at, np.flatnonzero(np.diff(at) > 100) + 1)
    return [samples.reshape(-1)[: loud.size].reshape(-1, frame)[p].reshape(-1) for p in parts]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def awaken(speaker: Speaker) -> None:
    """A null sink opens with up to 2 s of delay: wait until it takes sound."""
    speaker.play("awaken", 0, bytes(960))
    await until(lambda: speaker.heard("awaken", 0) == 480 and speaker.idle)


async def settled(raw: Path, count: int = 1) -> None:
    """So many sounds are in the recording, and quiet after the last."""

    def complete() -> bool:
        sound = np.frombuffer(raw.read_bytes()[: raw.stat().st_size // 2 * 2], "<i2")
        return len(sounds(sound, OUT)) == count and np.abs(sound[-OUT // 3 :]).max() < 500

    await until(complete)


# -- what there is -------------------------------------------------------------------------------
def test_a_machine_with_devices(card: SoundCard) -> None:
    assert devices.available() is None
    assert devices.available("output") is None
    assert devices.device_name("output") == "default"
    assert devices.device_name("input", "puls") == "pulse"
    assert devices.device_name("input", "0") == devices.device_name("input", 0)


@pytest.mark.parametrize("device", ["trumpet", 99, "99"])
def test_a_device_that_is_not_there_is_named_with_the_choice(
    device: str | int, card: SoundCard
) -> None:
    with pytest.raises(DeviceError) as caught:
        devices.device_name("output", device)
    assert "99" in caught.value.message or "trumpet" in caught.value.message
    assert "pulse" in caught.value.hint
    assert "\n" not in caught.value.message


def test_a_machine_without_portaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    reason = devices.available()
    assert reason is not None
    assert reason.startswith("PortAudio is not installed: apt-get install libportaudio2")
    assert "\n" not in reason


def test_a_machine_without_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/nonexistent")
    begin_anew()
    try:
        reason = devices.available()
        assert reason is not None
        assert "microphone" in reason
        assert "\n" not in reason
        assert "speaker" in (devices.available("output") or "")
    finally:
        monkeypatch.undo()
        begin_anew()


# -- the speaker ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fmt", "encode"),
    [(PCM16, bytes), (PCMU, ulaw_encode), (PCMA, alaw_encode)],
    ids=lambda v: getattr(v, "type", ""),
)
def test_what_is_played_sounds(
    fmt: AudioFormat, encode: Callable[[bytes], bytes], card: SoundCard, tmp_path: Path
) -> None:
    data = encode(sine(1000, 0.5, fmt.rate))
    block = fmt.nbytes(20)

    async def main() -> None:
        speaker = Speaker(fmt)
        speaker.play("awaken", 0, fmt.silence * fmt.samples(block))
        await until(lambda: speaker.heard("awaken", 0) and speaker.idle)
        drained: list[bool] = []
        speaker.on_drained = lambda: drained.append(True)
        with card.recorded(tmp_path / "spk.raw") as raw:
            for at in range(0, len(data), block):
                speaker.play("item", 0, data[at : at + block])
            assert not speaker.idle
            await until(lambda: drained)
            assert speaker.idle
            await settled(raw)
        assert speaker.heard("item", 0) == fmt.rate // 2
        assert speaker.heard("item", 1) == 0
        assert drained == [True]
        speaker.close()
        sound = np.frombuffer(raw.read_bytes(), "<i2")
        (heard,) = sounds(sound, OUT)
        assert abs(len(heard) - OUT // 2) < OUT // 50
        assert pitch(heard[2400:21600], OUT) == pytest.approx(1000, abs=3)
        assert 9000 < np.abs(sound).max() < 11000

    run(main())


def test_a_barge_in_cuts_where_the_count_says(card: SoundCard, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        tape = TapeRecorder(tmp_path / "call.wav", clock=loop.time)
        speaker = Speaker(recorder=tape)
        await awaken(speaker)
        drained: list[bool] = []
        speaker.on_drained = lambda: drained.append(True)
        with card.recorded(tmp_path / "spk.raw") as raw:
            tone = sine(440, 10)
            for at in range(0, len(tone), 9600):
                speaker.play("long", 0, tone[at : at + 9600])
            await until(lambda: speaker.heard("long", 0) >= RATE // 3)
            speaker.flush()
            heard = speaker.heard("long", 0)
            assert speaker.idle
            await settled(raw)
            speaker.play("next", 0, sine(440, 0.2))
            await until(lambda: drained)
            await settled(raw, 2)
        assert speaker.heard("long", 0) == heard, "positions stay where they were"
        assert drained == [True]
        speaker.close()
        tape.close()
        cut, following = sounds(np.frombuffer(raw.read_bytes(), "<i2"), OUT)
        assert abs(len(cut) / OUT - heard / RATE) < 0.03
        assert abs(len(following) / OUT - 0.2) < 0.03
        with wave.open(str(tmp_path / "call.wav")) as recording:
            both = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        cut, following = sounds(both.reshape(-1, 2)[:, 1], RATE)
        assert abs(len(cut) - heard) < RATE // 200
        assert abs(len(following) - RATE // 5) < RATE // 200

    run(main())


# -- the microphone ------------------------------------------------------------------------------
@pytest.mark.parametrize("rate", [24_000, 8_000])
def test_what_is_said_is_heard(rate: int, card: SoundCard, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "say.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(sine(700, 0.6))

    async def main() -> None:
        blocks: list[bytes] = []
        microphone = Microphone(blocks.append, rate)
        await until(lambda: blocks)
        await asyncio.get_running_loop().run_in_executor(None, card.speak, tmp_path / "say.wav")
        heard = len(blocks)
        await until(lambda: len(blocks) > heard + 25)
        microphone.close()
        taken = len(blocks)
        assert {len(block) for block in blocks} == {rate // 50 * 2}
        sound = np.frombuffer(b"".join(blocks), "<i2")
        loud = max(sounds(sound, rate), key=len)
        assert abs(len(loud) / rate - 0.6) < 0.04
        assert pitch(loud[rate // 10 : rate // 2], rate) == pytest.approx(700, abs=4)
        await asyncio.sleep(0)
        assert len(blocks) == taken, "nothing after close()"

    run(main())


def test_a_busy_loop_loses_the_oldest_sound(card: SoundCard) -> None:
    async def main() -> None:
        blocks: list[bytes] = []
        microphone = Microphone(blocks.append)
        await until(lambda: blocks)
        blocks.clear()
        stalled = time.monotonic() + 1.0
        while time.monotonic() < stalled:
            pass
        await until(lambda: blocks)
        assert microphone.dropped_ms >= 200
        assert len(blocks) <= 30, "a stall is not a delay for the rest of the call"
        microphone.close()

    run(main())


# -- the plug is pulled --------------------------------------------------------------------------
def test_the_call_goes_on_without_its_devices(tmp_path: Path) -> None:
    async def main(card: SoundCard) -> None:
        loop = asyncio.get_running_loop()
        failures: list[DeviceError] = []
        blocks: list[bytes] = []
        drained: list[bool] = []
        tape = TapeRecorder(tmp_path / "call.wav", clock=loop.time)
        speaker = Speaker(recorder=tape, on_failure=failures.append)
        microphone = Microphone(blocks.append, on_failure=failures.append)
        speaker.on_drained = lambda: drained.append(True)
        speaker.play("item", 0, sine(440, 1.5))
        await until(lambda: speaker.heard("item", 0) > RATE // 4 and blocks)
        card.kill()
        await until(lambda: len(failures) == 2)
        assert sorted(f.message.split()[1] for f in failures) == ["microphone", "speaker"]
        assert blocks[-50:] == [bytes(960)] * 50
        speaker.play("more", 0, sine(440, 0.1))
        await until(lambda: drained)
        assert speaker.heard("item", 0) == RATE * 3 // 2
        assert speaker.heard("more", 0) == RATE // 10
        speaker.play("cut", 0, sine(440, 5))
        speaker.flush()
        assert speaker.idle
        assert speaker.heard("cut", 0) < RATE
        speaker.close()
        microphone.close()
        tape.close()

    with card_of_its_own() as card:
        run(main(card))


# -- and put in again ----------------------------------------------------------------------------
def test_a_device_that_is_there_again_is_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "RETURN_SECONDS", 0.2)

    async def main(card: SoundCard) -> None:
        failures: list[DeviceError] = []
        back: list[str] = []
        blocks: list[bytes] = []
        drained: list[bool] = []
        speaker = Speaker(on_failure=failures.append, on_back=back.append)
        microphone = Microphone(blocks.append, on_failure=failures.append, on_back=back.append)
        speaker.on_drained = lambda: drained.append(True)
        await until(lambda: blocks)
        card.kill()
        await until(lambda: len(failures) == 2)
        speaker.play("clock", 0, sine(440, 0.5))
        await until(lambda: drained)
        assert speaker.heard("clock", 0) == RATE // 2
        card.start()
        await until(lambda: len(back) == 2)
        taken = len(blocks)
        with card.recorded(tmp_path / "spk.raw") as raw:
            speaker.play("sound", 0, sine(440, 0.5))
            await until(lambda: len(drained) == 2 and len(blocks) > taken)
            await settled(raw)
        assert speaker.heard("sound", 0) == RATE // 2
        assert speaker.heard("clock", 0) == RATE // 2, "what was heard without it stays"
        assert len(failures) == 2
        speaker.close()
        microphone.close()

    with card_of_its_own() as card:
        run(main(card))


# -- a machine that is late ----------------------------------------------------------------------
class Late:
    """In the place of the canceller's reference: keeps PortAudio's thread now and then."""

    seconds = 0.0

    def write(self, samples: Any, at: float) -> None:
        stop, self.seconds = self.seconds, 0.0
        time.sleep(stop)


def test_after_an_answer_that_slipped_the_speaker_keeps_more(
    card: SoundCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "FIRST_SOUND", 0.0)

    async def main() -> None:
        late, drained = Late(), []
        speaker = Speaker(reference=late)  # type: ignore[arg-type]
        await awaken(speaker)
        speaker.on_drained = lambda: drained.append(True)
        assert speaker.underruns == 0
        before = speaker._stream._latency
        speaker.play("long", 0, sine(440, 1.5))
        await until(lambda: speaker.heard("long", 0) > RATE // 4)
        late.seconds = 0.5
        await until(lambda: drained)
        assert speaker.underruns >= 1
        await until(lambda: speaker._stream._latency > before)
        speaker.play("next", 0, sine(440, 0.5))
        await until(lambda: len(drained) == 2)
        assert speaker.heard("long", 0) == RATE * 3 // 2
        assert speaker.heard("next", 0) == RATE // 2
        speaker.close()

    run(main())
