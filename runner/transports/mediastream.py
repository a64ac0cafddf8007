"""The far end of a Twilio Media Stream: what a phone says and what it has heard, as arithmetic.

Twilio's messages go in, messages for Twilio come out by ``send``; no socket and no task, only a
clock and a timer. Audio is G.711 mu-law at 8 kHz both ways, 8 bytes a millisecond. Twilio plays
what it is sent in order, echoes a ``mark`` when all before it was played, and on ``clear`` drops
its buffer and returns the marks in it, or does not (Twilio Media Streams, WebSocket messages).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.codec import b64decode, b64encode
from runner.tasks import call_at

BYTES_PER_MS = 8
FRAME = 20 * BYTES_PER_MS
SILENCE = b"\xff"
#: So much more than the phone has played is with Twilio: a clear finds little to drop.
LEAD_SECONDS = 0.4
#: An end that is no whole frame waits for more sound until no more than this is to be played.
TAIL_SECONDS = 0.06
#: What sounds since the newest mark came back is heard too, by the clock, but no more than this:
#: the next mark is due 20 ms later.
BEHIND_MS = 50
#: Marks that are that late do not come any more.
PATIENCE_SECONDS = 2.0
#: The most silence that a gap in the caller's time stamps is filled with.
LONGEST_GAP_MS = 10_000
INACTIVITY_MS = 750.0
#: What a phone that sends nothing in the middle of speech is taken to have sent.
INACTIVE_FILL_MS = 1000
_LONGEST_TIMER_MS = 2**31 - 1

Part = tuple[str, int]


@dataclass(slots=True)
class _Track:
    """Bytes of one part of an item: given to us, sent to Twilio, known to be played."""

    given: int = 0
    sent: int = 0
    played: int = 0


@dataclass(slots=True)
class Caller:
    """Who hears of the phone: ``audio(mu-law)``, ``digit("5")``, ``started(start message)``,
    ``stopped(reason)``."""

    audio: Callable[[bytes], None]
    digit: Callable[[str], None]
    started: Callable[[Mapping[str, Any]], None]
    stopped: Callable[[str], None]
    warn: Callable[[str], None] = field(default=lambda text: None)


class MediaStream:
    """One call. Is an AudioSink: ``play`` is paced in 20 ms frames, ``heard`` counts by marks.

    ``inactivity_ms``: after so long without media while the caller speaks, a second of silence
    is heard, so that the turn can end; None never. ValueError for what no timer can hold.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        caller: Caller,
        *,
        inactivity_ms: float | None = INACTIVITY_MS,
    ) -> None:
        if inactivity_ms is not None and not 0 < inactivity_ms <= _LONGEST_TIMER_MS:
            raise ValueError("the inactivity timeout is between 0 and 2147483647 ms, or None")
        self.on_drained: Callable[[], None] | None = None
        self.stream_sid = ""
        self._send = send
        self._caller = caller
        self._inactivity = inactivity_ms
        self._generation = 1
        self._marks = 0
        #: Marks of this generation that are not back: name -> what is then played.
        self._waiting: dict[str, tuple[Part, int]] = {}
        self._tracks: dict[Part, _Track] = {}
        self._queue: deque[tuple[Part, bytes]] = deque()
        #: Since when what follows the newest mark sounds, by the loop's clock.
        self._since = 0.0
        #: When what was sent will have been played.
        self._plays_until = 0.0
        self._pacing: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._busy = False
        self._pads = False
        self._expected: int | None = None
        self._filled = False
        self._speaks = False
        self._last_media = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self._closed = False

    # -- from the phone ----------------------------------------------------------------------
    def received(self, message: Mapping[str, Any]) -> None:
        """One of Twilio's messages. What is no message of its kind is told to ``warn``."""
        event = message.get("event")
        body = message.get(event) if isinstance(event, str) else None
        body = body if isinstance(body, Mapping) else {}
        match event:
            case "start":
                self._start(body)
            case "media":
                self._media(body)
            case "mark":
                self._mark(body.get("name"))
            case "dtmf":
                if isinstance(digit := body.get("digit"), str):
                    self._caller.digit(digit)
            case "stop":
                self._caller.stopped("the caller hung up")

    def _start(self, start: Mapping[str, Any]) -> None:
        if self.stream_sid:
            # What was on its way to another stream is nobody's any more.
            self._forget()
        sid = start.get("streamSid")
        self.stream_sid = sid if isinstance(sid, str) else ""
        fmt = start.get("mediaFormat")
        fmt = fmt if isinstance(fmt, Mapping) else {}
        kind = (fmt.get("encoding"), fmt.get("sampleRate"), fmt.get("channels"))
        self._pads = kind == ("audio/x-mulaw", 8000, 1)
        self._expected, self._filled, self._speaks = None, False, False
        self._watch()
        self._caller.started(start)
        if self._queue and self._pacing is None:
            self._pace()

    def _media(self, media: Mapping[str, Any]) -> None:
        try:
            audio = b64decode(media.get("payload") or "")
        except (ValueError, TypeError):
            self._caller.warn("Twilio sent media that is no base64")
            return
        self._last_media = asyncio.get_running_loop().time()
        gap = self._gap(media.get("timestamp"), len(audio))
        if gap:
            self._caller.audio(SILENCE * gap)
        self._caller.audio(audio)
        self._watch()

    def _gap(self, stamp: Any, size: int) -> int:
        """Bytes that are missing before a frame at ``stamp`` (ms, as text)."""
        if not (isinstance(stamp, str) and stamp.isascii() and stamp.isdigit()):
            self._expected = None
            return 0
        at, expected = int(stamp), self._expected
        self._expected = at + size // BYTES_PER_MS
        filled, self._filled = self._filled, False
        if not self._pads or expected is None or at <= expected or filled:
            return 0
        return min(at - expected, LONGEST_GAP_MS) * BYTES_PER_MS

    def speaking(self, speaks: bool) -> None:
        """The server's turn detection says that the caller speaks, or does not."""
        self._speaks = speaks
        self._watch()

    def _watch(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if not (self._speaks and self._pads and self._inactivity) or self._filled or self._closed:
            return
        loop = asyncio.get_running_loop()
        self._watching = call_at(loop, self._last_media + self._inactivity / 1000, self._fill)

    def _fill(self) -> None:
        self._watching = None
        self._filled = True
        self._caller.audio(SILENCE * (INACTIVE_FILL_MS * BYTES_PER_MS))

    def _mark(self, name: Any) -> None:
        known = self._waiting.pop(name, None) if isinstance(name, str) else None
        if known is None:
            # A clear gives back what it dropped: of that nothing was heard.
            if not (isinstance(name, str) and self._old(name)):
                self._caller.warn(f"Twilio returned a mark that was not set: {name!r}")
            return
        part, played = known
        track = self._tracks[part]
        track.played = max(track.played, played)
        self._since = asyncio.get_running_loop().time()
        if not self._waiting and not self._queue:
            self._drain()

    def _old(self, name: str) -> bool:
        generation = name.rpartition(":m")[0].rpartition(":g")[2]
        return generation.isdigit() and 0 < int(generation) < self._generation

    # -- to the phone --------------------------------------------------------------------------
    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        if self._closed or not data:
            return
        part = (item_id, content_index)
        track = self._tracks.setdefault(part, _Track())
        track.given += len(data)
        if self._pacing is not None and self._tail:
            self._pacing.cancel()
            self._pacing = None
        if self._queue and self._queue[-1][0] == part and len(self._queue[-1][1]) < FRAME:
            data = self._queue.pop()[1] + data
        self._queue.extend((part, data[at : at + FRAME]) for at in range(0, len(data), FRAME))
        self._busy = True
        if self._pacing is None:
            self._pace()

    def _pace(self) -> None:
        """Send what the lead has room for, and come back when it has again."""
        self._pacing = None
        if not self.stream_sid:
            return  # what is said before the stream has begun waits for it
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._plays_until < now:
            self._plays_until = self._since = now
        while self._queue and self._plays_until - now < self._lead:
            part, frame = self._queue.popleft()
            track = self._tracks[part]
            track.sent += len(frame)
            self._plays_until += len(frame) / BYTES_PER_MS / 1000
            self._tell("media", {"payload": b64encode(frame)})
            self._marks += 1
            ms = track.sent // BYTES_PER_MS
            name = f"{part[0]}:{ms}:g{self._generation}:m{self._marks}"
            self._waiting[name] = (part, track.sent)
            self._tell("mark", {"name": name})
        if self._queue:
            self._pacing = call_at(loop, self._plays_until - self._lead + 0.001, self._pace)
        self._wait()

    @property
    def _tail(self) -> bool:
        return len(self._queue) == 1 and len(self._queue[0][1]) < FRAME

    @property
    def _lead(self) -> float:
        return TAIL_SECONDS if self._tail else LEAD_SECONDS

    def _wait(self) -> None:
        """Marks may be lost: then the clock says when all was played."""
        if self._closed:
            return  # Twilio took no more of it
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = call_at(loop, self._plays_until + PATIENCE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        for part, played in self._waiting.values():
            self._tracks[part].played = max(self._tracks[part].played, played)
        self._waiting.clear()
        if not self._queue:
            self._drain()

    def _drain(self) -> None:
        if self._busy:
            self._busy = False
            if self._patience is not None:
                self._patience.cancel()
            if self.on_drained is not None:
                self.on_drained()

    def flush(self) -> None:
        """The caller speaks: Twilio drops what it has. Nothing is sent when nothing waits."""
        if self._busy:
            if self.stream_sid and not self._closed:
                self._send({"event": "clear", "streamSid": self.stream_sid})
            self._forget()

    def _forget(self) -> None:
        # What was heard is settled now: marks that come yet were given back, not reached.
        for part in {part for part, _ in self._waiting.values()} | set(self._tracks):
            self._tracks[part].played = self.heard(*part)
            self._tracks[part].sent = self._tracks[part].played
        self._waiting.clear()
        self._queue.clear()
        self._generation += 1
        self._busy = False
        self._plays_until = 0.0
        for timer in (self._pacing, self._patience):
            if timer is not None:
                timer.cancel()
        self._pacing = self._patience = None

    def heard(self, item_id: str, content_index: int) -> int:
        """Samples (bytes) that the phone has played: what marks say, and what has sounded since
        the newest one, never more than was sent."""
        track = self._tracks.get((item_id, content_index))
        if track is None:
            return 0
        if not self._sounds((item_id, content_index)):
            return track.played
        since = (asyncio.get_running_loop().time() - self._since) * 1000
        return min(track.sent, track.played + int(min(since, BEHIND_MS) * BYTES_PER_MS))

    def _sounds(self, part: Part) -> bool:
        """Is ``part`` the one that is being played, as far as marks tell?"""
        return next((p for p, _ in self._waiting.values()), None) == part

    @property
    def idle(self) -> bool:
        return not self._busy

    def close(self) -> None:
        self._closed = True
        self._forget()
        if self._watching is not None:
            self._watching.cancel()

    def _tell(self, event: str, body: Mapping[str, Any]) -> None:
        self._send({"event": event, "streamSid": self.stream_sid, event: body})
