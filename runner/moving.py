"""A running call changes to another line because an edit asks for it: another model, another
transport, other audio formats, or another voice after one was heard.

The old line is given up when no turn runs, and the new one gets the history as after a loss. One
that cannot be had costs nothing but the moment: the call goes back to a line as it was before,
and the edit is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from runner.agent import ResolvedAgent
from runner.audio.formats import PCM16, AudioFormat
from runner.core.conversation import Conversation
from runner.core.effects import Effects
from runner.core.events import Reconnected, SessionEvent, SettingsPending, SettingsRefused
from runner.crew import Crew
from runner.errors import ConnectError, RtrunError, UserError
from runner.model.settings import SessionSettings
from runner.tasks import Supervisor
from runner.transports.base import RealtimeTransportLayer

#: The longest that an edit may leave a call without a line before the old one is asked for again.
MOVE_SECONDS = 8.0
#: How often a call whose line is being renewed is looked at.
LOOK_SECONDS = 0.05

Convert = Callable[[bytes], bytes]
Resolve = Callable[[], Awaitable[ResolvedAgent]]


@dataclass(frozen=True, slots=True)
class Way:
    """Where a call's next line goes. ``transport`` None: the one it has, opened anew.
    ``convert(from, to)`` makes what turns audio of one format into the other: who speaks and
    hears at our end keeps the formats that the call began with."""

    model: str
    transport: RealtimeTransportLayer | None = None
    convert: Callable[[AudioFormat, AudioFormat], Convert] | None = None


def audio_format(settings: SessionSettings, side: str) -> AudioFormat:
    """What ``input`` or ``output`` of a session carries. UserError."""
    wire = settings.get(f"audio.{side}.format")
    try:
        return PCM16 if wire is None else AudioFormat.from_wire(wire)
    except ValueError as error:
        raise UserError(f"audio.{side}.format: {error}") from None


class Formats:
    """The formats of the line, and those of whoever is at our end of it: the same, until an edit
    gives the line others."""

    def __init__(self, caller: AudioFormat, ear: AudioFormat) -> None:
        self.caller, self.ear = caller, ear
        self.input, self.output = caller, ear
        self._to_line: Convert | None = None
        self._to_ear: Convert | None = None

    def change(self, way: Way, caller: AudioFormat, ear: AudioFormat) -> None:
        """From now on the line carries ``caller`` and ``ear``."""
        if way.convert is None:
            return
        self.input, self.output = caller, ear
        self._to_line = way.convert(self.caller, caller) if caller != self.caller else None
        self._to_ear = way.convert(ear, self.ear) if ear != self.ear else None

    def to_line(self, data: bytes) -> bytes:
        """The caller's audio as the server wants it."""
        return data if self._to_line is None else self._to_line(data)

    def to_ear(self, data: bytes) -> bytes:
        """The agent's audio as the sink wants it."""
        return data if self._to_ear is None else self._to_ear(data)

    def heard(self, samples: int) -> int:
        """Samples that the sink played, in the server's count."""
        if self._to_ear is None:
            return samples
        return samples * self.output.rate // self.ear.rate


class Session(Protocol):
    model: str


class Owner(Protocol):
    """What moving needs of the line that it moves."""

    conversation: Conversation
    crew: Crew
    formats: Formats
    tasks: Supervisor
    now: Callable[[], float]
    closing: bool

    @property
    def session(self) -> Session: ...
    @property
    def open_for_audio(self) -> bool: ...
    @property
    def coming(self) -> ResolvedAgent: ...

    def run(self, effects: Effects) -> None: ...
    def notice(self, event: SessionEvent) -> None: ...
    async def quiet(self) -> None: ...
    async def leave(self, reason: str) -> None: ...
    def onto(self, way: Way) -> Way: ...
    async def enter(self) -> None: ...
    async def again(self, reason: str) -> None: ...


class Moving:
    """The edits of one call that want another line, one at a time, the newest wins."""

    def __init__(self, line: Owner) -> None:
        self._line = line
        self._lock = asyncio.Lock()
        self._newest = 0

    async def overtaken_by(self, revision: int) -> None:
        """A newer edit: it stands for one that still waits for its turn, and comes after one that
        is under way."""
        self._newest = max(self._newest, revision)
        async with self._lock:
            pass

    def needed(self, way: Way, settings: SessionSettings) -> bool:
        """Is the line that is open another one than ``way`` leads to, or one that cannot take
        ``settings``?"""
        line, formats = self._line, self._line.formats
        return (
            way.transport is not None
            or way.model != line.session.model
            or audio_format(settings, "input") != formats.input
            or audio_format(settings, "output") != formats.output
            or line.conversation.keeps_voice(settings)
        )

    def begin(self, revision: int, way: Way, resolve: Resolve, between_turns: bool) -> None:
        """Move when it is time; the line hears how that ended. ``resolve()`` gives the agent that
        has the line by then."""
        self._newest = max(self._newest, revision)
        work = self._begun(revision, way, resolve, between_turns)
        self._line.tasks.spawn(work, "another line for an edit")

    async def _begun(self, revision: int, way: Way, resolve: Resolve, between_turns: bool) -> None:
        try:
            await self._move(revision, way, resolve, between_turns)
        except Exception as error:  # nobody else would answer for the edit
            message = f"{type(error).__name__}: {error}"
            self._line.notice(SettingsRefused(revision, "internal", message))
            raise

    async def _move(self, revision: int, way: Way, resolve: Resolve, between_turns: bool) -> None:
        line, told = self._line, False
        async with self._lock:
            while True:
                waits = (between_turns and line.conversation.busy) or not line.open_for_audio
                if (waits or revision < self._newest) and not told:
                    told = True
                    line.notice(SettingsPending(revision))
                if revision < self._newest or line.closing:
                    return
                if waits:
                    await line.quiet()
                    if not line.open_for_audio:
                        await asyncio.sleep(LOOK_SECONDS)
                    continue
                coming = line.coming
                resolved = await resolve()
                if line.coming is coming and not (between_turns and line.conversation.busy):
                    break
            line.crew.expect(revision, resolved)
            await self._now(resolved, revision, way)

    async def _now(self, resolved: ResolvedAgent, revision: int, way: Way) -> None:
        line, began = self._line, self._line.now()
        await line.leave("an edit wants another line")
        apply = line.conversation.apply
        try:
            line.run(apply(resolved.view, revision, line.now(), between_turns=False))
            back = line.onto(way)
        except Exception:
            await line.again("an edit could not be applied")
            raise
        try:
            async with asyncio.timeout(MOVE_SECONDS):
                await line.enter()
        except Exception as error:  # a program's own, too, that gives the key
            message = _words(error)
            await line.leave(message)
            code = "connect_failed" if isinstance(error, ConnectError) else "move_failed"
            line.run(line.conversation.take_back(revision, code, message, line.now()))
            line.onto(back)
            await line.again(message)
            return
        line.notice(Reconnected((line.now() - began) * 1000))


def _words(error: Any) -> str:
    if isinstance(error, RtrunError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"no new line within {MOVE_SECONDS:.0f} s"
    return str(error) or type(error).__name__
