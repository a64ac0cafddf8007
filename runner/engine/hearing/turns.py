"""Turn detection without I/O: speech probabilities in, turn events out.

Time is counted in frames of 32 ms from the start of the caller's audio; nothing here reads a
clock. One speech of the caller goes

    SpeechStarted -> (Pause -> Resumed)* -> Pause -> SpeechStopped

A Pause says "recognise and think now, this may be the end"; its ``revision`` names that work.
Resumed says that the caller went on and the work of that revision is void. SpeechStopped names
the revision whose work stands, so the last Pause before it always carries the same number.

``server_vad`` ends a turn after a fixed silence. ``semantic_vad`` ends it as soon as the words
read finished, and otherwise waits for the cap of its eagerness: 8, 4 and 2 s for low, medium
(also auto) and high (OpenAI's guide "Voice activity detection").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from runner.engine.hearing.words import unfinished

FRAME_MS = 32
"""One frame of the voice activity model: 512 samples at 16 kHz."""

PREROLL_MS = 400
"""Sound kept from before the first voiced frame, so that no first word is cut. Measured: a weak
"wh" is up to 210 ms old before the model calls it voice."""

_PREFIX_MS = 300  # the service's default, for semantic_vad which has no such field
_CONFIRM_FRAMES = 2  # a click or a lip smack fills one frame, a syllable two
_PAUSE_MS = 128  # the shortest quiet worth recognising; a stop consonant closes for under 100 ms
_NO_WORDS_MS = 800  # voice without words (a cough, "mm"): nothing to judge, wait a moderate time

Eagerness = Literal["low", "medium", "high", "auto"]

# Quiet needed when the words read finished, and the cap when they do not, by eagerness.
_MIN_QUIET_MS: dict[str, int] = {"low": 480, "medium": 224, "auto": 224, "high": 160}
_CAP_MS: dict[str, int] = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """``session.audio.input.turn_detection`` with the service's defaults.

    ``threshold`` 0 to 1, durations in milliseconds. ``threshold``, ``prefix_padding_ms`` and
    ``silence_duration_ms`` are those of server_vad, ``eagerness`` that of semantic_vad.
    """

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    eagerness: Eagerness = "auto"


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began. ``audio_start_ms`` is what the wire says: the first voiced frame
    (``speech_start_ms``) less the prefix padding, never inside the turn before.
    ``keep_from_ms`` is where the audio for recognition begins: at least 400 ms of pre-roll."""

    audio_start_ms: int
    speech_start_ms: int
    keep_from_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Quiet since ``speech_end_ms``: start recognition and brain for ``revision``."""

    revision: int
    speech_end_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The caller went on: the work of ``revision`` is void."""

    revision: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The turn is over; ``revision`` is that of the last Pause and its work stands.

    ``audio_end_ms`` is what the wire says. For server_vad it includes the silence that was
    waited for (OpenAI's reference, input_audio_buffer.speech_stopped), for semantic_vad it is
    the end of the speech. ``speech_end_ms`` is always the end of the speech."""

    audio_end_ms: int
    speech_end_ms: int
    revision: int


TurnEvent = SpeechStarted | Pause | Resumed | SpeechStopped


class EndOfTurn(Protocol):
    """A model that may vote on whether the caller has finished."""

    def vote(self, text: str, pcm16k_tail: bytes) -> float | None:
        """Probability that the turn is over, None for no opinion. ``pcm16k_tail`` is the last
        seconds of the speech."""
        ...


class TurnDetector:
    """One caller's turns. ``position_ms`` is where the first frame begins."""

    def __init__(
        self, config: TurnConfig, vote: EndOfTurn | None = None, *, position_ms: int = 0
    ) -> None:
        self._vote = vote
        self._revision = 0
        self.position_ms = position_ms
        """End of the last frame, in ms since the start of the stream."""
        self._earliest_start = position_ms  # the wire's start may not lie in the turn before
        self._earliest_keep = position_ms
        self.configure(config)
        self._forget_speech()

    def _forget_speech(self) -> None:
        self._speaking = False
        self._paused = False
        self._quiet = False
        self._loud_frames = 0
        self._first_loud_ms = 0
        self._speech_end_ms = 0
        self._text: str | None = None
        self._voted: float | None = None

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechStopped."""
        return self._speaking

    @property
    def threshold(self) -> float:
        """The probability from which on a frame may begin a speech."""
        return self._threshold

    def configure(self, config: TurnConfig) -> None:
        """Change the rules; a speech that is under way goes on and ends by the new ones."""
        self.config = config
        semantic = config.kind == "semantic_vad"
        self._threshold = 0.5 if semantic else config.threshold
        # Once speaking, a softer syllable still counts (Silero's own hysteresis).
        self._quiet_below = max(self._threshold - 0.15, 0.01)
        self._prefix_ms = _PREFIX_MS if semantic else config.prefix_padding_ms

    def reset(self, position_ms: int | None = None) -> None:
        """Forget a speech under way without an event (the buffer was cleared or committed by
        the client). Work of its revision is void. ``position_ms`` moves the position."""
        if position_ms is not None:
            self.position_ms = position_ms
        self._earliest_start = self._earliest_keep = self.position_ms
        self._forget_speech()

    def frame(self, probability: float) -> list[TurnEvent]:
        """Take the speech probability of the next 32 ms."""
        began = self.position_ms
        self.position_ms = began + FRAME_MS
        if not self._speaking:
            return self._frame_idle(probability, began)
        return self._frame_speaking(probability)

    def transcript(self, revision: int, text: str, pcm16k_tail: bytes = b"") -> list[TurnEvent]:
        """Take the words of the pause ``revision``; stale ones are ignored. May end the turn."""
        if not self._paused or revision != self._revision:
            return []
        self._text = text
        if self._vote is not None and text.strip() and self.config.kind == "semantic_vad":
            self._voted = self._vote.vote(text, pcm16k_tail)
        return self._end_if_due()

    # -- not speaking ----------------------------------------------------------------------

    def _frame_idle(self, probability: float, began: int) -> list[TurnEvent]:
        if probability >= self._threshold:
            if not self._loud_frames:
                self._first_loud_ms = began
            self._loud_frames += 1
        elif probability < self._quiet_below:
            self._loud_frames = 0
        if self._loud_frames < _CONFIRM_FRAMES:
            return []
        first = self._first_loud_ms
        self._forget_speech()
        self._speaking = True
        self._speech_end_ms = self.position_ms
        return [
            SpeechStarted(
                audio_start_ms=max(self._earliest_start, first - self._prefix_ms),
                speech_start_ms=first,
                keep_from_ms=max(self._earliest_keep, first - max(self._prefix_ms, PREROLL_MS)),
            )
        ]

    # -- speaking --------------------------------------------------------------------------

    def _frame_speaking(self, probability: float) -> list[TurnEvent]:
        if probability >= self._threshold or (not self._quiet and probability >= self._quiet_below):
            return self._frame_loud()
        # One loud frame in a pause was a click: the quiet goes on through it.
        self._loud_frames = 0
        self._quiet = True
        events: list[TurnEvent] = []
        if not self._paused and self._quiet_ms >= self._pause_after_ms():
            self._paused = True
            self._revision += 1
            self._text = None
            self._voted = None
            events.append(Pause(self._revision, self._speech_end_ms))
        return events + self._end_if_due()

    def _frame_loud(self) -> list[TurnEvent]:
        self._loud_frames += 1
        if self._paused and self._loud_frames < _CONFIRM_FRAMES:
            return []  # may be a click; neither an end nor a resumption yet
        events: list[TurnEvent] = [Resumed(self._revision)] if self._paused else []
        self._paused = False
        self._quiet = False
        self._speech_end_ms = self.position_ms
        return events

    @property
    def _quiet_ms(self) -> int:
        return self.position_ms - self._speech_end_ms

    def _pause_after_ms(self) -> int:
        if self.config.kind == "server_vad":
            return min(_PAUSE_MS, self.config.silence_duration_ms)
        return _PAUSE_MS

    def _end_after_ms(self) -> int:
        """The quiet that ends the turn, by what is known of its words now."""
        config = self.config
        if config.kind == "server_vad":
            return config.silence_duration_ms
        cap = _CAP_MS[config.eagerness]
        if self._text is None:
            return cap
        if not self._text.strip():
            return max(_NO_WORDS_MS, _MIN_QUIET_MS[config.eagerness])
        finished = not unfinished(self._text)
        if self._voted is not None and (self._voted >= 0.5) != finished:
            return cap // 4  # words and model disagree: neither at once nor the whole cap
        return _MIN_QUIET_MS[config.eagerness] if finished else cap

    def _end_if_due(self) -> list[TurnEvent]:
        if not self._paused or self._loud_frames or self._quiet_ms < self._end_after_ms():
            return []
        end = self._speech_end_ms
        server = self.config.kind == "server_vad"
        audio_end = end + self.config.silence_duration_ms if server else end
        stopped = SpeechStopped(audio_end, end, self._revision)
        self._forget_speech()
        self._earliest_start = audio_end
        self._earliest_keep = end
        return [stopped]
