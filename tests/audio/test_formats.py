from __future__ import annotations

import pytest

from runner.audio.formats import PCM16, PCMA, PCMU, AudioFormat

pytestmark = pytest.mark.quick


@pytest.mark.parametrize("format", [PCM16, PCMU, PCMA])
def test_wire_object_comes_back_as_the_same_format(format: AudioFormat) -> None:
    assert AudioFormat.from_wire(format.wire()) is format


def test_pcm_names_its_rate_and_g711_does_not() -> None:
    assert PCM16.wire() == {"type": "audio/pcm", "rate": 24000}
    assert PCMU.wire() == {"type": "audio/pcmu"}


def test_pcm_without_a_rate_is_24_khz() -> None:
    assert AudioFormat.from_wire({"type": "audio/pcm"}) is PCM16


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "audio/opus"}, "audio/opus"),
        ({"type": "pcm16"}, "audio/pcm, audio/pcmu, audio/pcma"),
        ({"type": "audio/pcm", "rate": 16000}, "24000 Hz, not 16000"),
        ({"type": ["audio/pcm"]}, "unknown audio format"),
        ({}, "None"),
        ("pcm16", "object"),
        (None, "object"),
    ],
)
def test_unknown_formats_are_refused_with_the_reason(value: object, says: str) -> None:
    with pytest.raises(ValueError, match="audio") as error:
        AudioFormat.from_wire(value)
    assert says in str(error.value)


def test_bytes_samples_and_milliseconds() -> None:
    assert PCM16.samples(960) == 480
    assert PCM16.ms(960) == 20.0
    assert PCM16.nbytes(20) == 960
    assert PCMU.samples(160) == 160
    assert PCMU.ms(160) == 20.0
    assert PCMA.nbytes(20.1) == 160


def test_silence_is_one_sample() -> None:
    assert [f.silence for f in (PCM16, PCMU, PCMA)] == [b"\0\0", b"\xff", b"\xd5"]
