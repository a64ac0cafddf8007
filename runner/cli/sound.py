"""What a run hears and plays with: devices when there are some, else a virtual speaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runner.audio.formats import AudioFormat
from runner.cli.screens import Screen
from runner.cli.talk import BY_LINES, Talk
from runner.errors import DeviceError
from runner.media.tape import TapeRecorder
from runner.media.virtual import VirtualSpeaker
from runner.session import RealtimeSession
from runner.tasks import Supervisor, in_thread
from runner.testing.caller import RATE, Ear
from runner.transports.base import AudioSink
from runner.voice import LocalVoice

if TYPE_CHECKING:
    from runner.media.echo import EchoCanceller
    from runner.media.microphone import Microphone
    from runner.media.reference import Reference
    from runner.media.speaker import Speaker

Warn = Callable[[str], None]


class Headset:
    """The microphone and the speaker that a person talks by. Without ``canceller`` and without
    ``headphones`` it is half duplex."""

    def __init__(
        self,
        speaker: Speaker,
        reference: Reference,
        canceller: EchoCanceller | None,
        microphone: str | int | None,
        headphones: bool,
        warn: Warn,
    ) -> None:
        self._speaker = speaker
        self._reference = reference
        self._canceller = canceller
        self._device = microphone
        self._headphones = headphones
        self._warn = warn
        self._microphone: Microphone | None = None

    async def talk(
        self,
        session: RealtimeSession,
        ear: Ear,
        fmt: AudioFormat,
        tape: TapeRecorder | None,
        screen: Screen,
        lines: AsyncIterator[str],
    ) -> None:
        """The microphone is the caller until the call ends. ``lines`` stand for keys on a screen
        that has none."""
        from runner.media.devices import Microphone

        def failed(error: DeviceError) -> None:
            self._warn(f"{error.message}; the call goes on without it")

        half = self._canceller is None and not self._headphones
        talk = Talk(
            session, ear, fmt, self._speaker, tape,
            half_duplex=half, played=self._reference.loudness,
        )  # fmt: skip
        tasks = Supervisor(lambda name, error: self._warn(f"{name}: {error}"))
        keys = screen.attend(talk.panel)
        asked = False

        def hear(pcm: bytes) -> None:
            nonlocal asked
            talk.hear(pcm)
            if talk.panel.push_to_talk and not keys and not asked:
                asked = True
                self._warn(BY_LINES)
                tasks.spawn(talk.follow(lines), "standard input")

        microphone = self._microphone = Microphone(
            hear,
            RATE,
            device=self._device,
            clean=None if self._canceller is None else self._canceller.clean,
            on_failure=failed,
            on_moved=moved("microphone", self._warn),
            on_back=back("microphone", self._warn),
        )
        try:
            await ear.over.wait()
        finally:
            microphone.close()
            talk.close()
            await tasks.close()

    @property
    def slips(self) -> Mapping[str, int]:
        """What went wrong between us and the devices, by name; what did not is left out."""
        microphone = self._microphone
        found = {
            "underruns": self._speaker.underruns,
            "overruns": microphone.overruns if microphone else 0,
            "dropped_ms": microphone.dropped_ms if microphone else 0,
        }
        return {name: count for name, count in found.items() if count}


class Sound:
    """One call's speaker, tape and, when it talks by microphone, its headset."""

    def __init__(self, sink: AudioSink, tape: TapeRecorder | None, headset: Headset | None) -> None:
        self.sink = sink
        self.tape = tape
        self.headset = headset
        self._voice: LocalVoice | None = None

    def local_voice(self) -> Callable[[str], AsyncIterator[bytes]]:
        """A caller's voice for ``--say``: the engine's own, at another pitch."""
        self._voice = self._voice or LocalVoice()
        return self._voice.say

    @property
    def slips(self) -> Mapping[str, int]:
        return {} if self.headset is None else self.headset.slips

    def close(self) -> None:
        self.sink.close()
        if self.tape is not None:
            self.tape.close()
        if self._voice is not None:
            self._voice.close()


async def open_sound(
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
    and say in one line why not when it has none. AudioFileError when ``out`` cannot be made,
    DeviceError for a device that is named and is not there."""
    loop = asyncio.get_running_loop()
    tape: TapeRecorder | None = None
    if out is not None:
        tape = TapeRecorder(
            out, clock=loop.time, fmt=fmt, on_failure=lambda error: warn(error.message)
        )
    if microphone:
        from runner.media.devices import Speaker
        from runner.media.portaudio import Kind, available, device_name
        from runner.media.reference import Reference

        chosen: dict[Kind, str | None] = {"input": input_device, "output": output_device}
        for kind, name in chosen.items():
            if name is not None:
                device_name(kind, name)
        unnamed = [kind for kind, name in chosen.items() if name is None]
        why = available(*unnamed) if unnamed else None
        if why is None:
            canceller = None
            reference = Reference()
            if not headphones:
                canceller = await _canceller(reference, warn)
            speaker = Speaker(
                fmt,
                device=output_device,
                recorder=tape,
                reference=reference,
                on_failure=lambda error: warn(f"{error.message}; the call goes on without it"),
                on_moved=moved("speaker", warn),
                on_back=back("speaker", warn),
            )
            headset = Headset(speaker, reference, canceller, input_device, headphones, warn)
            return Sound(speaker, tape, headset)
        warn(f"{why}; until then, type your turns")
    return Sound(VirtualSpeaker(fmt, tape), tape, None)


async def _canceller(reference: Reference, warn: Warn) -> EchoCanceller | None:
    from runner.media.echo import EchoCanceller

    try:
        return await in_thread(EchoCanceller, reference)
    except DeviceError as error:
        warn(
            f"half duplex: the microphone is closed while the agent speaks, for {error.message} "
            f"({error.hint}); with headphones on, --headphones keeps it open"
        )
        return None


def moved(what: str, warn: Warn) -> Callable[[str, str], None]:
    """Tells that another device took the place of one that is gone."""
    return lambda old, new: warn(f"the {what} {old} is gone; {new} takes its place")


def back(what: str, warn: Warn) -> Callable[[str], None]:
    """Tells that a device is there again."""
    return lambda name: warn(f"the {what} {name} is there again and in use")
