from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.models import local_models, word_errors

from runner.engine.ports import Spoken
from runner.engine.speaking.tts import RATE, pitch
from runner.media.resample import resample

TEXT = "We are open from nine to five on Monday."


def say(text: str, voice: str = "alloy", speed: float = 1.0) -> list[Spoken]:
    async def run() -> list[Spoken]:
        return [s async for s in local_models().voice.say(text, voice, speed)]

    return asyncio.run(run())


def sound(text: str, voice: str = "alloy", speed: float = 1.0) -> bytes:
    return b"".join(s.pcm24k for s in say(text, voice, speed))


def heard(pcm24k: bytes) -> str:
    return asyncio.run(local_models().ears.transcribe(resample(pcm24k, RATE, 16000)))


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "The parking is free for the first two hours.",
        "Your appointment is on Tuesday, March 3rd, at 9:30.",
        "One moment please, I am looking at the calendar.",
    ],
)
def test_what_is_said_is_what_is_heard(text: str) -> None:
    assert word_errors(text, heard(sound(text))) <= 1, heard(sound(text))


@pytest.mark.parametrize(
    "voice", ["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer",
              "verse", "heart", "emma", "somebody else", ""],
)  # fmt: skip
def test_every_voice_name_is_spoken_and_understood(voice: str) -> None:
    assert word_errors(TEXT, heard(sound(TEXT, voice))) == 0
    assert 0.86 <= pitch(voice) <= 1.12


def f0(pcm24k: bytes) -> float:
    """The strongest period between 80 and 350 Hz over the whole sound."""
    x = np.frombuffer(pcm24k, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(x, 2 * len(x))) ** 2
    correlation = np.fft.irfft(spectrum)
    low, high = RATE // 350, RATE // 80
    return RATE / (low + int(correlation[low:high].argmax()))


def test_voices_differ_in_pitch_and_not_in_pace() -> None:
    low, high = sound(TEXT, "cedar"), sound(TEXT, "shimmer")
    assert f0(high) / f0(low) > 1.1
    assert 0.85 < len(high) / len(low) < 1.15


@pytest.mark.parametrize(("speed", "times"), [(0.25, 3.6), (0.5, 1.9), (1.5, 0.68)])
def test_speed_is_obeyed(speed: float, times: float) -> None:
    ratio = len(sound(TEXT, speed=speed)) / len(sound(TEXT))
    assert ratio == pytest.approx(times, rel=0.2)
    if speed == 0.5:
        assert word_errors(TEXT, heard(sound(TEXT, speed=speed))) <= 1


def test_speed_beyond_the_limits_is_the_limit() -> None:
    assert sound("Hello.", speed=0.01) == sound("Hello.", speed=0.25)
    assert sound("Hello.", speed=9) == sound("Hello.", speed=1.5)


def test_the_same_text_sounds_the_same() -> None:
    assert sound(TEXT) == sound(TEXT)


def test_clauses_come_one_by_one_and_join_to_the_text() -> None:
    text = "Hello!  We are open today. \n Come in, please. 😀 "
    pieces = say(text)
    assert "".join(p.text for p in pieces) == text
    assert len(pieces) >= 3
    assert all(p.pcm24k and len(p.pcm24k) % 2 == 0 for p in pieces)


def test_the_sound_begins_soon_and_neither_clips_nor_clicks() -> None:
    for text in (TEXT, "Yes.", "Stop!"):
        x = np.frombuffer(sound(text), "<i2").astype(int)
        loud = np.flatnonzero(np.abs(x) > 300)
        assert loud[0] < RATE * 0.08, "silence in front"
        assert RATE * 0.2 < len(x) - loud[-1] < RATE * 0.5, "the pause behind a sentence"
        assert 5000 < np.abs(x).max() < 31_000
        assert abs(x[0]) < 50
        assert abs(x[-1]) < 50


@pytest.mark.parametrize("text", ["😀", "...", "—", "\x00", "日本語", "🎉🎉!", " ", "\ud83d"])
def test_the_unspeakable_is_a_short_silence(text: str) -> None:
    (piece,) = say(text)
    assert piece.text == text
    assert len(piece.pcm24k) <= RATE
    assert not any(piece.pcm24k) or text == "日本語"


@pytest.mark.parametrize(
    "text",
    ["a" * 500, "Привет", "x", "1", "ﬁ", "3.14159 and 1,000,000", "http://a.b/c?d=e", "C++ & C#",
     "[[[", "((", "%%%", "-1", "1e9", "9" * 300, "IV.", "é", "\t\n"],
)  # fmt: skip
def test_odd_text_is_spoken_without_a_failure(text: str) -> None:
    assert "".join(p.text for p in say(text)) == text


def test_nothing_is_nothing() -> None:
    assert say("") == []


def test_closing_the_iterator_drops_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    voice = local_models().voice
    made: list[str] = []
    speak = voice.speak_now

    def count(text: str, name: str, speed: float) -> bytes:
        made.append(text)
        return speak(text, name, speed)

    async def run() -> None:
        long = voice.say("This is one sentence of many. " * 200, "alloy", 1.0)
        await anext(long)
        await long.aclose()
        # What was dropped does not stand in the way of the next caller.
        assert [s.text async for s in voice.say("Hello.", "alloy", 1.0)] == ["Hello."]

    monkeypatch.setattr(voice, "speak_now", count)
    asyncio.run(run())
    assert len(made) <= 3
