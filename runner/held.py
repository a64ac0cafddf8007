"""The caller's audio that may not go out now: no line is there, or words sound that the caller
may not cut off. And the newest that did go out, to be sent again should the line break."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from runner.audio.formats import AudioFormat
from runner.core.conversation import Conversation
from runner.core.effects import Effects
from runner.moving import Formats
from runner.transports.base import RealtimeTransportLayer

#: What may wait; older audio is dropped, since late speech is noise.
HOLD_MS = 15_000.0
#: The most that is kept of what went out.
TURN_MS = 15_000.0
#: What is let go in one step, a step each 20 ms: eight times as fast as it was spoken. In one
#: piece it would overrun a transport that drops what a slow link cannot carry.
STEP_SECONDS = 0.02
STEP_MS = 160.0

#: Audio, and whether the caller's turn ends with it (push to talk).
Chunk = tuple[bytes, bool]


class Held:
    def __init__(self, audio: AudioFormat) -> None:
        self._format = audio
        self._waiting: deque[Chunk] = deque()
        self._waiting_ms = 0.0
        self._recent: deque[Chunk] = deque()
        self._recent_ms = 0.0
        self.holding = False
        #: Milliseconds of the caller's audio dropped since they waited too long.
        self.dropped_ms = 0.0

    def hold(self) -> None:
        """Keep what comes."""
        self.holding = True

    def lost(self, again_ms: float) -> None:
        """The line broke: keep what comes, and let the newest ``again_ms`` of what went out
        stand before it, for nobody has heard them."""
        self.holding = True
        self._trim(again_ms)
        recent, self._recent = self._recent, deque()
        over = self._format.nbytes(max(0.0, self._recent_ms - again_ms)) if recent else 0
        self._recent_ms = 0.0
        if over:
            data, commit = recent[0]
            recent[0] = data[over:], commit
        for data, commit in reversed(recent):
            self._waiting.appendleft((data, commit))
            self._waiting_ms += self._format.ms(len(data))
        self._bound()

    def keep(self, data: bytes, commit: bool) -> None:
        self._waiting.append((data, commit))
        self._waiting_ms += self._format.ms(len(data))
        self._bound()

    def _bound(self) -> None:
        while self._waiting_ms > HOLD_MS and len(self._waiting) > 1:
            old = self._format.ms(len(self._waiting.popleft()[0]))
            self._waiting_ms -= old
            self.dropped_ms += old

    def sent(self, data: bytes, commit: bool, again_ms: float) -> None:
        """This went out; the newest ``again_ms`` would have to be sent again."""
        self._recent.append((data, commit))
        self._recent_ms += self._format.ms(len(data))
        self._trim(again_ms)

    def _trim(self, again_ms: float) -> None:
        """As many whole chunks as it takes to have ``again_ms``."""
        limit = min(TURN_MS, again_ms)
        while self._recent:
            oldest = self._format.ms(len(self._recent[0][0]))
            if self._recent_ms - oldest < limit:
                return
            self._recent.popleft()
            self._recent_ms -= oldest

    def step(self) -> Iterator[Chunk]:
        """The oldest of what waited, taken out; with the last of it nothing is held any more."""
        taken = 0.0
        while self._waiting and taken < STEP_MS:
            data, commit = self._waiting.popleft()
            ms = self._format.ms(len(data))
            taken += ms
            self._waiting_ms -= ms
            yield data, commit
        if not self._waiting:
            self._waiting_ms = 0.0
            self.holding = False

    @property
    def turn_waits(self) -> bool:
        """A turn that the caller has ended (push to talk) is among what waits."""
        return any(commit for _, commit in self._waiting)


class Owner(Protocol):
    """What the caller's audio needs of its line."""

    conversation: Conversation
    now: Callable[[], float]
    formats: Formats

    @property
    def transport(self) -> RealtimeTransportLayer: ...

    @property
    def open_for_audio(self) -> bool: ...

    def run(self, effects: Effects) -> None: ...


class CallersAudio:
    """The way of the caller's audio to the server: at once, or when the line is there again."""

    def __init__(self, line: Owner) -> None:
        self._line = line
        self._format = line.formats.caller
        self._held = Held(self._format)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def holding(self) -> bool:
        return self._held.holding

    def send(self, data: bytes, commit: bool) -> None:
        line = self._line
        if line.transport.muted:
            data = b""  # also later, when it is not muted any more
        if not self._held.holding:
            self._pass_on(data, commit)
            return
        self._held.keep(data, commit)
        if commit and not line.open_for_audio:
            line.run(line.conversation.turn_held(line.now()))

    def hold(self) -> None:
        self._held.hold()

    def lost(self) -> None:
        """The line broke."""
        self._held.lost(self._line.conversation.unheard_ms)
        if self._held.turn_waits:
            self._line.run(self._line.conversation.turn_held(self._line.now()))

    def renewed(self) -> None:
        """The line is there again."""
        self.let_go()
        if self._timer is None:
            self._all_gone()

    def let_go(self) -> None:
        """As much of what is held as may go now; the rest follows by itself."""
        line = self._line
        if self._timer is not None or not line.open_for_audio or line.conversation.holding:
            return
        for data, commit in self._held.step():
            self._pass_on(data, commit)
        if self._held.holding:
            self._timer = asyncio.get_running_loop().call_later(STEP_SECONDS, self._go_on)
        else:
            self._all_gone()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _go_on(self) -> None:
        self._timer = None
        self.let_go()

    def _all_gone(self) -> None:
        """Answers that waited for the caller's turn before them may be asked for."""
        line = self._line
        if line.conversation.turn_waits:
            line.run(line.conversation.turn_let_go(line.now()))

    def _pass_on(self, data: bytes, commit: bool) -> None:
        line = self._line
        line.transport.send_audio(line.formats.to_line(data), commit=commit)
        line.conversation.audio_in(self._format.ms(len(data)), line.now(), commit=commit)
        self._held.sent(data, commit, line.conversation.unheard_ms)
