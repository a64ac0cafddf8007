"""A recorded call as the other end of the line: the server says what it said then, and what the
session sends is held against what it sent then.

Each event of the server comes once the session has sent as much as it had sent before it then; in
a spoken call, moreover, no sooner than it came then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runner.codec import canonical, dumps, loads
from runner.core.record import Row
from runner.errors import InputError
from runner.testing.record import Recorded, excerpts, masked
from runner.testing.stage import Stage
from runner.testing.stubs import RecordedOutput
from runner.transports.base import Closed, ConnectOptions, RealtimeTransportLayer, plain_copy

#: Fields of client events that time decides, and names that are made anew each time.
_NOT_COMPARED = frozenset({"event_id", "audio_end_ms"})


@dataclass(frozen=True, slots=True)
class _Said:
    """One thing from the server's side: after ``sent`` events of the session on ``lines`` lines
    that were whole, ``at`` seconds of the record. One of ``event``, ``audio`` (response, item,
    index, samples) and ``lost``."""

    sent: int
    lines: int
    at: float
    event: dict[str, Any] | None = None
    audio: tuple[str, str, int, int] | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Differs:
    """The session's event number ``number`` (from 1): JSON text of then and now, "" for none."""

    number: int
    then: str
    now: str

    def __str__(self) -> str:
        then, now = excerpts(self.then, self.now)
        words = f"the session sends something else than in the record (event {self.number})"
        return f"{words}\n      then: {then}\n      now:  {now}"


class RecordedTransport(RealtimeTransportLayer):
    """``bytes_per_sample`` of the agent's audio, which is silence: the record has none.
    ``paced``: the server takes its time as it did then."""

    def __init__(self, recorded: Recorded, *, paced: bool) -> None:
        super().__init__()
        first = recorded.about["conversation"]
        self.playback = first["playback"]
        self._paced = paced
        self._sends = deque(_sends(recorded))
        self._says = deque(_says(recorded))
        self._sent = self._lines = 0
        self._began = 0.0
        self._first_at = next((said.at for said in self._says), 0.0)
        self._timer: asyncio.TimerHandle | None = None
        #: The first thing that is not as it was.
        self.differs: Differs | None = None
        #: Set when it is.
        self.broken = asyncio.Event()

    async def connect(self, options: ConnectOptions) -> None:
        self._began = self._began or asyncio.get_running_loop().time()
        self.status = "connected"
        # What the server had said before connect() returned.
        while self._ready():
            self._tell(self._says.popleft())
        self._lines += 1
        self._soon()

    def send_event(self, event: Mapping[str, Any]) -> None:
        self.require_open()
        self._sent += 1
        if self.differs is None:
            then = self._sends.popleft() if self._sends else None
            now = loads(dumps(masked(event)))
            if then is None or _compared(then) != _compared(now):
                before = "" if then is None else canonical(_compared(then))
                self._break(before, canonical(_compared(now)))
        self._soon()

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """What the caller says is not in the record, only what was heard."""
        self.require_open()

    async def close(self) -> None:
        self.status = "disconnected"
        self._stop()

    def leftover(self) -> None:
        """The test is over: what the session did not send any more differs too."""
        if self.differs is None and self._sends:
            self._sent += 1
            self._break(canonical(_compared(self._sends[0])), "")

    def _break(self, then: str, now: str) -> None:
        self.differs = Differs(self._sent, then, now)
        self.broken.set()

    # -- the server --------------------------------------------------------------------------
    def _soon(self) -> None:
        """Look at what the server says next, once this call has returned."""
        if self._timer is None and self.status == "connected":
            self._timer = asyncio.get_running_loop().call_later(0, self._next)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        if self.status != "connected" or not self._ready():
            return
        loop = asyncio.get_running_loop()
        due = self._began + self._says[0].at - self._first_at
        if self._paced and due > loop.time():
            self._timer = loop.call_at(due, self._next)
            return
        self._tell(self._says.popleft())
        self._soon()

    def _ready(self) -> bool:
        if not self._says:
            return False
        said = self._says[0]
        return said.sent <= self._sent and said.lines <= self._lines

    def _tell(self, said: _Said) -> None:
        if said.event is not None:
            self.deliver(plain_copy(said.event))
        elif said.audio is not None:
            response_id, item_id, index, samples = said.audio
            self.deliver_audio(response_id, item_id, index, bytes(samples * self._width()))
        else:
            self.lost(Closed(said.lost))

    def _width(self) -> int:
        """Bytes a sample: PCM has two."""
        effective = getattr(self.receiver, "conversation", None)
        wire = getattr(effective, "effective", {}) or {}
        out = (wire.get("audio") or {}).get("output") or {}
        return 2 if (out.get("format") or {}).get("type", "audio/pcm") == "audio/pcm" else 1


def _compared(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in _NOT_COMPARED}


def _sends(recorded: Recorded) -> Iterator[dict[str, Any]]:
    for row in recorded.rows:
        yield from _sent_by(row)


def _sent_by(row: Row) -> list[dict[str, Any]]:
    return [e["event"] for e in row.get("effects", ()) if e.get("effect") == "Send"]


def _says(recorded: Recorded) -> Iterator[_Said]:
    sent, lines, began, at = 0, 0, None, 0.0
    for row in recorded.rows:
        at = row.get("now", at)
        began = at if began is None else began
        since = at - began
        if row["call"] == "receive":
            yield _Said(sent, lines, since, event=row["args"][0])
        elif row["call"] == "audio_out":
            yield _Said(sent, lines, since, audio=tuple(row["args"]))
        elif row["call"] == "disconnected" and row.get("kwargs", {}).get("away"):
            yield _Said(sent, lines, since, lost=row.get("kwargs", {}).get("reason") or "lost")
        lines += row["call"] == "connected"
        sent += len(_sent_by(row))


def outputs(recorded: Recorded) -> dict[str, RecordedOutput]:
    """What the tools gave, by the ids of their calls."""
    began: dict[str, float] = {}
    out: dict[str, RecordedOutput] = {}
    at = 0.0
    for row in recorded.rows:
        at = row.get("now", at)
        for effect in row.get("effects", ()):
            if effect.get("effect") == "RunTool":
                began[effect["call_id"]] = at
        if row["call"] == "tool_finished":
            call_id, output = row["args"]
            respond = row.get("kwargs", {}).get("respond", True)
            out[call_id] = RecordedOutput(output, at - began.get(call_id, at), respond)
    return out


def stage_of(recorded: Recorded, stage: Stage) -> Stage:
    """``stage`` with the record in the place of an engine and of tools. InputError when it was
    not a test that was recorded."""
    try:
        started = datetime.fromisoformat(recorded.about["started"])
        about = {key: str(value) for key, value in recorded.about["about"].items()}
        sounds = bool(recorded.about["sounds"])
        transport = RecordedTransport(recorded, paced=sounds)
        outs = outputs(recorded)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{recorded.path}: no recorded test ({error!r})") from None
    return replace(
        stage,
        transport=transport,
        recorded=outs,
        about=about,
        started=started,
        sounded=sounds,
        record=None,
    )
