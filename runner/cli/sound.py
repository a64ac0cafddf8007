"""What a run hears and plays with: devices when there are some, else a virtual speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from runner.audio.formats import AudioFormat
from runner.errors import DeviceError, NotConnectedError
from runner.media.tape import TapeRecorder
from runner.media.virtual import VirtualSpeaker
from runner.session import RealtimeSession
from runner.testing.caller import RATE, Ear, encoder
from runner.testing.voice import LocalVoice
from runner.transports.base import AudioSink

#: After the agent fell silent the room still rings for so long.
ECHO_TAIL_SECONDS = 0.25

Warn = Callable[[str], None]


class Sound:
    """One call's speaker, tape and, when it talks by microphone, its microphone."""

    def __init__(
        self,
        sink: AudioSink,
        tape: TapeRecorder | None,
        microphone: str | int | None,
        talks: bool,
        headphones: bool,
        warn: Warn,
    ) -> None:
        self.sink = sink
        self.tape = tape
        self.talks = talks
        self._microphone = microphone
        self._headphones = headphones
        self._warn = warn
        self._voice: LocalVoice | None = None

    async def talk(self, session: RealtimeSession, ear: Ear, fmt: AudioFormat) -> None:
        """The microphone is the caller until the call ends. Without headphones it is closed
        while the agent sounds: a laptop would hear itself and cut its own answer."""
        from runner.media.devices import Microphone

        loop = asyncio.get_running_loop()
        encode = encoder(fmt)
        closed_until = 0.0

        def hear(pcm: bytes) -> None:
            nonlocal closed_until
            if self.tape is not None:
                self.tape.caller(pcm)
            if not self._headphones:
                if not self.sink.idle:
                    closed_until = loop.time() + ECHO_TAIL_SECONDS
                if loop.time() < closed_until:
                    pcm = bytes(len(pcm))
            with suppress(NotConnectedError):  # the call is being ended
                session.send_audio(encode(pcm))

        def failed(error: DeviceError) -> None:
            self._warn(f"{error.message}; the call goes on without it")

        microphone = Microphone(hear, RATE, device=self._microphone, on_failure=failed)
        try:
            await ear.over.wait()
        finally:
            microphone.close()

    def local_voice(self) -> Callable[[str], AsyncIterator[bytes]]:
        """A caller's voice for ``--say``: the engine's own, at another pitch."""
        self._voice = self._voice or LocalVoice()
        return self._voice.say

    def close(self) -> None:
        self.sink.close()
        if self.tape is not None:
            self.tape.close()
        if self._voice is not None:
            self._voice.close()


def open_sound(
    fmt: AudioFormat,
    *,
    microphone: bool,
    input_device: str | None,
    output_device: str | None,
    headphones: bool,
    out: Path | None,
    warn: Warn,
) -> Sound:
    """Speaker and tape in ``fmt``. ``microphone``: talk by the machine's own when it has one,
    and say in one line why not when it has none. AudioFileError when ``out`` cannot be made."""
    loop = asyncio.get_running_loop()
    tape: TapeRecorder | None = None
    if out is not None:
        tape = TapeRecorder(
            out, clock=loop.time, fmt=fmt, on_failure=lambda error: warn(error.message)
        )
    if microphone:
        from runner.media.devices import Speaker
        from runner.media.portaudio import available

        why = available("input", "output")
        if why is None:
            speaker = Speaker(
                fmt,
                device=_device(output_device),
                recorder=tape,
                on_failure=lambda error: warn(f"{error.message}; the call goes on without it"),
            )
            if not headphones:
                warn("half duplex: the microphone is closed while the agent speaks; "
                     "with headphones on, --headphones keeps it open")  # fmt: skip
            return Sound(speaker, tape, _device(input_device), True, headphones, warn)
        warn(f"{why}; until then, type your turns")
    return Sound(VirtualSpeaker(fmt, tape), tape, None, False, headphones, warn)


def _device(name: str | None) -> str | int | None:
    return int(name) if name is not None and name.isdigit() else name
