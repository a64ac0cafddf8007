"""What the server says: one handler an event type, found by one look into a dict.

Unknown events are passed over (they reach ``*`` listeners by the transport), repeated ones change
nothing, and an event that cannot be read is reported and does not end the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.core.answers import Answers
from runner.core.effects import Effects, Notify
from runner.core.events import (
    HistoryUpdated,
    IdleTimeout,
    RateLimits,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
)
from runner.core.machinery import ANSWER_OWED
from runner.errors import FATAL

Event = Mapping[str, Any]

#: Errors that say a thing was over already; nobody needs to hear of them.
_HARMLESS = frozenset({"response_cancel_not_active"})
#: What we sent in good faith and the server may find too late.
_TOO_LATE = frozenset({"cancel", "truncate", "clear", "again"})


class Dispatch(Answers):
    """``receive`` and its handlers."""

    def receive(self, event: dict[str, Any], now: float) -> Effects:
        """Take in any server event, known or not; it is never changed."""
        self._touched = now
        try:
            kind = event["type"]
            hot = _HOT.get(kind)
            if hot is not None:
                return hot(self, event)
            handler = _HANDLERS.get(kind)
            if handler is not None:
                handler(self, event, now)
        except Exception as error:  # one bad event must not end the call
            self._out.tell(SessionError("bad_event", _complaint(event, error)))
        return self._finish(now)

    # -- session ---------------------------------------------------------------------------
    def _session_created(self, event: Event, now: float) -> None:
        self._settings.created(event["session"])
        self._read_rate()

    def _session_updated(self, event: Event, now: float) -> None:
        outcome = self._settings.updated(event["session"])
        self._read_rate()
        if outcome is not None:
            self._settled(outcome)

    def _error(self, event: Event, now: float) -> None:
        error = event["error"]
        kind = str(error.get("type") or "")
        code = str(error.get("code") or kind or "error")
        message = str(error.get("message") or code)
        event_id = error.get("event_id")
        if self._responses.refused(event_id, code, kind, message, now):
            return
        ours, outcome = self._settings.refused(event_id, code, message, error.get("param"))
        if outcome is not None:
            self._settled(outcome)
        purpose = self._out.purpose(event_id)
        if purpose == "replay" and event_id is not None:
            self._link.replaying.pop(event_id, None)
        late = purpose in _TOO_LATE
        if ours or late or code in _HARMLESS or message.startswith("Cancellation failed"):
            return
        self._out.tell(SessionError(code, message, code in FATAL, event_id))

    def _rate_limits(self, event: Event, now: float) -> None:
        self._out.tell(RateLimits(tuple(event["rate_limits"])))

    # -- the caller ------------------------------------------------------------------------
    def _speech_started(self, event: Event, now: float) -> None:
        self._out.tell(SpeechStarted(event["item_id"], int(event.get("audio_start_ms") or 0)))
        self._caller.started(event["item_id"])
        self._approvals.turn_began()
        start_ms = event.get("audio_start_ms")
        self._link.unheard[event["item_id"]] = (
            start_ms if isinstance(start_ms, (int, float)) else self._caller.total_ms
        )
        self._ending.call_off()
        self._link.owed_until = None
        if (
            not self._server_plays
            and self._turn_detection("interrupt_response")
            and not self._uncut()
        ):
            # The server ends its response by itself; a cancel of ours would come too late.
            self._cut(cancel=False)

    def _speech_stopped(self, event: Event, now: float) -> None:
        end_ms = int(event.get("audio_end_ms") or 0)
        self._caller.stopped(event["item_id"])
        if self._settings.get("audio.input.transcription") is None:
            self._link.unheard.pop(event["item_id"], None)
        detection = self._settings.get("audio.input.turn_detection")
        self._turns.ask(self._caller.end_of_speech(end_ms, detection, now))
        if self._turn_detection("create_response"):
            self._link.owed_until = now + ANSWER_OWED
        self._out.tell(SpeechStopped(event["item_id"], end_ms))

    def _committed(self, event: Event, now: float) -> None:
        self._caller.speaking = False
        if self._settings.get("audio.input.turn_detection") is None:
            self._turns.ask(self._caller.last_audio(now))
            began = self._caller.committed()
            if self._settings.get("audio.input.transcription") is not None:
                self._link.unheard[event["item_id"]] = began

    def _input_cleared(self, event: Event, now: float) -> None:
        self._caller.speaking = False
        self._caller.turn_ms = self._caller.total_ms
        for item_id in tuple(self._link.unheard):
            if self._history.get(item_id) is None:  # it was no turn yet, and will be none
                del self._link.unheard[item_id]

    def _timeout_triggered(self, event: Event, now: float) -> None:
        self._out.tell(IdleTimeout(event["item_id"]))

    def _user_delta(self, event: Event) -> Effects:
        item_id, delta = event["item_id"], event.get("delta") or ""
        self._history.delta(item_id, event.get("content_index") or 0, delta, "input_audio")
        self._out.add(Notify(TranscriptDelta("user", item_id, delta)))
        return self._out.take()

    def _user_text(self, event: Event, now: float) -> None:
        self._link.unheard.pop(event["item_id"], None)
        entry, new = self._history.heard_user(
            event["item_id"], event.get("content_index") or 0, event["transcript"]
        )
        self._tell_item(entry, new)
        if entry is not None:
            self._tell_text(entry, empty=True)
            self._heard_words(entry.item_id, event["transcript"], now)

    def _user_text_failed(self, event: Event, now: float) -> None:
        error = event.get("error") or {}
        message = str(error.get("message") or "the caller's words could not be transcribed")
        self._link.unheard.pop(event["item_id"], None)
        self._hear_consent(None, now)
        self._out.tell(SessionError(str(error.get("code") or "transcription_failed"), message))

    def _key_pressed(self, event: Event, now: float) -> None:
        self._press(str(event["event"]), now)

    # -- items -----------------------------------------------------------------------------
    def _heard_words(self, item_id: str, text: str, now: float, *, typed: bool = False) -> None:
        """A finished turn of the caller, in words."""
        self._hear_consent(text, now, typed=typed)
        if text.strip():
            self._silence.words()
            self._spoke_instead()
            if self._view.rules.checks_input:
                self._look("input", self._view.name, "", item_id, text, True)

    def _item(self, event: Event, now: float) -> None:
        item = event["item"]
        again = self._link.confirm(str(item.get("id")))
        stands = self._history.get(str(item.get("id")))
        if stands is not None and stands.kind == "mcp_call" and item.get("type") == "message":
            return  # it was told to a new line in words, and is what it is all the same
        entry, new = self._history.upsert(event["type"], event)
        if entry is not None and entry.item_id in self._link.rewritten:
            entry.told = True
            return
        if not again:
            self._tell_item(entry, new)
        if event["type"] == "conversation.item.done" and entry is not None:
            if entry.kind == "mcp_list_tools":
                self._mcp_listed(item)
            elif entry.kind.startswith("mcp_"):
                self._mcp_item(entry.kind, item, entry, now)
        if entry is not None and entry.status != "in_progress":
            # What a caller said in audio is told by its transcription, when that is done.
            spoken = entry.role == "user" and any(p.kind == "input_audio" for p in entry.parts)
            if not spoken:
                typed = entry.role == "user" and not entry.told
                self._tell_text(entry)
                if typed and entry.text:
                    self._heard_words(entry.item_id, entry.text, now, typed=True)

    def _item_deleted(self, event: Event, now: float) -> None:
        if event["item_id"] in self._link.rewritten:
            return
        if self._history.delete(event["item_id"]):
            self._out.tell(HistoryUpdated(event["item_id"]))

    def _item_truncated(self, event: Event, now: float) -> None:
        entry = self._history.heard(event["item_id"], int(event["audio_end_ms"]))
        self._tell_item(entry, False)


def _complaint(event: object, error: Exception) -> str:
    kind = event.get("type") if isinstance(event, Mapping) else None
    if isinstance(error, KeyError):
        return f"{kind or 'an event'} lacks {error.args[0]!r}"
    return f"{kind or 'an event'} cannot be read: {error}"


#: Deltas: no machine has anything to decide on them. One table for all calls.
_HOT: Mapping[str, Callable[[Dispatch, Any], Effects]] = {
    "response.output_audio_transcript.delta": Dispatch._audio_text_delta,
    "response.output_text.delta": Dispatch._text_delta,
    "conversation.item.input_audio_transcription.delta": Dispatch._user_delta,
}
_HANDLERS: Mapping[str, Callable[[Dispatch, Any, float], None]] = {
    "session.created": Dispatch._session_created,
    "session.updated": Dispatch._session_updated,
    "error": Dispatch._error,
    "rate_limits.updated": Dispatch._rate_limits,
    "input_audio_buffer.speech_started": Dispatch._speech_started,
    "input_audio_buffer.speech_stopped": Dispatch._speech_stopped,
    "input_audio_buffer.committed": Dispatch._committed,
    "input_audio_buffer.cleared": Dispatch._input_cleared,
    "input_audio_buffer.dtmf_event_received": Dispatch._key_pressed,
    "input_audio_buffer.timeout_triggered": Dispatch._timeout_triggered,
    "conversation.item.added": Dispatch._item,
    "conversation.item.created": Dispatch._item,
    "conversation.item.done": Dispatch._item,
    "conversation.item.retrieved": Dispatch._item,
    "conversation.item.deleted": Dispatch._item_deleted,
    "conversation.item.truncated": Dispatch._item_truncated,
    "conversation.item.input_audio_transcription.completed": Dispatch._user_text,
    "conversation.item.input_audio_transcription.failed": Dispatch._user_text_failed,
    "response.created": Dispatch._response_created,
    "response.done": Dispatch._response_done,
    "response.output_item.added": Dispatch._output_item,
    "response.output_item.done": Dispatch._output_item,
    "response.content_part.added": Dispatch._content_part,
    "response.output_audio_transcript.done": Dispatch._audio_text_done,
    "response.output_text.done": Dispatch._text_done,
    "response.output_audio.done": Dispatch._audio_done,
    "response.function_call_arguments.done": Dispatch._arguments_done,
    "output_audio_buffer.started": Dispatch._buffer_started,
    "output_audio_buffer.stopped": Dispatch._buffer_stopped,
    "output_audio_buffer.cleared": Dispatch._buffer_cleared,
}
