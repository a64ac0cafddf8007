"""What a client may send as a conversation item.

Source: OpenAI's API reference (RealtimeConversationItem). SDKs write the keys they left out as
null, so null on an optional key reads as left out.
"""

from __future__ import annotations

from typing import Any

from runner.engine.wire.shape import (
    Check,
    anything,
    array,
    boolean,
    invalid,
    is_object,
    join,
    missing,
    not_one_of,
    nullable,
    one_of,
    record,
    tagged,
    text,
    wrong_type,
)

MAX_ID = 32
"""The service refuses longer item ids."""

_ID = text(MAX_ID, filled=True)

_COMMON: dict[str, Check] = {
    "type": text(),
    "id": _ID,
    "object": one_of("realtime.item"),
    "status": one_of("completed", "incomplete", "in_progress"),
}


def _image_url(value: Any, path: str) -> Any:
    text(filled=True)(value, path)
    if not value.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")):
        invalid(path, f"Invalid '{path}'. Expected a data URI with a base64-encoded PNG or JPEG.")
    return value


_INPUT_TEXT = record({"type": text(), "text": text()}, ("type", "text"), nulls=True)
_OUTPUT_TEXT = record({"type": text(), "text": text()}, ("type", "text"), nulls=True)
_INPUT_AUDIO = record(
    {"type": text(), "audio": text(), "transcript": text()}, ("type", "audio"), nulls=True
)
_INPUT_IMAGE = record(
    {"type": text(), "image_url": _image_url, "detail": one_of("auto", "low", "high")},
    ("type", "image_url"),
    nulls=True,
)

# Assistant audio cannot be made by a client, only text.
_CONTENT: dict[str, Check] = {
    "system": array(tagged({"input_text": _INPUT_TEXT})),
    "user": array(
        tagged(
            {"input_text": _INPUT_TEXT, "input_audio": _INPUT_AUDIO, "input_image": _INPUT_IMAGE}
        )
    ),
    "assistant": array(tagged({"output_text": _OUTPUT_TEXT})),
}


def _message(value: Any, path: str) -> Any:
    role_path = join(path, "role")
    if "role" not in value:
        missing(role_path)
    role = value["role"]
    if not isinstance(role, str):
        wrong_type(role_path, "a string", role)
    if role not in _CONTENT:
        not_one_of(role_path, role, tuple(_CONTENT))
    shape = record(
        {**_COMMON, "role": text(), "content": _CONTENT[role]},
        ("type", "role", "content"),
        nulls=True,
    )
    return shape(value, path)


_tool = record(
    {
        "name": text(filled=True),
        "description": text(),
        "input_schema": is_object,
        "annotations": anything,
    },
    ("name", "input_schema"),
    nulls=True,
)

check_item = tagged(
    {
        "message": _message,
        "function_call": record(
            {**_COMMON, "name": text(filled=True), "arguments": text(), "call_id": text()},
            ("type", "name", "arguments"),
            nulls=True,
        ),
        "function_call_output": record(
            {**_COMMON, "call_id": text(filled=True), "output": text()},
            ("type", "call_id", "output"),
            nulls=True,
        ),
        "mcp_list_tools": record(
            {"type": text(), "id": _ID, "server_label": text(), "tools": array(_tool)},
            ("type", "server_label", "tools"),
            nulls=True,
        ),
        "mcp_call": record(
            {
                "type": text(),
                "id": _ID,
                "server_label": text(),
                "name": text(),
                "arguments": text(),
                "approval_request_id": text(),
                "output": text(),
                "error": nullable(is_object),
            },
            ("type", "server_label", "name", "arguments"),
            nulls=True,
        ),
        "mcp_approval_request": record(
            {
                "type": text(),
                "id": _ID,
                "server_label": text(),
                "name": text(),
                "arguments": text(),
            },
            ("type", "server_label", "name", "arguments"),
            nulls=True,
        ),
        "mcp_approval_response": record(
            {
                "type": text(),
                "id": _ID,
                "approval_request_id": text(filled=True),
                "approve": boolean,
                "reason": text(),
            },
            ("type", "approval_request_id", "approve"),
            nulls=True,
        ),
    }
)
"""A client's item, checked and without its nulls; the id stays optional."""

check_reference = record({"type": text(), "id": text(filled=True)}, ("type", "id"))
"""``{"type": "item_reference", "id": ...}``."""
