"""Speech for tests: a caller's voice that is not ours (flite), and ears for what was recorded."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np

from runner.media.resample import resample
from runner.media.wav import read_wav

RATE = 24_000


def flite(text: str, voice: str = "slt") -> bytes:
    """``text`` spoken by flite (a Debian package), PCM16 at 24 kHz."""
    out = subprocess.run(
        ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"],
        capture_output=True,
        check=True,
    ).stdout
    # flite cannot seek in a pipe, so its header gives no length: the samples follow byte 44.
    rate = int.from_bytes(out[24:28], "little")
    return resample(out[44:], rate, RATE)


def silence(seconds: float) -> bytes:
    return bytes(2 * int(RATE * seconds))


def write_wav(path: Path, pcm: bytes, rate: int = RATE, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path


def sides(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Caller and agent of a recording, as int16 samples at 24 kHz."""
    with wave.open(str(path), "rb") as file:
        assert file.getnchannels() == 2
        assert file.getframerate() == RATE
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


def voiced_ms(samples: np.ndarray, threshold: int = 200) -> tuple[float, float]:
    """First and last millisecond that is louder than ``threshold``; (0, 0) in silence."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > threshold)
    if not len(loud):
        return 0.0, 0.0
    return loud[0] * 1000 / RATE, loud[-1] * 1000 / RATE


__all__ = ["RATE", "flite", "read_wav", "sides", "silence", "voiced_ms", "write_wav"]
