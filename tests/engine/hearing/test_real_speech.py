"""Voice activity, turns and recognition together on real voices; time is that of the sound."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import numpy as np
import pytest
from support.models import local_models, word_errors
from support.speech import RATE, flite, silence, voiced_ms

from runner.audio.formats import PCM16
from runner.engine.hearing.input import InputBuffer
from runner.engine.hearing.turns import (
    Pause,
    SpeechStarted,
    SpeechStopped,
    TurnConfig,
    TurnDetector,
    TurnEvent,
)

T = TypeVar("T")


def hibari(text: str) -> bytes:
    async def all_of_it() -> bytes:
        return b"".join([s.pcm24k async for s in local_models().voice.say(text, "alloy", 1.0)])

    return asyncio.run(all_of_it())


def listen(
    pcm24k: bytes, config: TurnConfig, delay_ms: int = 160
) -> tuple[list[tuple[int, TurnEvent]], list[str]]:
    """Every event with the time at which it came, and the words of each turn. Recognition
    answers ``delay_ms`` after its pause."""
    vad = local_models().vad()
    buffer, detector = InputBuffer(PCM16), TurnDetector(config)
    log: list[tuple[int, TurnEvent]] = []
    turns: list[str] = []
    start = 0
    due: list[tuple[int, int, str]] = []

    def take(events: list[TurnEvent]) -> None:
        nonlocal start
        for event in events:
            log.append((detector.position_ms, event))
            if isinstance(event, SpeechStarted):
                start = event.keep_from_ms
                buffer.hold(start)
            elif isinstance(event, Pause):
                text = asyncio.run(local_models().ears.transcribe(buffer.pcm16k(start)))
                due.append((detector.position_ms + delay_ms, event.revision, text))
            elif isinstance(event, SpeechStopped):
                buffer.commit(start, detector.position_ms)
                turns.append(next(t for _, r, t in reversed(due) if r == event.revision))

    for at in range(0, len(pcm24k), 960):
        for frame in buffer.append(pcm24k[at : at + 960]):
            take(detector.frame(vad(frame)))
            for when, revision, text in due:
                if detector.position_ms - 32 < when <= detector.position_ms:
                    take(detector.transcript(revision, text))
    return log, turns


def of(kind: type[T], log: list[tuple[int, TurnEvent]]) -> list[tuple[int, T]]:
    return [(at, e) for at, e in log if isinstance(e, kind)]


VOICES = {"flite slt": flite, "flite kal16": lambda t: flite(t, "kal16"), "hibari": hibari}
TEXTS = ["What are your opening hours?", "Hello, I need an appointment.", "Stop, please.", "No."]


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("quiet", [0.7, 1.3])
def test_speech_is_noticed_within_300_ms_of_its_first_sound(
    voice: str, text: str, quiet: float
) -> None:
    pcm = silence(quiet) + VOICES[voice](text) + silence(1.5)
    log, _ = listen(pcm, TurnConfig("server_vad"))
    first, last = voiced_ms(np.frombuffer(pcm, "<i2"))
    (came, started), *more = of(SpeechStarted, log)
    assert came - first <= 300
    assert not more
    assert started.audio_start_ms <= first
    assert started.keep_from_ms <= first - 100, "no pre-roll"
    ((_, stopped),) = of(SpeechStopped, log)
    assert abs(stopped.speech_end_ms - last) <= 250
    assert stopped.audio_end_ms == stopped.speech_end_ms + 500


@pytest.mark.parametrize("voice", ["flite slt", "hibari"])
def test_semantic_turns_of_finished_sentences_end_soon(voice: str) -> None:
    for text in ("What are your opening hours?", "Are you open on Saturday?"):
        pcm = silence(0.5) + VOICES[voice](text) + silence(2)
        log, turns = listen(pcm, TurnConfig("semantic_vad"))
        ((came, stopped),) = of(SpeechStopped, log)
        assert word_errors(text, turns[0]) <= 1, turns
        assert came - stopped.speech_end_ms <= 128 + 160 + 64


def test_a_thinking_caller_is_not_cut_off_and_is_one_turn() -> None:
    pcm = (
        silence(0.5) + flite("I would like to book an appointment for") + silence(1.2)
        + flite("Tuesday morning.") + silence(2)
    )  # fmt: skip
    _, turns = listen(pcm, TurnConfig("semantic_vad"))
    assert len(turns) == 1
    assert "tuesday" in turns[0].lower()
    _, turns = listen(pcm, TurnConfig("server_vad", silence_duration_ms=500))
    assert len(turns) == 2, "server_vad goes by silence alone"


def test_two_turns_with_a_first_word_each() -> None:
    texts = ["Good morning.", "What does it cost?"]
    pcm = b"".join(silence(1.0) + flite(t) for t in texts) + silence(1.5)
    log, turns = listen(pcm, TurnConfig("server_vad", silence_duration_ms=300))
    assert [word_errors(t, h) for t, h in zip(texts, turns, strict=True)] == [0, 0], turns
    starts = [e.audio_start_ms for _, e in of(SpeechStarted, log)]
    ends = [e.audio_end_ms for _, e in of(SpeechStopped, log)]
    assert starts[1] >= ends[0]


@pytest.mark.parametrize("level", [5, 100, 1000])
def test_noise_is_no_speech(level: float) -> None:
    noise = np.random.default_rng(3).normal(0, level, RATE * 5).astype("<i2").tobytes()
    log, _ = listen(noise, TurnConfig("server_vad"))
    assert log == []
