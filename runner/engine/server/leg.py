"""The agent's audio of a call whose media runs through the engine (WebRTC, SIP): it waits here
until the line takes it, 20 ms at a time, so what was played is known and not guessed.

``output_audio_buffer.started``, ``.stopped`` and ``.cleared`` are told from here (OpenAI's
reference: WebRTC and SIP only). ``stopped`` comes when the last sample has gone and the response
is done; ``cleared`` in its place when the answer was cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runner.audio.formats import PCM16, AudioFormat
from runner.engine.wire import events


@dataclass(slots=True)
class _Sounding:
    """One response's audio: what waits, and how many bytes of each item went out."""

    response_id: str
    waiting: deque[tuple[str, bytes]] = field(default_factory=deque)
    played: dict[str, int] = field(default_factory=dict)
    finished: bool = False


class Leg:
    """Audio is of ``form``, both ways: that of the line, so that nothing is converted twice.
    ``send`` tells an event to the client."""

    def __init__(self, send: Callable[[dict[str, Any]], None], form: AudioFormat = PCM16) -> None:
        self.form = form
        self._send = send
        #: In the order in which they are played; the first is heard now.
        self._line: deque[_Sounding] = deque()
        self._dropped: set[str] = set()

    def play(self, response_id: str, item_id: str, data: bytes) -> None:
        """Queue a piece of an answer."""
        if response_id in self._dropped:
            return
        sounding = self._of(response_id)
        if sounding is None:
            sounding = _Sounding(response_id)
            self._line.append(sounding)
            if len(self._line) == 1:
                self._send(events.output_audio_buffer_started(response_id))
        sounding.played.setdefault(item_id, 0)
        sounding.waiting.append((item_id, data))

    def finished(self, response_id: str) -> None:
        """All of it was queued, and response.done was sent."""
        self._dropped.discard(response_id)
        sounding = self._of(response_id)
        if sounding is not None:
            sounding.finished = True
            self._go_on()

    def take(self, nbytes: int) -> bytes:
        """The next samples for the line; shorter when there are no more."""
        out = bytearray()
        while self._line and len(out) < nbytes:
            now = self._line[0]
            if not now.waiting:
                break
            item_id, data = now.waiting.popleft()
            part, rest = data[: nbytes - len(out)], data[nbytes - len(out) :]
            if rest:
                now.waiting.appendleft((item_id, rest))
            out += part
            now.played[item_id] += len(part)
            self._go_on()
        return bytes(out)

    def cut(self) -> dict[str, int]:
        """Drop what was not played: how many ms of each item that sounds or waits were."""
        if not self._line:
            return {}
        heard = self._line[0].response_id
        items: dict[str, int] = {}
        for sounding in self._line:
            items |= {item: int(self.form.ms(n)) for item, n in sounding.played.items()}
            if not sounding.finished:
                self._dropped.add(sounding.response_id)
        self._line.clear()
        self._send(events.output_audio_buffer_cleared(heard))
        return items

    @property
    def waiting_seconds(self) -> float:
        """Of what is queued, until it is played."""
        return self.form.ms(sum(len(d) for s in self._line for _, d in s.waiting)) / 1000

    def _of(self, response_id: str) -> _Sounding | None:
        return next((s for s in self._line if s.response_id == response_id), None)

    def _go_on(self) -> None:
        """To the next response, when the first was played whole."""
        while self._line and self._line[0].finished and not self._line[0].waiting:
            self._send(events.output_audio_buffer_stopped(self._line.popleft().response_id))
            if self._line:
                self._send(events.output_audio_buffer_started(self._line[0].response_id))
