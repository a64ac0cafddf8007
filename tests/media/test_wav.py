from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from runner.errors import AudioFileError
from runner.media.wav import StereoWriter, read_wav

pytestmark = pytest.mark.quick

RAMP = np.linspace(-0.9, 0.9, 2000)
GUID = bytes.fromhex("0000000010008000 00aa00389b71")


def wav_bytes(
    sound: bytes, *, codec: int = 1, bits: int = 16, channels: int = 1, rate: int = 24000,
    extensible: bool = False, before: bytes = b"", size: int | None = None,
) -> bytes:  # fmt: skip
    block = channels * bits // 8
    tag = 0xFFFE if extensible else codec
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    if extensible:
        fmt += struct.pack("<HHIH", 22, bits, 0, codec) + GUID
    announced = len(sound) if size is None else size
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + before
    body += b"data" + struct.pack("<I", announced) + sound
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encoded(samples: np.ndarray, codec: int, bits: int) -> bytes:
    if codec == 3:
        return samples.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return (samples * 127 + 128).round().astype(np.uint8).tobytes()
    whole = (samples * (2 ** (bits - 1) - 1)).round().astype("<i4")
    return whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("codec", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_every_common_encoding_gives_the_same_sound(
    tmp_path: Path, codec: int, bits: int, channels: int, extensible: bool
) -> None:
    path = tmp_path / "x.wav"
    sides = np.repeat(RAMP, channels)
    path.write_bytes(
        wav_bytes(
            encoded(sides, codec, bits), codec=codec, bits=bits, channels=channels,
            extensible=extensible,
        )
    )  # fmt: skip
    wav = read_wav(path)
    assert (wav.rate, wav.source_channels) == (24000, channels)
    got = np.frombuffer(wav.pcm16, "<i2") / 32768
    assert np.abs(got - RAMP).max() < (0.02 if bits == 8 else 1e-4)


def test_stereo_is_mixed(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sides = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    path.write_bytes(wav_bytes(encoded(sides.ravel(), 1, 16), channels=2))
    got = np.frombuffer(read_wav(path).pcm16, "<i2") / 32768
    assert np.allclose(got, 0.125, atol=1e-3)


def test_44100_stereo_comes_out_at_the_wanted_rate(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sides = np.repeat(np.sin(np.arange(44100) * 2 * np.pi * 440 / 44100) * 0.5, 2)
    path.write_bytes(wav_bytes(encoded(sides, 1, 16), channels=2, rate=44100))
    wav = read_wav(path, rate=24000)
    assert (wav.rate, wav.source_rate) == (24000, 44100)
    assert wav.seconds == pytest.approx(1.0, abs=0.001)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(wav.pcm16, "<i2")))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


def test_other_chunks_are_passed_over_at_even_places(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    odd = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    path.write_bytes(wav_bytes(encoded(RAMP, 1, 16), before=odd))
    assert len(read_wav(path).pcm16) == 4000


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF - 36, 0xFFFFFFFF])
def test_a_length_that_the_writer_could_not_fill_in(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav_bytes(encoded(RAMP, 1, 16), size=size))
    assert len(read_wav(path).pcm16) == 4000


def test_floats_beyond_full_scale_and_nan_are_tamed(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    wild = np.array([2.0, -3.0, np.nan, np.inf, 0.0])
    path.write_bytes(wav_bytes(encoded(wild, 3, 32), codec=3, bits=32))
    assert np.frombuffer(read_wav(path).pcm16, "<i2").tolist() == [32767, -32768, 0, 32767, 0]


GOOD = wav_bytes(encoded(RAMP, 1, 16))


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        (b"", "is empty"),
        (b"hello, this is no sound at all", "is not a WAV file"),
        (b"ID3\x04" + bytes(40), "but MP3"),
        (b"RIFF", "is not a WAV file"),
        (GOOD[:20], "cut short"),
        (GOOD[:44], "cut short"),
        (GOOD[:1000], "cut short: 4000 bytes of sound announced, 956 there"),
        (wav_bytes(b""), "holds no sound"),
        (wav_bytes(bytes(100), codec=7, bits=8), "mu-law"),
        (wav_bytes(bytes(100), codec=85, bits=16), "MP3"),
        (wav_bytes(bytes(100), bits=12), "12 bits"),
        (wav_bytes(bytes(100), channels=0), "damaged header"),
        (wav_bytes(bytes(100), rate=0), "damaged header"),
        (b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0abcd", "does not say its format"),
    ],
)
def test_a_bad_file_is_one_clear_message(tmp_path: Path, contents: bytes, says: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(contents)
    with pytest.raises(AudioFileError) as error:
        read_wav(path)
    assert says in error.value.message
    assert "bad.wav" in error.value.message


def test_missing_and_directory_and_odd_names(tmp_path: Path) -> None:
    for path, says in (
        (tmp_path / "none.wav", "no such file"),
        (tmp_path, "is a directory"),
        ("a\0b", "cannot be read"),
        (tmp_path / ("x" * 5000), "cannot be read"),
    ):
        with pytest.raises(AudioFileError) as error:
            read_wav(path)
        assert says in error.value.message


def sides(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return both[:, 0], both[:, 1]


def level(value: int, samples: int) -> bytes:
    return np.full(samples, value, "<i2").tobytes()


def test_both_sides_lie_where_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoWriter(path) as writer:
        writer.agent(30_000, level(7, 1000))  # any order
        writer.caller(100, level(5, 50))
        writer.caller(30_500, level(6, 1000))
        assert writer.samples == 31_500
    left, right = sides(path)
    assert len(left) == 31_500
    assert (left[100:150] == 5).all()
    assert (left[30_500:] == 6).all()
    assert (right[30_000:31_000] == 7).all()
    assert not left[:100].any()
    assert not left[150:30_500].any()
    assert not right[:30_000].any()
    assert not right[31_000:].any()


def test_an_interrupted_agent_is_hushed_and_the_caller_stays(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoWriter(path) as writer:
        writer.agent(0, level(7, 60_000))
        writer.caller(0, level(5, 60_000))
        writer.hush_agent(10_000)
    left, right = sides(path)
    assert (left == 5).all()
    assert (right[:10_000] == 7).all()
    assert not right[10_000:].any()


def test_sound_from_before_the_start_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    with StereoWriter(path) as writer:
        writer.caller(-10, np.arange(20, dtype="<i2").tobytes())
    assert sides(path)[0].tolist() == list(range(10, 20))


def test_a_recording_of_nothing_is_a_wav(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    StereoWriter(path).close()
    assert len(sides(path)[0]) == 0


def test_closed_twice_and_written_after(tmp_path: Path) -> None:
    writer = StereoWriter(tmp_path / "call.wav")
    writer.close()
    writer.close()
    writer.caller(0, level(1, 10))


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="cannot write"):
        StereoWriter(tmp_path / "no" / "call.wav")
    with pytest.raises(AudioFileError, match="cannot write"):
        StereoWriter(tmp_path)


@pytest.mark.parametrize("path", ["/dev/full"])
def test_a_full_disk_is_one_message(path: str) -> None:
    if not os.path.exists(path):
        return
    with pytest.raises(AudioFileError, match="cannot write /dev/full"):
        StereoWriter(path)


def test_the_file_plays_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    program = (
        "import os, sys\n"
        "from runner.media.wav import StereoWriter\n"
        "w = StereoWriter(sys.argv[1])\n"
        "for n in range(100): w.caller(n * 480, b'\\x05\\x00' * 480)\n"
        f"os.kill(os.getpid(), {int(signal.SIGTERM)})\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    left, _ = sides(path)
    assert len(left) >= 24_000
    assert (left == 5).all()
