"""The machine's microphone as the caller: what of it goes out, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import numpy as np

from runner.audio.formats import AudioFormat
from runner.cli.panel import Panel
from runner.errors import NotConnectedError
from runner.media.level import Needle, loudness
from runner.session import RealtimeSession
from runner.testing.caller import FRAME_MS, Ear, Tape, TurnDetection, encoder
from runner.transports.base import AudioSink

#: After the agent fell silent the room still rings for so long.
ECHO_TAIL_SECONDS = 0.25
#: In push to talk: what was said at the moment of the key is still on its way from the device.
LINGER_SECONDS = 0.2
#: A key pressed twice in less is a slip, and no turn.
SHORTEST_MS = 300

BY_LINES = "turn_detection is null: press Enter to speak, and Enter again when you are done"


class Talk:
    """``hear()`` takes the microphone's blocks: PCM16 at 24 kHz, 20 ms each. ``half_duplex``:
    nothing goes out while the agent sounds, for a laptop would hear itself and cut its own
    answer."""

    def __init__(
        self,
        session: RealtimeSession,
        ear: Ear,
        fmt: AudioFormat,
        sink: AudioSink,
        tape: Tape | None,
        *,
        half_duplex: bool,
        played: Callable[[], float],
    ) -> None:
        self.half_duplex = half_duplex
        self._session = session
        self._ear = ear
        self._sink = sink
        self._tape = tape
        self._encode = encoder(fmt)
        self._loop = asyncio.get_running_loop()
        self._detection = TurnDetection(session)
        self._closed_until = 0.0
        self._said_ms = 0
        self._ending: asyncio.TimerHandle | None = None
        self._loud = 0.0
        heard, agent = Needle(), Needle()
        self.panel = Panel(
            press=self.press,
            mute=self.mute,
            heard=lambda: heard.show(self._loud, self._loop.time()),
            played=lambda: agent.show(played(), self._loop.time()),
        )

    def hear(self, pcm: bytes) -> None:
        panel = self.panel
        panel.push_to_talk = not self._detection.on
        if panel.muted:
            pcm = bytes(len(pcm))
        if self._tape is not None:
            self._tape.caller(pcm)
        self._loud = loudness(np.frombuffer(pcm, "<i2"))
        if panel.push_to_talk:
            if not panel.talking and self._ending is None:
                return
            self._said_ms += FRAME_MS
        elif self.half_duplex:
            if not self._sink.idle:
                self._closed_until = self._loop.time() + ECHO_TAIL_SECONDS
            panel.closed = self._loop.time() < self._closed_until
            if panel.closed:
                pcm = bytes(len(pcm))
        with suppress(NotConnectedError):  # the call is being ended
            self._session.send_audio(self._encode(pcm))

    def mute(self) -> None:
        self.panel.muted = not self.panel.muted

    async def follow(self, lines: AsyncIterator[str]) -> None:
        """Each line begins or ends a turn, where there are no keys."""
        async for _ in lines:
            self.press()

    def press(self) -> None:
        """In push to talk: begin a turn, which cuts the agent off, or end it."""
        if not self.panel.push_to_talk:
            return
        with suppress(NotConnectedError):
            if self.panel.talking:
                self.panel.talking = False
                self._ending = self._loop.call_later(LINGER_SECONDS, self._ended)
            elif self._ending is None:
                if self._ear.busy:
                    self._session.interrupt()
                self._forget()
                self.panel.talking = True

    def _ended(self) -> None:
        self._ending = None
        with suppress(NotConnectedError):
            if self._said_ms - LINGER_SECONDS * 1000 < SHORTEST_MS:
                self._forget()
                return
            self._session.send_audio(b"", commit=True)
            self._session.respond()

    def close(self) -> None:
        """Nothing goes out any more."""
        if self._ending is not None:
            self._ending.cancel()

    def _forget(self) -> None:
        """What the server holds is no part of a turn: on a media line silence is sent always."""
        self._said_ms = 0
        self._session.transport.send_event({"type": "input_audio_buffer.clear"})
