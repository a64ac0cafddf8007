"""What a line does to a voice before it arrives: noise, and the band of a telephone."""

from __future__ import annotations

import zlib

import numpy as np

from runner.audio.g711 import ulaw_decode, ulaw_encode
from runner.media.resample import resample

RATE = 24_000
#: What a telephone carries, in Hz (ITU-T G.712).
LOW, HIGH = 300.0, 3400.0
_FULL = 32767.0


def through(pcm: bytes, *, noise: float | None = None, telephone: bool = False) -> bytes:
    """``pcm`` (PCM16 at 24 kHz) as it arrives. ``noise``: dB from the voice down to pink noise,
    the same noise for the same voice, so that a test is the same each time."""
    if noise is not None:
        pcm = _noisy(pcm, noise)
    return _narrow(pcm) if telephone else pcm


def tail(pcm: bytes) -> float:
    """Seconds of silence at the end of a voice (PCM16 at 24 kHz)."""
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.int32))
    loud = np.flatnonzero(samples > max(200, int(samples.max(initial=0)) // 50))
    return (len(samples) - 1 - int(loud[-1])) / RATE if len(loud) else 0.0


def _noisy(pcm: bytes, decibels: float) -> bytes:
    voice = np.frombuffer(pcm, "<i2").astype(np.float64)
    loud = voice[np.abs(voice) > 200]  # pauses do not make a voice softer
    if not len(loud):
        return pcm
    generator = np.random.default_rng(zlib.crc32(pcm))
    spectrum = np.fft.rfft(generator.standard_normal(len(voice)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, len(voice))
    power = float(np.mean(loud**2))
    noise *= np.sqrt(power / 10 ** (decibels / 10) / max(float(np.mean(noise**2)), 1e-12))
    return _pcm16(voice + noise)


def _narrow(pcm: bytes) -> bytes:
    """300 to 3400 Hz, through G.711 mu-law and back."""
    samples = np.frombuffer(resample(pcm, RATE, 8000), "<i2").astype(np.float64)
    if not len(samples):
        return pcm
    spectrum = np.fft.rfft(samples)
    pitch = np.fft.rfftfreq(len(samples), 1 / 8000)
    spectrum[(pitch < LOW) | (pitch > HIGH)] = 0.0
    line = ulaw_decode(ulaw_encode(_pcm16(np.fft.irfft(spectrum, len(samples)))))
    return resample(line, 8000, RATE)


def _pcm16(samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> bytes:
    return np.clip(np.rint(samples), -_FULL - 1, _FULL).astype("<i2").tobytes()
