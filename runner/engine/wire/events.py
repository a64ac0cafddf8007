"""One function per server event, named as its type with underscores; each gives a fresh dict
with an ``event_id`` of its own.

Source of the fields: the server events of OpenAI's Realtime API reference (GA). Items are wire
views (Items.wire), sessions Settings.effective().
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner import codec
from runner.engine.wire.errors import WireError
from runner.engine.wire.ids import new_id

Event = dict[str, Any]
Item = Mapping[str, Any]


def _event(type: str, **fields: Any) -> Event:
    return {"type": type, "event_id": new_id("event"), **fields}


# The session ---------------------------------------------------------------------------------


def session_created(session: Mapping[str, Any]) -> Event:
    return _event("session.created", session=session)


def session_updated(session: Mapping[str, Any]) -> Event:
    return _event("session.updated", session=session)


def conversation_created(conversation_id: str) -> Event:
    return _event(
        "conversation.created",
        conversation={"id": conversation_id, "object": "realtime.conversation"},
    )


def error(error: WireError) -> Event:
    return error.event()


def rate_limits_updated(remaining: int, limit: int, reset_seconds: float = 0.0) -> Event:
    """``tokens`` is the one limit that the service is seen to name."""
    tokens = {
        "name": "tokens",
        "limit": limit,
        "remaining": remaining,
        "reset_seconds": reset_seconds,
    }
    return _event("rate_limits.updated", rate_limits=[tokens])


# Conversation items --------------------------------------------------------------------------


def conversation_item_added(item: Item, previous_item_id: str | None) -> Event:
    return _event("conversation.item.added", previous_item_id=previous_item_id, item=item)


def conversation_item_done(item: Item, previous_item_id: str | None) -> Event:
    return _event("conversation.item.done", previous_item_id=previous_item_id, item=item)


def conversation_item_deleted(item_id: str) -> Event:
    return _event("conversation.item.deleted", item_id=item_id)


def conversation_item_retrieved(item: Item) -> Event:
    """``item`` from Items.retrieve, with its audio."""
    return _event("conversation.item.retrieved", item=item)


def conversation_item_truncated(item_id: str, content_index: int, audio_end_ms: int) -> Event:
    return _event(
        "conversation.item.truncated",
        item_id=item_id,
        content_index=content_index,
        audio_end_ms=audio_end_ms,
    )


def transcription_delta(item_id: str, delta: str, content_index: int = 0) -> Event:
    return _event(
        "conversation.item.input_audio_transcription.delta",
        item_id=item_id,
        content_index=content_index,
        delta=delta,
    )


def transcription_completed(
    item_id: str, transcript: str, usage: Mapping[str, Any], content_index: int = 0
) -> Event:
    """``usage`` from usage.transcription."""
    return _event(
        "conversation.item.input_audio_transcription.completed",
        item_id=item_id,
        content_index=content_index,
        transcript=transcript,
        usage=usage,
    )


def transcription_segment(
    item_id: str, text: str, start: float, end: float, speaker: str, content_index: int = 0
) -> Event:
    """``start`` and ``end`` in seconds of the item; ``speaker`` a label such as ``A``."""
    return _event(
        "conversation.item.input_audio_transcription.segment",
        item_id=item_id,
        content_index=content_index,
        id=new_id("seg"),
        text=text,
        speaker=speaker,
        start=round(start, 2),
        end=round(end, 2),
    )


def transcription_failed(
    item_id: str, message: str, code: str = "transcription_failed", content_index: int = 0
) -> Event:
    # No null in here: a client of OpenAI's own refuses it.
    return _event(
        "conversation.item.input_audio_transcription.failed",
        item_id=item_id,
        content_index=content_index,
        error={"type": "transcription_error", "code": code, "message": message},
    )


# The caller's audio --------------------------------------------------------------------------


def input_audio_buffer_speech_started(item_id: str, audio_start_ms: int) -> Event:
    """Offset from the first sample of the session, prefix padding included."""
    return _event(
        "input_audio_buffer.speech_started", audio_start_ms=audio_start_ms, item_id=item_id
    )


def input_audio_buffer_speech_stopped(item_id: str, audio_end_ms: int) -> Event:
    return _event("input_audio_buffer.speech_stopped", audio_end_ms=audio_end_ms, item_id=item_id)


def input_audio_buffer_committed(item_id: str, previous_item_id: str | None) -> Event:
    return _event(
        "input_audio_buffer.committed", previous_item_id=previous_item_id, item_id=item_id
    )


def input_audio_buffer_cleared() -> Event:
    return _event("input_audio_buffer.cleared")


def input_audio_buffer_timeout_triggered(
    item_id: str, audio_start_ms: int, audio_end_ms: int
) -> Event:
    return _event(
        "input_audio_buffer.timeout_triggered",
        audio_start_ms=audio_start_ms,
        audio_end_ms=audio_end_ms,
        item_id=item_id,
    )


def input_audio_buffer_dtmf_event_received(key: str, received_at: int) -> Event:
    """SIP only; the one event without an ``event_id``. ``received_at`` in unix seconds."""
    return {
        "type": "input_audio_buffer.dtmf_event_received",
        "event": key,
        "received_at": received_at,
    }


# The played audio, WebRTC and SIP only -------------------------------------------------------


def output_audio_buffer_started(response_id: str) -> Event:
    return _event("output_audio_buffer.started", response_id=response_id)


def output_audio_buffer_stopped(response_id: str) -> Event:
    return _event("output_audio_buffer.stopped", response_id=response_id)


def output_audio_buffer_cleared(response_id: str) -> Event:
    return _event("output_audio_buffer.cleared", response_id=response_id)


# MCP servers ---------------------------------------------------------------------------------


def mcp_list_tools(step: str, item_id: str) -> Event:
    """``step`` is ``in_progress``, ``completed`` or ``failed``."""
    return _event(f"mcp_list_tools.{step}", item_id=item_id)


# Responses -----------------------------------------------------------------------------------


def response_created(response: Mapping[str, Any]) -> Event:
    return _event("response.created", response=response)


def response_done(response: Mapping[str, Any]) -> Event:
    return _event("response.done", response=response)


class Output:
    """The events about one output item of a response; ``item_id`` in all of them."""

    __slots__ = ("index", "item_id", "response_id")

    def __init__(self, response_id: str, item_id: str, index: int) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.index = index

    def _item(self, type: str, item: Item) -> Event:
        return _event(type, response_id=self.response_id, output_index=self.index, item=item)

    def _about(self, type: str, **fields: Any) -> Event:
        return _event(
            type,
            response_id=self.response_id,
            item_id=self.item_id,
            output_index=self.index,
            **fields,
        )

    def added(self, item: Item) -> Event:
        return self._item("response.output_item.added", item)

    def done(self, item: Item) -> Event:
        return self._item("response.output_item.done", item)

    def part_added(self, kind: str, content_index: int = 0) -> Event:
        """``kind`` is ``audio`` or ``text``: here, unlike in items, without ``output_``."""
        part = _part(kind, "")
        return self._about("response.content_part.added", content_index=content_index, part=part)

    def part_done(self, kind: str, text: str, content_index: int = 0) -> Event:
        part = _part(kind, text)
        return self._about("response.content_part.done", content_index=content_index, part=part)

    def audio_delta(self, audio: bytes, content_index: int = 0) -> Event:
        """``audio`` in the response's output format."""
        return self._about(
            "response.output_audio.delta",
            content_index=content_index,
            delta=codec.b64encode(audio),
        )

    def audio_done(self, content_index: int = 0) -> Event:
        return self._about("response.output_audio.done", content_index=content_index)

    def transcript_delta(self, delta: str, content_index: int = 0) -> Event:
        return self._about(
            "response.output_audio_transcript.delta", content_index=content_index, delta=delta
        )

    def transcript_done(self, transcript: str, content_index: int = 0) -> Event:
        return self._about(
            "response.output_audio_transcript.done",
            content_index=content_index,
            transcript=transcript,
        )

    def text_delta(self, delta: str, content_index: int = 0) -> Event:
        return self._about("response.output_text.delta", content_index=content_index, delta=delta)

    def text_done(self, text: str, content_index: int = 0) -> Event:
        return self._about("response.output_text.done", content_index=content_index, text=text)

    def arguments_delta(self, call_id: str, delta: str) -> Event:
        return self._about("response.function_call_arguments.delta", call_id=call_id, delta=delta)

    def arguments_done(self, call_id: str, name: str, arguments: str) -> Event:
        return self._about(
            "response.function_call_arguments.done",
            call_id=call_id,
            name=name,
            arguments=arguments,
        )

    def mcp_arguments_delta(self, delta: str) -> Event:
        return self._about("response.mcp_call_arguments.delta", delta=delta)

    def mcp_arguments_done(self, arguments: str) -> Event:
        return self._about("response.mcp_call_arguments.done", arguments=arguments)

    def mcp_call(self, step: str) -> Event:
        """``step`` is ``in_progress``, ``completed`` or ``failed``; no response_id here."""
        return _event(f"response.mcp_call.{step}", item_id=self.item_id, output_index=self.index)


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "audio":
        return {"type": "audio", "transcript": text}
    return {"type": "text", "text": text}
