"""A PortAudio made of software, for a process that finds this folder on its path: a laptop whose
speaker stands beside its microphone.

Both run on one clock, so the echo's way has one length however busy the machine is: what a real
card does, and what a chain of sound servers on a busy machine does not. What is played goes
through the room (support.room) into the microphone, with whoever speaks on top. The folder of
the variable SOFTCARD is how a test sees and moves it:

    room.json       {"gain_db": echo against what is played, "drift_ppm": how much faster the
                    microphone's clock runs, "devices": how many of each kind there are}
    say.wav         is said into the microphone, and removed when the last of it is heard
    played          all that was played, PCM16 mono at 48 kHz
    unplugged       the number of a device that no longer works
"""

from __future__ import annotations

import json
import os
import threading
import time as clock
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from support.room import RATE, Room
from support.speech import read_wav

BLOCK = RATE // 50
#: Each device keeps the sound for 60 ms.
AHEAD_BLOCKS = 3
#: Later than this (seconds) the card has stood still, and says that it slipped. A real one does so
#: sooner; here it would be the busy machine that is tested.
SLIP_SECONDS = 0.3
_HERE = Path(os.environ["SOFTCARD"])
_GIVEN = json.loads((_HERE / "room.json").read_text())
_COUNT = int(_GIVEN.get("devices", 1))


class PortAudioError(Exception):
    pass


class _Card(threading.Thread):
    """The clock, and the sound between the devices."""

    def __init__(self) -> None:
        super().__init__(name="sound card", daemon=True)
        self.lock = threading.Lock()
        self.streams: dict[str, _Stream] = {}
        self._room = Room(float(_GIVEN["gain_db"]))
        #: Echo that is on its way into the microphone.
        self._coming = np.zeros(2 * AHEAD_BLOCKS * BLOCK, np.int32)
        self._read = 0.0
        #: The microphone is so much (seconds) behind the speaker's clock by now.
        self._behind = 0.0
        self._said: np.ndarray | None = None
        self._tape = (_HERE / "played").open("ab", buffering=0)
        #: Set by a test that has the card in its own process.
        self.over = False

    def run(self) -> None:
        due = clock.monotonic()
        while not self.over:
            late = clock.monotonic() - due
            slipped = late > SLIP_SECONDS
            if slipped:  # the device ran dry: what comes sounds so much later
                due += late
            played = self._output(due, slipped)
            echo = self._room.carry(played[: BLOCK // 2]), self._room.carry(played[BLOCK // 2 :])
            self._coming = np.concatenate((self._coming, *echo))
            self._tape.write(played.tobytes())
            self._input(due, slipped)
            due += BLOCK / RATE
            clock.sleep(max(0.0, due - clock.monotonic()))
        self._tape.close()

    def _stream(self, kind: str) -> _Stream | None:
        with self.lock:
            stream = self.streams.get(kind)
        return stream if stream is not None and stream.index not in unplugged() else None

    def _output(self, due: float, slipped: bool) -> np.ndarray:
        stream = self._stream("output")
        buffer = bytearray(2 * BLOCK)
        if stream is not None:
            sounds = due + AHEAD_BLOCKS * BLOCK / RATE
            flags = SimpleNamespace(output_underflow=slipped)
            now = clock.monotonic()
            stream.callback(
                memoryview(buffer), BLOCK,
                SimpleNamespace(currentTime=now, outputBufferDacTime=sounds), flags,
            )  # fmt: skip
        return np.frombuffer(bytes(buffer), "<i2")

    def _input(self, due: float, slipped: bool) -> None:
        # A clock that runs faster takes fewer samples of the room for as many of its own.
        taken = BLOCK * (1 - float(_GIVEN.get("drift_ppm", 0)) / 1e6)
        places = self._read + np.arange(BLOCK) * taken / BLOCK
        heard = np.interp(places, np.arange(len(self._coming)), self._coming)
        gone = int(self._read + taken)
        self._read += taken - gone
        self._coming = self._coming[gone:]
        self._behind += (BLOCK - taken) / RATE
        heard += self._speech()
        stream = self._stream("input")
        if stream is not None:
            captured = due - AHEAD_BLOCKS * BLOCK / RATE - self._behind
            block = np.clip(np.rint(heard), -32768, 32767).astype("<i2").tobytes()
            flags = SimpleNamespace(input_overflow=slipped)
            now = clock.monotonic()
            stream.callback(
                block, BLOCK, SimpleNamespace(currentTime=now, inputBufferAdcTime=captured), flags
            )

    def _speech(self) -> np.ndarray:
        file = _HERE / "say.wav"
        if self._said is None and file.exists():
            self._said = np.frombuffer(read_wav(file, RATE).pcm16, "<i2")
        if self._said is None:
            return np.zeros(BLOCK)
        block, self._said = self._said[:BLOCK], self._said[BLOCK:]
        if not len(self._said):
            self._said = None
            file.unlink()
        return np.pad(block, (0, BLOCK - len(block))).astype(float)


_card = _Card()


class _Stream:
    kind = ""

    def __init__(self, *, device: int, callback: Any, **ignored: Any) -> None:
        if device in unplugged():
            raise PortAudioError("Error opening a stream: Device unavailable [PaErrorCode -9985]")
        self.index = device
        self.callback = callback
        self.latency = AHEAD_BLOCKS * BLOCK / RATE

    def start(self) -> None:
        with _card.lock:
            _card.streams[self.kind] = self
            if not _card.is_alive():
                _card.start()

    def abort(self, ignore_errors: bool = True) -> None:
        with _card.lock:
            if _card.streams.get(self.kind) is self:
                del _card.streams[self.kind]

    def close(self, ignore_errors: bool = True) -> None:
        self.abort()


class RawInputStream(_Stream):
    kind = "input"


class RawOutputStream(_Stream):
    kind = "output"


def unplugged() -> set[int]:
    try:
        return {int(number) for number in (_HERE / "unplugged").read_text().split()}
    except FileNotFoundError:
        return set()


def _read() -> list[dict[str, Any]]:
    """Speakers have even numbers, microphones odd ones."""
    absent = unplugged()
    return [
        {
            "index": number,
            "name": f"{'microphone' if number % 2 else 'speaker'} {number // 2}",
            "max_input_channels": number % 2,
            "max_output_channels": 1 - number % 2,
        }
        for number in range(2 * _COUNT)
        if number not in absent
    ]


_devices = _read()


def query_devices(device: Any = None, kind: str | None = None) -> Any:
    if kind is None and device is None:
        return _devices
    fitting = [d for d in _devices if kind is None or d[f"max_{kind}_channels"]]
    if isinstance(device, int):
        fitting = [d for d in fitting if d["index"] == device]
    elif device is not None:
        fitting = [d for d in fitting if device in d["name"]]
    if not fitting or (device is not None and len(fitting) > 1):
        raise ValueError(f"No {kind} device matching {device!r}")
    return fitting[0]


def check_input_settings(*, device: int, **ignored: Any) -> None:
    if device in unplugged():
        raise PortAudioError("Error: Device unavailable [PaErrorCode -9985]")


check_output_settings = check_input_settings


def _terminate() -> None:
    """As PortAudio's: the list of devices is read when it begins, and only then."""
    assert not _card.streams, "a stream is open"


def _initialize() -> None:
    global _devices
    _devices = _read()
