"""PortAudio through sounddevice: is it there, which device is meant, open it quietly.

Measured on ALSA over PulseAudio: 48 kHz works where 24 kHz records silence, and one duplex stream
stalls where two streams run. So each direction has its own stream, at 48 kHz.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

from runner.errors import DeviceError

RATE = 48_000
#: Frames a callback: 20 ms, the frame of everything else in the house.
BLOCK = RATE // 50
#: Without a callback for so long (seconds) a device counts as gone.
SILENT_FOR = 2.5
#: So long after it was opened a device may take to begin: Bluetooth wakes up slowly.
FIRST_SOUND = 6.0

Kind = Literal["input", "output"]
#: How much sound the device keeps: as little as it can, or seconds.
Latency = float | Literal["low"]
_NAMES: dict[Kind, str] = {"input": "microphone", "output": "speaker"}


def available(*kinds: Kind) -> str | None:
    """None when the default microphone and speaker (or just ``kinds``) can be used, else one
    line that says why not and what to do."""
    try:
        sounddevice = _library()
        for kind in kinds or ("input", "output"):
            _channels(sounddevice, kind, _index(sounddevice, kind, None))
    except DeviceError as error:
        return f"{error.message}: {error.hint}" if error.hint else error.message
    return None


def device_name(kind: Kind, device: str | int | None = None) -> str:
    """The name of the device that ``device`` (part of a name, a number, or None for the system's
    default) means. DeviceError when it is none, or cannot be used."""
    sounddevice = _library()
    index = _index(sounddevice, kind, device)
    return str(sounddevice.query_devices(index)["name"])


def listed(kind: Kind) -> list[tuple[int, str, bool]]:
    """``(number, name, is it the system's choice)`` of every device of this kind. DeviceError
    without PortAudio."""
    sounddevice = _library()
    with _quiet():
        found = sounddevice.query_devices()
        try:
            default = int(sounddevice.query_devices(None, kind)["index"])
        except (sounddevice.PortAudioError, ValueError):
            default = -1
    return [
        (int(d["index"]), str(d["name"]), int(d["index"]) == default)
        for d in found
        if d[f"max_{kind}_channels"] > 0
    ]


#: ``(buffer, frames, seconds, slipped)``, see Stream.
Callback = Callable[[Any, int, float, bool], None]

#: PortAudio's thread calls into a stream until it is closed: none may be freed before.
_open: set[Stream] = set()


class Stream:
    """One direction of one device at 48 kHz, 16 bits, started. ``channels`` is 1 when the device
    can do that. The callback runs in PortAudio's thread: ``callback(buffer, frames, seconds,
    slipped)``, ``seconds`` until the block sounds (output) or since it sounded (input);
    ``slipped``: sound was missing or lost before this block, because we came too late."""

    def __init__(
        self,
        kind: Kind,
        device: str | int | None,
        callback: Callback,
        ended: Callable[[], None],
        latency: Latency = "low",
    ) -> None:
        sounddevice = _library()
        index = _index(sounddevice, kind, device)
        self.name = str(sounddevice.query_devices(index)["name"])
        self.channels = _channels(sounddevice, kind, index)
        self._callback = callback
        self._closing = False
        self._ended = ended
        self._latency = 0.0
        make = sounddevice.RawInputStream if kind == "input" else sounddevice.RawOutputStream
        with _quiet():
            try:
                self._stream = make(
                    samplerate=RATE,
                    blocksize=BLOCK,
                    device=index,
                    channels=self.channels,
                    dtype="int16",
                    latency=latency,
                    callback=self._input if kind == "input" else self._output,
                    finished_callback=self._finished,
                )
                try:
                    self._stream.start()
                except sounddevice.PortAudioError:
                    self._stream.close(ignore_errors=True)
                    raise
            except (sounddevice.PortAudioError, ValueError) as error:
                raise _refused(kind, self.name, error) from None
        _open.add(self)
        self._latency = float(self._stream.latency)

    def _input(self, buffer: Any, frames: int, time: Any, status: Any) -> None:
        since = self._sane(time.currentTime - time.inputBufferAdcTime)
        self._callback(buffer, frames, since, status.input_overflow)

    def _output(self, buffer: Any, frames: int, time: Any, status: Any) -> None:
        until = self._sane(time.outputBufferDacTime - time.currentTime)
        self._callback(buffer, frames, until, status.output_underflow)

    def _sane(self, latency: float) -> float:
        # Some drivers give no times, some give nonsense; the stream's own figure is the fallback.
        # A little below zero is sense: we were called late for a block.
        return latency if -0.5 < latency < 2.0 and latency else self._latency

    def _finished(self) -> None:
        if not self._closing:
            self._ended()

    def close(self, *, dead: bool = False) -> None:
        """Stop at once. A ``dead`` device may never answer, so nobody waits for that one."""
        if self._closing:
            return
        self._closing = True
        closer = threading.Thread(target=self._close, name="close device", daemon=True)
        closer.start()
        if not dead:
            closer.join(1.0)

    def _close(self) -> None:
        try:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
        except Exception:
            return  # the device is gone, and so is whatever could be done about it
        _open.discard(self)


#: Held while devices are looked for: the list may only be read anew while no stream is open.
_looking = threading.Lock()


def another(
    kind: Kind,
    lost: Collection[str],
    callback: Callback,
    ended: Callable[[], None],
    latency: Latency,
    meant: str,
) -> Stream | None:
    """A stream on the device ``meant``, on the system's choice, or on the next that opens, but for
    those named in ``lost``; None when there is none. Takes its time: for a thread of its own."""
    with _looking:
        try:
            if not _open:
                # What was plugged in, or became the system's choice, since the list was read.
                sounddevice = _library()
                with _quiet():
                    sounddevice._terminate()
                    sounddevice._initialize()
            found = sorted(listed(kind), key=lambda device: (device[1] != meant, not device[2]))
        except DeviceError:
            return None
        for index, name, _ in found:
            if name in lost:
                continue
            try:
                return Stream(kind, index, callback, ended, latency)
            except DeviceError:
                continue
    return None


_NAMES_NOW = """
import json, sys, sounddevice
print(json.dumps([d["name"] for d in sounddevice.query_devices() if d[sys.argv[1]] > 0]))
"""


def present(kind: Kind) -> frozenset[str]:
    """The names of the devices there are now. Another process looks: the list in this one is as
    old as its oldest stream. Takes its time, as ``another`` does."""
    command = [sys.executable, "-c", _NAMES_NOW, f"max_{kind}_channels"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=True
        )
        return frozenset(map(str, json.loads(done.stdout)))
    except (OSError, subprocess.SubprocessError, ValueError):
        return frozenset()


def _library() -> Any:
    """The sounddevice module. It raises OSError without the PortAudio library, which its wheels
    carry for Windows and macOS but not for Linux."""
    try:
        import sounddevice
    except OSError:
        raise DeviceError(
            "PortAudio is not installed", "apt-get install libportaudio2 (or your system's package)"
        ) from None
    except ImportError:
        raise DeviceError("sounddevice is not installed", "pip install sounddevice") from None
    _hush()
    return sounddevice


#: In the place of ALSA's own, which writes onto the screen; (file, line, function, error, ...).
_unsaid = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)(
    lambda file, line, function, error: None
)


@cache
def _hush() -> None:
    """ALSA tells of an underrun on standard error, from its own thread and in mid-call; what there
    is to say of it is in the flags of the callback. Linux alone has it."""
    try:
        ctypes.CDLL("libasound.so.2").snd_lib_error_set_handler(_unsaid)
    except (OSError, AttributeError):
        return


def _index(sounddevice: Any, kind: Kind, device: str | int | None) -> int:
    what = _NAMES[kind]
    if isinstance(device, str) and device.strip().isdigit():
        device = int(device)
    if device is None:
        try:
            return int(sounddevice.query_devices(None, kind)["index"])
        except (sounddevice.PortAudioError, ValueError):
            raise DeviceError(f"no {what} on this machine", "connect one") from None
    names = [
        f"{d['index']} {d['name']}"
        for d in sounddevice.query_devices()
        if d[f"max_{kind}_channels"] > 0
    ]
    hint = f"the choice is: {'; '.join(names)}" if names else f"there is no {what} at all"
    try:
        found = sounddevice.query_devices(device, kind)
    except (sounddevice.PortAudioError, ValueError) as error:
        several = "multiple" in str(error).lower()
        message = f"{device!r} fits several devices" if several else f"no {what} {device!r}"
        raise DeviceError(message, hint) from None
    if found[f"max_{kind}_channels"] < 1:
        raise DeviceError(f"{found['name']} is no {what}", hint)
    return int(found["index"])


def _channels(sounddevice: Any, kind: Kind, index: int) -> int:
    """1, or 2 for a device that will not do with one channel. Asking opens the device."""
    name = str(sounddevice.query_devices(index)["name"])
    check = getattr(sounddevice, f"check_{kind}_settings")
    refusal: Exception | None = None
    for channels in (1, 2):
        with _quiet():
            try:
                check(device=index, channels=channels, dtype="int16", samplerate=RATE)
                return channels
            except (sounddevice.PortAudioError, ValueError) as error:
                refusal = refusal or error
    assert refusal is not None
    raise _refused(kind, name, refusal)


def _refused(kind: Kind, name: str, error: Exception) -> DeviceError:
    # "Error opening RawInputStream: Device unavailable [PaErrorCode -9985]": the middle says it.
    words = str(error).split(" [PaErrorCode", 1)[0].rpartition(": ")[2].strip() or "refused"
    return DeviceError(
        f"the {_NAMES[kind]} {name} cannot be used at 48 kHz ({words})",
        f"is it in use? Choose another with --{kind}",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the C libraries from writing onto the screen: ALSA and PortAudio print every attempt
    of theirs, and the exception says the same."""
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
