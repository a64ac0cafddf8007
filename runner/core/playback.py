"""Playback: how much of each answer reached us and how much of it was really heard.

Positions are samples counted by the sink, never a wall clock: the server refuses a truncation
beyond the audio it sent, and the model must not believe that something was heard which was not.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

#: How many responses that were cut are remembered to refuse what still comes of them.
_REMEMBERED = 256

_RATES = {"audio/pcmu": 8000, "audio/pcma": 8000, "g711_ulaw": 8000, "g711_alaw": 8000}


def rate_of(audio_format: object, default: int = 24000) -> int:
    """Samples per second of a wire format object, ``{"type": "audio/pcm", "rate": 24000}``."""
    if isinstance(audio_format, Mapping):
        rate = audio_format.get("rate")
        if isinstance(rate, int) and rate > 0:
            return rate
        audio_format = audio_format.get("type")
    return _RATES.get(audio_format, default) if isinstance(audio_format, str) else default


#: Characters of text that a voice speaks in a second, until the voice of the call is known.
CHARACTERS = 15.0


class Track:
    """The audio of one content part. Plain and slotted: it is touched for every chunk."""

    __slots__ = ("complete", "content_index", "covers", "cut", "heard", "item_id", "lost",
                 "rate", "received", "response_id")  # fmt: skip

    def __init__(self, response_id: str, item_id: str, content_index: int, rate: int) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.content_index = content_index
        self.rate = rate
        self.received = 0
        self.heard = 0
        self.complete = False
        self.cut = False
        #: Its connection is gone: it plays on, and the server knows only its text.
        self.lost = False
        #: How much of its text this audio speaks, 0 to 1; less when the rest was lost.
        self.covers = 1.0

    @property
    def heard_ms(self) -> float:
        return min(self.heard, self.received) * 1000 / self.rate

    @property
    def share(self) -> float:
        """How much of its text was heard, 0 to 1."""
        return self.covers * min(1.0, self.heard / self.received) if self.received else 0.0

    @property
    def sounding(self) -> bool:
        """Something of it is still to be played."""
        return not self.cut and self.heard < self.received


class Playback:
    """Tracks by ``(item_id, content_index)``. A cut track, and every later one of its response,
    takes no more audio."""

    def __init__(self) -> None:
        #: Characters a second of the newest answer that came whole.
        self.pace = CHARACTERS
        self.tracks: dict[tuple[str, int], Track] = {}
        #: The same by response: asked for after every event, so never searched for.
        self._of: dict[str, list[Track]] = {}
        self._refused: dict[str, None] = {}

    def open(self, response_id: str, item_id: str, content_index: int, rate: int) -> Track:
        """A new track; cut from the start when its response was."""
        track = Track(response_id, item_id, content_index, rate)
        track.cut = response_id in self._refused
        self.tracks[item_id, content_index] = track
        self._of.setdefault(response_id, []).append(track)
        return track

    def drop(self, track: Track) -> None:
        """This track is needed no more."""
        del self.tracks[track.item_id, track.content_index]
        siblings = self._of[track.response_id]
        siblings.remove(track)
        if not siblings:
            del self._of[track.response_id]

    def heard(self, item_id: str, content_index: int, samples: int) -> None:
        """The sink has played ``samples`` of this part so far; positions never go back."""
        track = self.tracks.get((item_id, content_index))
        if track is not None and not track.cut:
            track.heard = max(track.heard, min(samples, track.received))

    def drained(self, known: Container[str]) -> None:
        """Everything handed over was played. Tracks of responses that nobody announced end
        here; the others with their turn."""
        for track in tuple(self.tracks.values()):
            if not track.cut:
                track.heard = track.received
            if track.response_id not in known:
                self.drop(track)

    def complete(self, item_id: str, content_index: int) -> None:
        """No more audio of this part will come."""
        track = self.tracks.get((item_id, content_index))
        if track is not None:
            track.complete = True

    def cut(self, running: Mapping[str, Any]) -> list[Track]:
        """Cut what is still to be heard: tracks with audio left, and those of a running
        response that may still grow. They come back in the order in which they were opened."""
        cut = [
            t
            for t in self.tracks.values()
            if not t.cut and (t.heard < t.received or (t.response_id in running and not t.complete))
        ]
        for track in cut:
            track.cut = True
            self.refuse(track.response_id)
        for response_id in running:
            self.refuse(response_id)
        return cut

    def refuse(self, response_id: str) -> None:
        """Nothing more of this response may sound."""
        self._refused[response_id] = None
        if len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def refuses(self, response_id: str) -> bool:
        return response_id in self._refused

    @property
    def sounding(self) -> bool:
        return any(t.sounding for t in self.tracks.values())

    def new_line(self) -> None:
        """The connection is gone: what came of it is played to its end, and no more will come."""
        for track in self.tracks.values():
            track.lost = track.complete = True

    def spoken(self, track: Track, text: str) -> None:
        """A whole text and all of its audio: the pace of this voice."""
        seconds = track.received / track.rate
        if track.complete and seconds >= 1 and text:
            self.pace = len(text) / seconds

    def broke_off(self, track: Track, text: str) -> None:
        """No more of this audio will come, although there is more of the text, which runs ahead
        of the voice: how far did the voice come?"""
        seconds = track.received / track.rate
        track.covers = min(1.0, seconds * self.pace / len(text)) if text else 1.0

    def of(self, response_id: str) -> Sequence[Track]:
        return self._of.get(response_id, ())

    def forget(self, response_id: str) -> None:
        """The turn is over: its positions are needed no more."""
        for track in tuple(self.of(response_id)):
            self.drop(track)
