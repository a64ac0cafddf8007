"""Server events as the Realtime API sends them (GA), for ``ScriptedTransport.emit``.

Those of one answer come as a list, in the service's order:
``line.emit(*server.spoken("We are open.", to=await line.expect_event("response.create")))``.
``to`` is the call that asked for the answer: the server repeats the metadata of the request, and
the session knows its own by it. Ids that are left out are made up, ``resp_1``, ``item_2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from runner.codec import b64encode, dumps
from runner.testing.calls import Call

Event = dict[str, Any]

_numbers = count(1)


def session_created(session: Mapping[str, Any] | None = None) -> Event:
    return {"type": "session.created", "session": {"id": "sess_1", **(session or {})}}


def session_updated(session: Mapping[str, Any]) -> Event:
    return {"type": "session.updated", "session": dict(session)}


def error(code: str, message: str = "", *, event_id: str | None = None, **fields: Any) -> Event:
    """``event_id`` of the client event that was refused."""
    body = {"type": "invalid_request_error", "code": code, "message": message or code}
    return {"type": "error", "error": {**body, "event_id": event_id, **fields}}


# The caller -----------------------------------------------------------------------------------
def speech_started(item_id: str = "item_u", audio_start_ms: int = 0) -> Event:
    return {
        "type": "input_audio_buffer.speech_started",
        "item_id": item_id,
        "audio_start_ms": audio_start_ms,
    }


def speech_stopped(item_id: str = "item_u", audio_end_ms: int = 0) -> Event:
    return {
        "type": "input_audio_buffer.speech_stopped",
        "item_id": item_id,
        "audio_end_ms": audio_end_ms,
    }


def heard(text: str, item_id: str = "item_u", audio_end_ms: int = 0) -> list[Event]:
    """The caller has ended a sentence, and these were the words."""
    part = {"type": "input_audio", "transcript": None}
    item = {"id": item_id, "type": "message", "role": "user", "status": "completed"}
    transcribed = "conversation.item.input_audio_transcription.completed"
    return [
        speech_stopped(item_id, audio_end_ms),
        {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None},
        *_item({**item, "content": [part]}),
        {"type": transcribed, "item_id": item_id, "content_index": 0, "transcript": text},
    ]


# The agent ------------------------------------------------------------------------------------
def response_created(response_id: str, to: Call | None = None) -> Event:
    asked = to.event.get("response", {}) if to is not None else {}
    response = {"id": response_id, "status": "in_progress", "output": []}
    return {
        "type": "response.created",
        "response": {**response, "metadata": asked.get("metadata")},
    }


def response_done(
    response_id: str, status: str = "completed", output: list[Event] | None = None, **fields: Any
) -> Event:
    response = {"id": response_id, "status": status, "output": output or [], **fields}
    return {"type": "response.done", "response": response}


def audio_delta(response_id: str, item_id: str, audio: bytes, content_index: int = 0) -> Event:
    """``audio`` in the session's output format."""
    return {
        "type": "response.output_audio.delta",
        "response_id": response_id,
        "item_id": item_id,
        "output_index": 0,
        "content_index": content_index,
        "delta": b64encode(audio),
    }


def spoken(
    text: str,
    audio: bytes = b"",
    *,
    to: Call | None = None,
    response_id: str | None = None,
    item_id: str | None = None,
) -> list[Event]:
    """A whole spoken answer. Without ``audio`` only its words."""
    response, item = response_id or _id("resp"), item_id or _id("item")
    at = _at(response, item)
    body = {"id": item, "type": "message", "role": "assistant"}
    whole = {**body, "status": "completed", "content": [_audio_part(text)]}
    return [
        response_created(response, to),
        *_output({**body, "status": "in_progress", "content": []}, response, "added"),
        {"type": "response.content_part.added", **at, "part": {"type": "audio", "transcript": ""}},
        {"type": "response.output_audio_transcript.delta", **at, "delta": text},
        *([audio_delta(response, item, audio)] if audio else []),
        {"type": "response.output_audio.done", **at},
        {"type": "response.output_audio_transcript.done", **at, "transcript": text},
        *_output(whole, response, "done"),
        response_done(response, output=[whole]),
    ]


def written(
    text: str,
    *,
    to: Call | None = None,
    response_id: str | None = None,
    item_id: str | None = None,
) -> list[Event]:
    """A whole answer in text."""
    response, item = response_id or _id("resp"), item_id or _id("item")
    at = _at(response, item)
    body = {"id": item, "type": "message", "role": "assistant"}
    content = [{"type": "output_text", "text": text}]
    whole = {**body, "status": "completed", "content": content}
    return [
        response_created(response, to),
        *_output({**body, "status": "in_progress", "content": []}, response, "added"),
        {"type": "response.content_part.added", **at, "part": {"type": "text", "text": ""}},
        {"type": "response.output_text.delta", **at, "delta": text},
        {"type": "response.output_text.done", **at, "text": text},
        *_output(whole, response, "done"),
        response_done(response, output=[whole]),
    ]


def tool_call(
    name: str,
    arguments: Mapping[str, Any] | str = "{}",
    *,
    to: Call | None = None,
    call_id: str | None = None,
    response_id: str | None = None,
    item_id: str | None = None,
) -> list[Event]:
    """A whole answer that calls a tool; ``arguments`` as JSON text may be broken on purpose."""
    response, item = response_id or _id("resp"), item_id or _id("item")
    text = arguments if isinstance(arguments, str) else dumps(arguments)
    call = {"id": item, "type": "function_call", "name": name, "call_id": call_id or _id("call")}
    whole = {**call, "status": "completed", "arguments": text}
    at = {"response_id": response, "item_id": item, "output_index": 0, "call_id": call["call_id"]}
    done = "response.function_call_arguments.done"
    return [
        response_created(response, to),
        *_output({**call, "status": "in_progress", "arguments": ""}, response, "added"),
        {"type": done, **at, "name": name, "arguments": text},
        *_output(whole, response, "done"),
        response_done(response, output=[whole]),
    ]


def _id(kind: str) -> str:
    return f"{kind}_{next(_numbers)}"


def _at(response_id: str, item_id: str) -> Event:
    return {
        "response_id": response_id,
        "item_id": item_id,
        "output_index": 0,
        "content_index": 0,
    }


def _audio_part(text: str) -> Event:
    return {"type": "output_audio", "transcript": text}


def _item(item: Event) -> list[Event]:
    return [
        {"type": "conversation.item.added", "previous_item_id": None, "item": item},
        {"type": "conversation.item.done", "previous_item_id": None, "item": item},
    ]


def _output(item: Event, response_id: str, stage: str) -> list[Event]:
    """An output item stands in the response and in the conversation."""
    of_response = {"response_id": response_id, "output_index": 0, "item": item}
    return [
        {"type": f"response.output_item.{stage}", **of_response},
        {"type": f"conversation.item.{stage}", "item": item},
    ]
