"""Validation of client events, all eleven of them.

Source: the client events of OpenAI's Realtime API reference (GA). What is inside ``session``,
``item`` and ``response`` is checked where it is used: Settings.update, Items.create and
ResponseParams.parse.
"""

from __future__ import annotations

import binascii
from typing import Any

from runner.engine.wire.errors import WireError
from runner.engine.wire.shape import (
    Check,
    integer,
    is_object,
    nullable,
    record,
    tagged,
    text,
)

MAX_AUDIO_BYTES = 15 * 1024 * 1024
"""The most audio one input_audio_buffer.append may carry."""

_MAX_AUDIO_TEXT = (MAX_AUDIO_BYTES + 2) // 3 * 4

_EVENT_ID = nullable(text(512))
_ID = text()


def _event(fields: dict[str, Check] | None = None, required: tuple[str, ...] = ()) -> Check:
    return record({"type": text(), "event_id": _EVENT_ID, **(fields or {})}, required)


_EVENTS: dict[str, Check] = {
    "session.update": _event({"session": is_object}, ("session",)),
    "input_audio_buffer.append": _event({"audio": text(_MAX_AUDIO_TEXT)}, ("audio",)),
    "input_audio_buffer.commit": _event(),
    "input_audio_buffer.clear": _event(),
    "output_audio_buffer.clear": _event(),
    "conversation.item.create": _event(
        {"item": is_object, "previous_item_id": nullable(_ID)}, ("item",)
    ),
    "conversation.item.delete": _event({"item_id": _ID}, ("item_id",)),
    "conversation.item.retrieve": _event({"item_id": _ID}, ("item_id",)),
    "conversation.item.truncate": _event(
        {"item_id": _ID, "content_index": integer(0), "audio_end_ms": integer(0)},
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "response.create": _event({"response": nullable(is_object)}),
    "response.cancel": _event({"response_id": nullable(_ID)}),
}

CLIENT_EVENTS = tuple(_EVENTS)
"""The types of the eleven client events."""

_check = tagged(_EVENTS)


def check(event: Any) -> dict[str, Any]:
    """The event itself when its fields and their types are right.

    WireError otherwise, with the client's ``event_id`` in it: ``missing_required_parameter``,
    ``unknown_parameter``, ``invalid_type``, ``invalid_value`` (an unknown type), or a range or
    length code; ``invalid_event`` for JSON that is no object.
    """
    if not isinstance(event, dict):
        raise WireError("Invalid event: expected a JSON object.", code="invalid_event")
    try:
        _check(event, "")
    except WireError as error:
        raise error.about(client_event_id(event)) from None
    return event


def client_event_id(event: Any) -> str | None:
    """The ``event_id`` to answer to, None when there is no usable one."""
    value = event.get("event_id") if isinstance(event, dict) else None
    return value if isinstance(value, str) and len(value) <= 512 else None


def invalid_json() -> WireError:
    """The answer to a message that is not JSON."""
    return WireError("Invalid event: the message could not be parsed as JSON.", code="invalid_json")


def decode_audio(text: str, param: str = "audio") -> bytes:
    """The bytes behind base64 text. WireError ``invalid_value`` when it is none."""
    # The lenient decoder skips what is not in the alphabet; a client that sends a data URI or
    # raw bytes must hear of it instead of hearing noise. Line breaks, as MIME tools write them,
    # are the one exception.
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:
        raise WireError(
            f"Invalid '{param}'. Expected base64-encoded audio bytes.",
            code="invalid_value",
            param=param,
        ) from None
