from __future__ import annotations

import asyncio

import numpy as np
import pytest
from support.models import local_models, word_errors
from support.speech import RATE, flite

from runner.engine.hearing.stt import clean, cut
from runner.media.resample import resample
from runner.tasks import Supervisor


def heard(pcm16k: bytes) -> str:
    return asyncio.run(local_models().ears.transcribe(pcm16k))


def said(text: str, voice: str = "slt") -> bytes:
    return resample(flite(text, voice), RATE, 16000)


SENTENCES = [
    "What are your opening hours?",
    "Are you open on Saturday?",
    "I would like to book an appointment for Tuesday at nine.",
    "Can I speak to the manager, please?",
    "Thank you very much, goodbye.",
]


def test_sentences_of_a_strange_voice_are_understood() -> None:
    errors = sum(word_errors(s, heard(said(s))) for s in SENTENCES)
    assert errors <= 2, [heard(said(s)) for s in SENTENCES]


@pytest.mark.parametrize("text", ["Yes.", "No.", "Hello."])
def test_a_single_word_is_understood(text: str) -> None:
    assert word_errors(text, heard(said(text))) == 0


def test_over_15_seconds_is_cut_and_joined() -> None:
    text = " ".join(SENTENCES * 3)
    pcm = said(text)
    assert len(pcm) / 32000 > 25
    result = heard(pcm)
    assert word_errors(text, result) <= 0.15 * len(text.split()), result


def test_several_at_once_do_not_mix() -> None:
    async def all_at_once() -> list[str]:
        ears = local_models().ears
        return list(await asyncio.gather(*(ears.transcribe(said(s)) for s in SENTENCES * 2)))

    results = asyncio.run(all_at_once())
    assert results[: len(SENTENCES)] == results[len(SENTENCES) :]
    assert results[: len(SENTENCES)] == [heard(said(s)) for s in SENTENCES]


def noise(samples: int, level: float) -> bytes:
    return np.random.default_rng(1).normal(0, level, samples).astype("<i2").tobytes()


@pytest.mark.parametrize(
    "pcm",
    [
        b"",
        b"\x01",
        bytes(32000),
        noise(1000, 3000),  # 60 ms
        noise(16000, 10),
        noise(16000, 300),
        noise(4800, 1500),
        (3000 * np.sin(np.arange(16000) * 2 * np.pi * 100 / 16000)).astype("<i2").tobytes(),
    ],
    ids=["nothing", "half a sample", "zeros", "click", "line noise", "noise", "burst", "hum"],
)
def test_what_is_no_speech_has_no_words(pcm: bytes) -> None:
    assert heard(pcm) == ""


def test_cancelling_what_waits_leaves_the_rest_alone() -> None:
    async def run() -> str:
        ears = local_models().ears
        jobs = Supervisor(lambda name, error: None)
        first = jobs.spawn(ears.transcribe(said(SENTENCES[2])), "first")
        for n in range(5):
            dropped = jobs.spawn(ears.transcribe(said("No.")), f"dropped {n}")
            await asyncio.sleep(0)
            dropped.cancel()
        assert await first
        return await ears.transcribe(said(SENTENCES[0]))

    assert word_errors(SENTENCES[0], asyncio.run(run())) == 0


def test_pieces_are_cut_in_the_quiet_and_join_to_the_whole() -> None:
    loud = np.random.default_rng(2).normal(0, 0.1, 16000 * 40).astype(np.float32)
    loud[13 * 16000 : 13 * 16000 + 6400] = 0
    pieces = cut(loud)
    assert np.array_equal(np.concatenate(pieces), loud)
    assert all(len(p) <= 15 * 16000 for p in pieces)
    assert 13.0 < len(pieces[0]) / 16000 < 13.4


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" You ", ""),
        ("You.", ""),
        ("Thank you.", "Thank you."),
        ("\x07", ""),
        ("...", ""),
        ("a\n b", "a b"),
        ("the the the the the the the end", "the end"),
        ("go to the go to the go to the go to the go to the shop", "go to the shop"),
        ("no, no, no.", "no, no, no."),
        (" ".join(f"w{n}" for n in range(40)), ""),
    ],
)
def test_what_the_model_makes_up_is_dropped(text: str, kept: str) -> None:
    assert clean(text, 2.0) == kept
