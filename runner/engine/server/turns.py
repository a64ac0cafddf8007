"""The caller's side of one connection: audio in, turns out.

Voice activity and turn detection run on the time of the caller's audio, so a client that sends
faster than real time gets the same turns. At every pause recognition and brain begin at once;
if the caller goes on their work is dropped unseen, if the turn is over it is there already.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from runner.engine.hearing.gate import Gate
from runner.engine.hearing.input import Committed, InputBuffer
from runner.engine.hearing.turns import (
    Pause,
    Resumed,
    SpeechStarted,
    SpeechStopped,
    TurnConfig,
    TurnDetector,
    TurnEvent,
)
from runner.engine.ports import Models
from runner.engine.server.answer import Answer
from runner.engine.server.context import Context
from runner.engine.server.idle import IdleTimer
from runner.engine.server.responses import Responses
from runner.engine.server.speculation import Speculation
from runner.engine.server.transcription import Transcription
from runner.engine.wire import TurnDetection, WireError, events, new_id
from runner.engine.wire.errors import commit_empty

MIN_COMMIT_MS = 100  # OpenAI's reference: a commit of less is refused
SLICE_MS = 96
SETTLE_MS = 8000  # words of an utterance this long stay as recognised when the caller goes on


class Turns:
    """One caller. ``append``, ``commit`` and ``clear`` are the client's events."""

    def __init__(
        self, context: Context, models: Models, responses: Responses, idle: IdleTimer
    ) -> None:
        self._context = context
        self._ears = models.ears
        self._gate = Gate(models.vad())
        self._responses = responses
        self._idle = idle
        self._transcription = Transcription(context, models.ears)
        self._buffer = InputBuffer(context.input_format)
        self._rules: TurnDetection | None = None
        self._detector: TurnDetector | None = None
        self._item_id = ""  # of the speech under way
        self._guess: Speculation | None = None
        self._settled = ""  # words of the utterance up to _settled_ms
        self._settled_ms = 0
        self.configure()

    # -- what the client asks for -----------------------------------------------------------

    def configure(self) -> None:
        """Take the session's format and turn detection; a speech under way goes on."""
        settings = self._context.settings
        self._buffer.configure(self._context.input_format)
        rules = self._rules = settings.turn_detection
        self._buffer.push_to_talk = rules is None
        if rules is None:
            self._forget_speech()
            self._detector = None
            return
        config = TurnConfig(
            kind=rules.kind,
            threshold=rules.threshold,
            prefix_padding_ms=rules.prefix_padding_ms,
            silence_duration_ms=rules.silence_duration_ms,
            eagerness=rules.eagerness,
        )
        if self._detector is not None:
            self._detector.configure(config)
        else:
            self._gate.reset()
            self._detector = TurnDetector(config, position_ms=self._buffer.frames_ms)

    async def append(self, data: bytes) -> None:
        """Audio in the session's input format; any amount at once."""
        # In slices, so that the buffer is never far ahead of what the detector has seen.
        size = self._buffer.format.nbytes(SLICE_MS)
        for start in range(0, len(data), size):
            for frame in self._buffer.append(data[start : start + size]):
                if self._detector is not None:
                    self._take(self._detector.frame(self._probability(frame)))
            if start + size < len(data):
                await asyncio.sleep(0)  # voice detection takes 1 to 2 ms a frame

    def _probability(self, frame: bytes) -> float:
        detector = self._detector
        assert detector is not None
        return self._gate(frame, speaking=detector.speaking, threshold=detector.threshold)

    def commit(self) -> None:
        """A client's commit: push to talk, or a turn ended by hand. WireError when too short."""
        pending = self._buffer.pending_ms
        if pending < MIN_COMMIT_MS:
            raise commit_empty(pending)
        item_id = self._item_id or new_id("item")  # of the speech under way, if there is one
        settled, settled_ms = self._settled, self._settled_ms
        self._forget_speech()
        taken = self._buffer.commit()
        self._start_over()
        words = self._transcription.begin(_from(taken, settled_ms), settled)
        self._add(item_id, taken, words)

    def clear(self) -> None:
        """A client's input_audio_buffer.clear."""
        self._forget_speech()
        self._buffer.clear()
        self._start_over()
        self._context.send(events.input_audio_buffer_cleared())

    def hear(self, item_id: str) -> None:
        """Recognise the audio of an item that the client made, for the brain alone."""
        self._transcription.hear(item_id)

    def time_out(self) -> None:
        """Nobody said anything for idle_timeout_ms: the silence becomes the caller's turn."""
        if self._detector is None or self._detector.speaking:
            return
        item_id = new_id("item")
        taken = self._buffer.commit()
        self._start_over()
        self._context.send(
            events.input_audio_buffer_timeout_triggered(
                audio_start_ms=taken.start_ms, audio_end_ms=taken.end_ms, item_id=item_id
            )
        )
        silence: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        silence.set_result("")
        self._add(item_id, taken, silence)
        self._responses.answer_turn(None, None)

    def close(self) -> None:
        self._forget_speech()

    # -- what the detector says -------------------------------------------------------------

    def _take(self, turn_events: list[TurnEvent]) -> None:
        for event in turn_events:
            match event:
                case SpeechStarted():
                    self._started(event)
                case Pause():
                    self._paused(event)
                case Resumed():
                    self._resumed()
                case SpeechStopped():
                    self._stopped(event)

    def _started(self, event: SpeechStarted) -> None:
        self._idle.stop()
        self._item_id = new_id("item")
        self._settled, self._settled_ms = "", event.keep_from_ms
        self._buffer.hold(event.keep_from_ms)
        self._context.send(
            events.input_audio_buffer_speech_started(
                audio_start_ms=event.audio_start_ms, item_id=self._item_id
            )
        )
        if self._rules is not None and self._rules.interrupt_response:
            self._responses.interrupt("turn_detected")

    def _paused(self, event: Pause) -> None:
        words: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        guess = Speculation(event.revision, self._item_id, event.speech_end_ms, words)
        pcm16k = self._buffer.pcm16k(self._settled_ms)
        guess.task = self._context.tasks.spawn(
            self._guess_on(guess, pcm16k, self._settled), f"recognise {self._item_id}"
        )
        self._guess = guess

    def _resumed(self) -> None:
        guess, self._guess = self._guess, None
        if guess is None:
            return
        if (
            guess.words.done()
            and not guess.words.cancelled()
            and guess.words.exception() is None
            and guess.end_ms - self._settled_ms >= SETTLE_MS
        ):
            # Recognising a long utterance again at each pause would fall behind the caller.
            self._settled, self._settled_ms = guess.words.result(), guess.end_ms
        guess.drop()

    def _stopped(self, event: SpeechStopped) -> None:
        guess, self._guess = self._guess, None
        item_id, self._item_id = self._item_id, ""
        context = self._context
        context.send(
            events.input_audio_buffer_speech_stopped(
                audio_end_ms=event.audio_end_ms, item_id=item_id
            )
        )
        assert self._detector is not None
        taken = self._buffer.commit(None, self._detector.position_ms)
        self._settled, self._settled_ms = "", 0
        assert guess is not None  # the last Pause before a stop is never voided
        guess.times.stopped = time.monotonic()
        answer, guess.answer = guess.answer, None
        self._add(item_id, taken, guess.words)
        if self._answers:
            self._responses.answer_turn(answer, guess.times)
        elif answer is not None:
            answer.drop()

    # -- recognition and commit -------------------------------------------------------------

    @property
    def _answers(self) -> bool:
        """Whether the end of a turn makes a response."""
        rules = self._rules
        return rules is not None and rules.create_response and self._context.responds

    async def _guess_on(self, guess: Speculation, pcm16k: bytes, settled: str) -> None:
        text = await self._transcription.recognise(pcm16k, settled, guess.words)
        guess.times.recognised = time.monotonic()
        if text is None or guess is not self._guess or self._detector is None:
            return  # recognition failed, or the turn ended while it ran
        if self._answers and self._responses.active is None and not self._context.unheard():
            guess.answer = self._think_ahead(guess.item_id, text)
        self._take(self._detector.transcript(guess.revision, text, pcm16k[-8 * 32000 :]))

    def _think_ahead(self, item_id: str, text: str) -> Answer | None:
        context = self._context
        try:
            params = context.params()
        except WireError:
            return None
        prompt = context.prompt(params, heard_item(item_id, text))
        return context.think(prompt, context.speaker(params), held=True)

    def _add(self, item_id: str, taken: Committed, words: asyncio.Future[str]) -> None:
        """committed, item.added, item.done; the words follow when they are there."""
        context = self._context
        previous = context.items.last_id()
        item = context.items.add_user_audio(item_id, taken.wire, taken.format)
        context.send(events.input_audio_buffer_committed(item_id, previous))
        context.send(events.conversation_item_added(item, previous))
        context.send(events.conversation_item_done(item, previous))
        self._transcription.publish(item_id, words, taken.end_ms - taken.start_ms)

    def _start_over(self) -> None:
        """The buffer was emptied by hand: detection begins anew behind it."""
        if self._detector is not None:
            self._detector.reset(self._buffer.frames_ms)

    def _forget_speech(self) -> None:
        if self._guess is not None:
            self._guess.drop()
            self._guess = None
        self._item_id = ""
        self._settled, self._settled_ms = "", 0


def heard_item(item_id: str, text: str) -> dict[str, Any]:
    """A committed user item as Items.prompt() will give it."""
    return {
        "id": item_id,
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": text}],
    }


def _from(taken: Committed, from_ms: int) -> bytes:
    """The part of the sound behind ``from_ms``, whose words are settled."""
    return taken.pcm16k[max(0, from_ms - taken.start_ms) * 32 :]
