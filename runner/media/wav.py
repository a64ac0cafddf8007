"""WAV files: read any common one as mono PCM16, and record both sides of a call into one.

Source of the layout: Microsoft's "Multiple Channel Audio Data and WAVE Files" (RIFF chunks,
WAVEFORMATEXTENSIBLE).
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from runner.errors import AudioFileError
from runner.media.resample import resample

StrPath = str | PathLike[str]
_Floats = np.ndarray[tuple[int, ...], np.dtype[np.floating[Any]]]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_OTHER_CODECS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 49: "GSM", 85: "MP3"}
_CONVERT = "Convert it first: sox IN.wav -b 16 -e signed OUT.wav"
# A program that writes into a pipe cannot go back to fill in the length and leaves the largest.
_LENGTH_UNKNOWN = 0x7FFF_F000
_LARGEST = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Wav:
    """Mono PCM16 at ``rate`` Hz; ``source_rate`` and ``source_channels`` are the file's own."""

    pcm16: bytes
    rate: int
    source_rate: int
    source_channels: int

    @property
    def seconds(self) -> float:
        return len(self.pcm16) / 2 / self.rate


def read_wav(path: StrPath, rate: int | None = None) -> Wav:
    """Read 8, 16, 24 or 32 bit PCM, or 32 or 64 bit float, of any rate and any channels (mixed
    to one), converted to ``rate`` when given. AudioFileError says what is wrong with the file."""
    name = fspath(path)
    data = _contents(name)
    if not data:
        raise AudioFileError(f"{name} is empty", "A WAV file with speech is needed.")
    if len(data) < 12 or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise AudioFileError(f"{name} is not a WAV file{_looks_like(data)}", _CONVERT)
    fmt, sound = _chunks(name, data)
    codec, channels, source_rate, bits = _format(name, fmt)
    frame = channels * bits // 8
    sound = sound[: len(sound) // frame * frame]
    if not sound:
        raise AudioFileError(f"{name} holds no sound", "Its header is there, the samples are not.")
    mono = _samples(sound, codec, bits).reshape(-1, channels).mean(axis=1)
    # A float file may hold NaN or values beyond full scale; neither may reach a model.
    mono = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    pcm16 = np.clip(np.rint(mono * 32768.0), -32768, 32767).astype("<i2").tobytes()
    wanted = rate or source_rate
    return Wav(resample(pcm16, source_rate, wanted), wanted, source_rate, channels)


def _contents(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise AudioFileError(f"{name}: no such file", "Check the path.") from None
    except IsADirectoryError:
        raise AudioFileError(f"{name} is a directory", "Name a WAV file.") from None
    except PermissionError:
        # Opening a directory fails like this on Windows.
        what = "is a directory" if Path(name).is_dir() else "may not be read"
        raise AudioFileError(f"{name} {what}", "Check its permissions.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise AudioFileError(f"{name} cannot be read: {error}") from None
    if len(data) > _LARGEST:
        raise AudioFileError(
            f"{name} is larger than {_LARGEST >> 20} MB", "Cut it, or make it mono at 16 kHz."
        )
    return data


def _looks_like(data: bytes) -> str:
    for magic, what in (
        (b"ID3", "MP3"), (b"\xff\xfb", "MP3"), (b"OggS", "Ogg"), (b"fLaC", "FLAC"),
        (b"RF64", "RF64 (a WAV beyond 4 GB)"), (b"RIFX", "a big-endian WAV"), (b"FORM", "AIFF"),
    ):  # fmt: skip
        if data.startswith(magic):
            return f" but {what}"
    return " but M4A" if data[4:8] == b"ftyp" else ""


def _chunks(name: str, data: bytes) -> tuple[bytes, bytes]:
    """The contents of ``fmt `` and ``data``; every other chunk is passed over."""
    at, fmt = 12, b""
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == b"fmt ":
            fmt = body
        elif kind == b"data":
            if not fmt:
                raise AudioFileError(f"{name} does not say its format before its sound", _CONVERT)
            if size >= _LENGTH_UNKNOWN or (size == 0 and len(data) > at + 8):
                return fmt, data[at + 8 :]
            if len(body) < size:
                raise AudioFileError(
                    f"{name} is cut short: {size} bytes of sound announced, {len(body)} there",
                    "Copy or record it again.",
                )
            return fmt, body
        at += 8 + size + (size & 1)  # chunks begin at even places
    raise AudioFileError(f"{name} is cut short: no sound after its header", "Record it again.")


def _format(name: str, fmt: bytes) -> tuple[int, int, int, int]:
    """codec (PCM or float), channels, rate, bits a sample."""
    if len(fmt) < 16:
        raise AudioFileError(f"{name} is cut short: its header is not whole", "Record it again.")
    codec, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fmt)
    if codec == _EXTENSIBLE and len(fmt) >= 26:
        codec = struct.unpack_from("<H", fmt, 24)[0]  # the first field of the sub-format's GUID
    if codec not in (_PCM, _FLOAT):
        what = _OTHER_CODECS.get(codec, f"format number {codec}")
        raise AudioFileError(f"{name} holds {what}, and only PCM and float are read", _CONVERT)
    if bits not in ((8, 16, 24, 32) if codec == _PCM else (32, 64)):
        raise AudioFileError(f"{name} has {bits} bits a sample, which is not read", _CONVERT)
    if not 1 <= channels <= 64 or not 1000 <= rate <= 768_000 or block != channels * bits // 8:
        raise AudioFileError(
            f"{name} has a damaged header: {channels} channels, {rate} Hz, {bits} bits", _CONVERT
        )
    return codec, channels, rate, bits


def _samples(sound: bytes, codec: int, bits: int) -> _Floats:
    """Samples between -1 and 1."""
    if codec == _FLOAT:
        return np.frombuffer(sound, f"<f{bits // 8}").astype(np.float64)
    if bits == 8:
        return (np.frombuffer(sound, np.uint8).astype(np.float32) - 128.0) / 128.0
    if bits == 24:
        # Three bytes into the upper part of four, so that the sign comes out right.
        wide = np.zeros((len(sound) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(sound, np.uint8).reshape(-1, 3)
        return wide.view("<i4").ravel().astype(np.float64) / 2.0**31
    return np.frombuffer(sound, f"<i{bits // 8}").astype(np.float64) / 2.0 ** (bits - 1)


class StereoWriter:
    """Records a call: the caller left, the agent right, each on its own timeline.

    Positions are samples at ``rate`` since the start of the recording and may come in any order;
    what nobody wrote is silence, what is written twice is the later one. The file is the memory.
    Its header is brought up to date every second of sound, so the file plays even when the
    process dies. AudioFileError when the file cannot be written.
    """

    def __init__(self, path: StrPath, rate: int = 24000) -> None:
        self.rate = rate
        self.samples = 0
        """Length so far, of the longer side."""
        self._name = fspath(path)
        self._announced = 0
        try:
            # Held open for the length of a call; close() ends it. Unbuffered, so that a crash
            # loses nothing and a full disk is noticed where it happens.
            self._file = open(self._name, "w+b", buffering=0)  # noqa: SIM115
        except (OSError, ValueError) as error:
            raise self._failure(error) from None
        try:
            self._announce()
        except OSError as error:
            self._file.close()
            raise self._failure(error) from None

    def caller(self, position: int, pcm16: bytes) -> None:
        """PCM16 of the caller, the first sample of it at ``position``."""
        self._write(0, position, pcm16)

    def agent(self, position: int, pcm16: bytes) -> None:
        """PCM16 of the agent."""
        self._write(1, position, pcm16)

    def hush_agent(self, position: int) -> None:
        """Silence the agent from ``position`` on: it was interrupted before that was heard."""
        for at in range(position, self.samples, self.rate):
            self.agent(at, bytes(2 * min(self.rate, self.samples - at)))

    def _write(self, side: int, position: int, pcm16: bytes) -> None:
        if position < 0:  # began before the recording
            pcm16, position = pcm16[-2 * position :], 0
        new = np.frombuffer(pcm16, "<i2", count=len(pcm16) // 2)
        if self._file.closed or not len(new):
            return
        try:
            self._file.seek(44 + 4 * position)
            there = np.frombuffer(self._file.read(4 * len(new)), "<i2")
            both = np.zeros((len(new), 2), "<i2")
            both.reshape(-1)[: len(there)] = there
            both[:, side] = new
            # Past the end the file system fills the gap with zeros, which are silence.
            self._file.seek(44 + 4 * position)
            self._put(both.tobytes())
            self.samples = max(self.samples, position + len(new))
            if self.samples - self._announced >= self.rate:
                self._announce()
        except OSError as error:
            raise self._failure(error) from None

    def _announce(self) -> None:
        """Write the header for what is there now."""
        size = min(4 * self.samples, 0xFFFF_FFFF - 36)
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 2, self.rate, self.rate * 4, 4, 16,
            b"data", size,
        )  # fmt: skip
        self._file.seek(0)
        self._put(header)
        self._announced = self.samples

    def _put(self, data: bytes) -> None:
        written = self._file.write(data)
        if written < len(data):  # the disk filled up on the way
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _failure(self, error: Exception) -> AudioFileError:
        reason = getattr(error, "strerror", None) or str(error)
        return AudioFileError(
            f"cannot write {self._name}: {reason}", "Choose another place for the recording."
        )

    def close(self) -> None:
        """Finish the file. Idempotent."""
        if self._file.closed:
            return
        try:
            self._announce()
        except OSError as error:
            raise self._failure(error) from None
        finally:
            self._file.close()

    def __enter__(self) -> StereoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


__all__ = ["StereoWriter", "Wav", "read_wav"]
