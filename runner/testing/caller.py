"""A caller on a live session: what it sends, and when it is its turn.

Audio goes in 20 ms frames at real time, with silence in between, as on a line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from runner.audio.formats import PCM16, AudioFormat
from runner.core.events import Connection, SessionEvent, SpeechStarted, Transcript, TurnEnd
from runner.errors import NotConnectedError
from runner.media.convert import converter
from runner.session import RealtimeSession

FRAME_MS = 20
RATE = 24_000
FRAME_BYTES = RATE * FRAME_MS // 1000 * 2
#: A turn that gets no answer at all is given up after so long, and the next one begins.
NO_ANSWER_SECONDS = 8.0
POLL_SECONDS = 0.02


class Tape(Protocol):
    """What records the caller's side of ``--out``."""

    def caller(self, pcm24k: bytes) -> None: ...


class Speaks(Protocol):
    """A caller's mouth: on a line of ours, or on a telephone."""

    def speak(self, pcm24k: bytes) -> None: ...

    async def finish(self) -> None: ...


class Ear:
    """Watches a session so that a caller knows when it is its turn, and when the call is over: a
    line that is being renewed ends nothing."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self.turns = 0
        self.heard_speech = False
        #: The call has ended.
        self.over = asyncio.Event()
        session.on("*", self._note)

    def _note(self, event: SessionEvent) -> None:
        if isinstance(event, TurnEnd):
            self.turns += 1
        elif isinstance(event, Connection):
            if event.status == "disconnected":
                self.over.set()
        elif isinstance(event, SpeechStarted) or (
            isinstance(event, Transcript) and event.role == "user" and event.text
        ):
            self.heard_speech = True

    @property
    def busy(self) -> bool:
        """A turn runs, or the line is not there: it is being renewed, or taken down."""
        return self._session.busy or not self._session.connected

    async def quiet(self, seconds: float) -> None:
        """Return when nobody has spoken, thought or played anything for ``seconds``."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not self.over.is_set():
            if self.busy:
                since = loop.time()
            elif loop.time() - since >= seconds:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def answered(self, turns_before: int) -> None:
        """Return when a turn after ``turns_before`` is over, or plainly none will come."""
        loop = asyncio.get_running_loop()
        idle_since = loop.time()
        while not self.over.is_set():
            if self.busy:
                idle_since = loop.time()
            elif self.turns > turns_before or loop.time() - idle_since > NO_ANSWER_SECONDS:
                return
            await asyncio.sleep(POLL_SECONDS)


class TurnDetection:
    """Whether the server hears by itself when the caller has finished."""

    def __init__(self, session: RealtimeSession) -> None:
        self._session = session
        self._on = True

    @property
    def on(self) -> bool:
        # A new line has not echoed anything yet: then it is as it was.
        if self._session.connected and (echoed := self._session.effective):
            audio = echoed.get("audio") or {}
            self._on = (audio.get("input") or {}).get("turn_detection") is not None
        return self._on


class Mouth:
    """Sends the caller's audio at real time, silence when there is nothing to say.

    Without turn detection nobody hears from silence that the caller has finished: then there is
    none, and the end of each utterance is told (push to talk).
    """

    def __init__(
        self, session: RealtimeSession, ear: Ear, fmt: AudioFormat, tape: Tape | None
    ) -> None:
        self._session = session
        self._ear = ear
        self._detection = TurnDetection(session)
        self._encode = encoder(fmt)
        self._tape = tape
        self._waiting = bytearray()
        self.spoken = asyncio.Event()
        self.spoken.set()

    @property
    def push_to_talk(self) -> bool:
        return not self._detection.on

    async def finish(self) -> None:
        """Return when what was given is spoken; in push to talk, ask for the answer."""
        await self.spoken.wait()
        if self.push_to_talk:
            with contextlib.suppress(NotConnectedError):  # the call is being ended
                self._session.send_audio(b"", commit=True)
                self._session.respond()

    def speak(self, pcm24k: bytes) -> None:
        """Queue speech; ``spoken`` is set when the last of it went out."""
        self._waiting += pcm24k
        self.spoken.clear()

    async def run(self) -> None:
        """Pace frames on the loop's clock until cancelled. A late frame is sent at once, so the
        stream keeps real time whatever the machine does; a call that ends lets nobody wait."""
        try:
            await self._pace()
        finally:
            self.spoken.set()

    async def _pace(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._ear.over.is_set():
            frame = bytes(self._waiting[:FRAME_BYTES])
            del self._waiting[:FRAME_BYTES]
            if frame or not self.push_to_talk:
                frame = frame.ljust(FRAME_BYTES, b"\0")
                if self._tape is not None:
                    self._tape.caller(frame)
                try:
                    self._session.send_audio(self._encode(frame))
                except NotConnectedError:
                    return
            if not self._waiting:
                self.spoken.set()
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))


def encoder(fmt: AudioFormat) -> Callable[[bytes], bytes]:
    """PCM16 at 24 kHz into the session's input format."""
    return converter(PCM16, fmt)
