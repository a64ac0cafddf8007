"""What the server says: one handler an event type, found by one look into a dict.

Unknown events are passed over (they reach ``*`` listeners by the transport), repeated ones change
nothing, and an event that cannot be read is reported and does not end the call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from runner.core.effects import Effects, Notify
from runner.core.events import (
    AgentEnd,
    AgentStart,
    AudioStopped,
    HistoryUpdated,
    IdleTimeout,
    Interrupted,
    RateLimits,
    SessionError,
    SpeechStarted,
    SpeechStopped,
    TranscriptDelta,
)
from runner.core.machinery import ANSWER_OWED, Machinery
from runner.core.playback import rate_of
from runner.core.tools import whole
from runner.core.turns import Response

Event = Mapping[str, Any]

#: Errors that say a thing was over already; nobody needs to hear of them.
_HARMLESS = frozenset({"response_cancel_not_active"})
#: What we sent in good faith and the server may find too late.
_TOO_LATE = frozenset({"cancel", "truncate", "clear"})
#: After these the server does nothing more in this session.
_FATAL = frozenset({"session_expired", "insufficient_quota", "invalid_api_key"})


class Dispatch(Machinery):
    """``receive`` and its handlers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Deltas: no machine has anything to decide on them.
        self._hot: dict[str, Callable[[Any], Effects]] = {
            "response.output_audio_transcript.delta": self._audio_text_delta,
            "response.output_text.delta": self._text_delta,
            "conversation.item.input_audio_transcription.delta": self._user_delta,
        }
        self._handlers: dict[str, Callable[[Any, float], None]] = {
            "session.created": self._session_created,
            "session.updated": self._session_updated,
            "error": self._error,
            "rate_limits.updated": self._rate_limits,
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            "input_audio_buffer.committed": self._committed,
            "input_audio_buffer.cleared": self._input_cleared,
            "input_audio_buffer.timeout_triggered": self._timeout_triggered,
            "conversation.item.added": self._item,
            "conversation.item.created": self._item,
            "conversation.item.done": self._item,
            "conversation.item.retrieved": self._item,
            "conversation.item.deleted": self._item_deleted,
            "conversation.item.truncated": self._item_truncated,
            "conversation.item.input_audio_transcription.completed": self._user_text,
            "conversation.item.input_audio_transcription.failed": self._user_text_failed,
            "response.created": self._response_created,
            "response.done": self._response_done,
            "response.output_item.added": self._output_item,
            "response.output_item.done": self._output_item,
            "response.content_part.added": self._content_part,
            "response.output_audio_transcript.done": self._audio_text_done,
            "response.output_text.done": self._text_done,
            "response.output_audio.done": self._audio_done,
            "response.function_call_arguments.done": self._arguments_done,
            "output_audio_buffer.started": self._buffer_started,
            "output_audio_buffer.stopped": self._buffer_stopped,
            "output_audio_buffer.cleared": self._buffer_cleared,
        }

    def receive(self, event: dict[str, Any], now: float) -> Effects:
        """Take in any server event, known or not; it is never changed."""
        self._touched = now
        try:
            kind = event["type"]
            hot = self._hot.get(kind)
            if hot is not None:
                return hot(event)
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(event, now)
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
        late = self._out.purpose(event_id) in _TOO_LATE
        if ours or late or code in _HARMLESS or message.startswith("Cancellation failed"):
            return
        self._out.tell(SessionError(code, message, code in _FATAL, event_id))

    def _rate_limits(self, event: Event, now: float) -> None:
        self._out.tell(RateLimits(tuple(event["rate_limits"])))

    # -- the caller ------------------------------------------------------------------------
    def _speech_started(self, event: Event, now: float) -> None:
        self._out.tell(SpeechStarted(event["item_id"], int(event.get("audio_start_ms") or 0)))
        self._caller.started(event["item_id"])
        self._owed_until = None
        if not self._server_plays and self._turn_detection("interrupt_response"):
            # The server ends its response by itself; a cancel of ours would come too late.
            self._cut(cancel=False)

    def _speech_stopped(self, event: Event, now: float) -> None:
        end_ms = int(event.get("audio_end_ms") or 0)
        self._caller.stopped(event["item_id"])
        detection = self._settings.get("audio.input.turn_detection")
        self._turns.ask(self._caller.end_of_speech(end_ms, detection, now))
        if self._turn_detection("create_response"):
            self._owed_until = now + ANSWER_OWED
        self._out.tell(SpeechStopped(event["item_id"], end_ms))

    def _turn_detection(self, key: str) -> bool:
        """A switch of the effective turn detection; on unless it says otherwise."""
        detection = self._settings.get("audio.input.turn_detection")
        return not (isinstance(detection, Mapping) and detection.get(key) is False)

    def _committed(self, event: Event, now: float) -> None:
        self._caller.speaking = False
        if self._settings.get("audio.input.turn_detection") is None:
            self._turns.ask(self._caller.last_audio(now))

    def _input_cleared(self, event: Event, now: float) -> None:
        self._caller.speaking = False

    def _timeout_triggered(self, event: Event, now: float) -> None:
        self._out.tell(IdleTimeout(event["item_id"]))

    def _user_delta(self, event: Event) -> Effects:
        item_id, delta = event["item_id"], event.get("delta") or ""
        self._history.delta(item_id, event.get("content_index") or 0, delta, "input_audio")
        self._out.add(Notify(TranscriptDelta("user", item_id, delta)))
        return self._out.take()

    def _user_text(self, event: Event, now: float) -> None:
        entry, new = self._history.heard_user(
            event["item_id"], event.get("content_index") or 0, event["transcript"]
        )
        self._tell_item(entry, new)
        if entry is not None:
            self._tell_text(entry, empty=True)

    def _user_text_failed(self, event: Event, now: float) -> None:
        error = event.get("error") or {}
        message = str(error.get("message") or "the caller's words could not be transcribed")
        self._out.tell(SessionError(str(error.get("code") or "transcription_failed"), message))

    # -- items -----------------------------------------------------------------------------
    def _item(self, event: Event, now: float) -> None:
        entry, new = self._history.upsert(event["type"], event)
        self._tell_item(entry, new)
        if entry is not None and entry.status != "in_progress":
            # What a caller said in audio is told by its transcription, when that is done.
            spoken = entry.role == "user" and any(p.kind == "input_audio" for p in entry.parts)
            if not spoken:
                self._tell_text(entry)

    def _item_deleted(self, event: Event, now: float) -> None:
        if self._history.delete(event["item_id"]):
            self._out.tell(HistoryUpdated(event["item_id"]))

    def _item_truncated(self, event: Event, now: float) -> None:
        entry = self._history.heard(event["item_id"], int(event["audio_end_ms"]))
        self._tell_item(entry, False)

    # -- responses -------------------------------------------------------------------------
    def _response_created(self, event: Event, now: float) -> None:
        response = event["response"]
        response_id = response["id"]
        if response_id not in self._turns.open and not self._turns.is_over(response_id):
            self._begin(response_id, response, now)

    def _begin(self, response_id: str, wire: Event, now: float) -> Response:
        request, unwanted = self._responses.created(response_id, wire.get("metadata"), now)
        self._owed_until = None
        audio = (wire.get("audio") or {}).get("output") or {}
        response = Response(
            response_id,
            self._view,
            made_by="server" if request is None else request.kind,
            purpose="" if request is None else request.purpose,
            rate=rate_of(audio.get("format"), self._rate),
            beside=request is not None and request.beside,
        )
        if request is not None:
            response.tools = request.params.get("tools")
        if response.beside:
            self._beside[response_id] = None
        self._turns.begin(response)
        self._out.tell(AgentStart(response.agent, response_id))
        if unwanted:
            self._playback.refuse(response_id)
            self._cancel(response)
            response.go("cut")
        return response

    def _response_done(self, event: Event, now: float) -> None:
        wire = event["response"]
        response_id = wire["id"]
        response = self._turns.open.get(response_id)
        if response is None:
            if self._turns.is_over(response_id):
                return
            response = self._begin(response_id, wire, now)
        if response.done:
            return
        status = str(wire.get("status") or "completed")
        details = wire.get("status_details") or {}
        self._tell_texts(wire)
        response.go("done")
        self._responses.done(response_id)
        if self._ledger.response_done(response_id, cancelled=status == "cancelled"):
            self._responses.add("auto")
        self._out.tell(
            AgentEnd(
                response.agent,
                response_id,
                status,
                _last_text(wire.get("output") or ()),
                details.get("reason"),
                wire.get("usage") or {},
            )
        )
        if status == "failed":
            error = details.get("error") or {}
            code = str(error.get("code") or error.get("type") or "response_failed")
            message = str(error.get("message") or "the server could not make a response")
            self._out.tell(SessionError(code, message, code in _FATAL))

    def _tell_texts(self, wire: Event) -> None:
        """The texts of items that no other event has finished."""
        for item in wire.get("output") or ():
            entry = self._history.get(item.get("id", ""))
            if entry is not None and entry.role == "assistant":
                self._tell_text(entry)

    def _output_item(self, event: Event, now: float) -> None:
        item = event["item"]
        response = self._turns.open.get(event["response_id"])
        if event["response_id"] in self._beside:
            return
        entry, new = self._history.upsert(event["type"], event)
        self._tell_item(entry, new)
        if entry is None:
            return
        if entry.kind == "message" and response is not None:
            response.item_id = entry.item_id
        if event["type"] != "response.output_item.done":
            return
        if entry.kind == "function_call":
            if item.get("status") in ("completed", None):
                call_id = item.get("call_id") or item["id"]
                arguments = item.get("arguments") or ""
                owner = self._turns.owner(event["response_id"], self._view)
                self._call(owner, item["id"], call_id, item["name"], arguments)
        else:
            self._tell_text(entry)

    def _arguments_done(self, event: Event, now: float) -> None:
        response = self._turns.owner(event["response_id"], self._view)
        if response.beside:
            return
        entry = self._history.get(event["item_id"])
        name = event.get("name") or (None if entry is None else entry.name)
        # Cut off in the middle, a server closes the arguments as they are.
        if name and whole(event["arguments"]):
            call_id = event.get("call_id") or event["item_id"]
            self._call(response, event["item_id"], call_id, name, event["arguments"])

    def _content_part(self, event: Event, now: float) -> None:
        if event["response_id"] in self._beside:
            return
        entry = self._history.assistant(event["item_id"])
        if entry is not None:
            audio = event["part"].get("type") in ("audio", "output_audio")
            entry.part(event["content_index"], "output_audio" if audio else "output_text")

    def _audio_text_delta(self, event: Event) -> Effects:
        return self._spoken_delta(event, "output_audio")

    def _text_delta(self, event: Event) -> Effects:
        return self._spoken_delta(event, "output_text")

    def _spoken_delta(self, event: Event, kind: str) -> Effects:
        item_id, delta = event["item_id"], event["delta"]
        if not self._beside or event.get("response_id") not in self._beside:
            self._history.delta(item_id, event["content_index"], delta, kind)
        out = self._out
        out.effects.append(Notify(TranscriptDelta("assistant", item_id, delta)))
        return out.take()

    def _audio_text_done(self, event: Event, now: float) -> None:
        self._spoken(event, event["transcript"], "output_audio")

    def _text_done(self, event: Event, now: float) -> None:
        self._spoken(event, event["text"], "output_text")

    def _spoken(self, event: Event, text: str, kind: str) -> None:
        response = self._turns.open.get(event["response_id"])
        if response is not None:
            response.wrote = True
        if event["response_id"] in self._beside:
            return
        entry = self._history.assistant(event["item_id"])
        if entry is not None:
            self._history.finish_text(entry, event.get("content_index") or 0, text, kind)
            self._tell_item(entry, False)
            self._tell_text(entry)

    def _audio_done(self, event: Event, now: float) -> None:
        self._playback.complete(event["item_id"], event.get("content_index") or 0)
        response = self._turns.open.get(event["response_id"])
        if response is not None:
            response.wrote = True
            self._settings.voiced = True
        self._out.tell(AudioStopped(event["response_id"]))

    # -- playback, where the server owns it ------------------------------------------------
    def _buffer_started(self, event: Event, now: float) -> None:
        response = self._turns.open.get(event["response_id"])
        if self._server_plays and response is not None and response.playing_since is None:
            response.playing_since = now
            self._sounds(response, "", now)

    def _buffer_stopped(self, event: Event, now: float) -> None:
        self._stop_sounding(event["response_id"], now)

    def _buffer_cleared(self, event: Event, now: float) -> None:
        response = self._stop_sounding(event["response_id"], now)
        if response is not None:
            entry = self._history.get(response.item_id)
            # The server's own truncation is exact; what we saw of its buffer is near it.
            exact = None if entry is None else entry.heard_ms
            heard = int(response.played_ms) if exact is None else exact
            response.go("cut")
            self._out.tell(Interrupted(response.agent, response.item_id, heard))

    def _stop_sounding(self, response_id: str, now: float) -> Response | None:
        response = self._turns.open.get(response_id)
        if response is None or response.playing_since is None:
            return None
        response.played_ms += (now - response.playing_since) * 1000
        response.playing_since = None
        return response


def _last_text(output: Any) -> str:
    """The text of the last message that has one; a call after it does not hide it."""
    for item in reversed(output):
        if item.get("type") == "message":
            for part in reversed(item.get("content") or ()):
                text = part.get("text") or part.get("transcript")
                if text:
                    return str(text)
    return ""


def _complaint(event: object, error: Exception) -> str:
    kind = event.get("type") if isinstance(event, Mapping) else None
    if isinstance(error, KeyError):
        return f"{kind or 'an event'} lacks {error.args[0]!r}"
    return f"{kind or 'an event'} cannot be read: {error}"
