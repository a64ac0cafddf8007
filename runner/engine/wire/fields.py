"""The fields of a session, one Check each, shared by session.update and response.create.

Source: OpenAI's API reference (RealtimeSessionCreateRequest, RealtimeResponseCreateParams) and
the limits of its OpenAPI file; what neither names is refused as ``unknown_parameter``, as the
service does (``strict`` or ``meta`` on a tool).
"""

from __future__ import annotations

from typing import Any

from runner.engine.wire.errors import WireError
from runner.engine.wire.shape import (
    METADATA,
    Check,
    anything,
    array,
    boolean,
    clip,
    decimal,
    integer,
    is_object,
    join,
    kind_of,
    mapping,
    nullable,
    one_of,
    record,
    tagged,
    text,
    wrong_type,
)


def modalities(value: Any, path: str) -> list[str]:
    """Exactly ``["audio"]`` or ``["text"]``: audio implies its transcript."""
    names = array(one_of("text", "audio"))(value, path)
    if names not in (["audio"], ["text"]):
        raise WireError(
            f"Invalid modalities: {names}. Supported combinations are: ['text'] and ['audio'].",
            code="invalid_value",
            param=path,
        )
    return list(names)


def max_output_tokens(value: Any, path: str) -> Any:
    if value == "inf":
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        wrong_type(path, "an integer or 'inf'", value)
    return integer(1, 4096)(value, path)


def voice(value: Any, path: str) -> Any:
    """A name, or ``{"id": ...}`` for a custom voice."""
    if isinstance(value, dict):
        return record({"id": text(filled=True)}, ("id",))(value, path)
    if not isinstance(value, str):
        wrong_type(path, "a string or an object", value)
    return text(filled=True)(value, path)


# PCM comes at 24 kHz only; the service states it as a range. G.711 has one rate and no field
# for it, yet clients that spell 8000 out are meant well.
audio_format = tagged(
    {
        "audio/pcm": record({"type": text(), "rate": integer(24000, 24000)}, ("type", "rate")),
        "audio/pcmu": record({"type": text(), "rate": integer(8000, 8000)}, ("type",)),
        "audio/pcma": record({"type": text(), "rate": integer(8000, 8000)}, ("type",)),
    }
)

_TURN_FLAGS: dict[str, Check] = {
    "type": text(),
    "create_response": boolean,
    "interrupt_response": boolean,
}
turn_detection = nullable(
    tagged(
        {
            "server_vad": record(
                {
                    **_TURN_FLAGS,
                    "threshold": decimal(0.0, 1.0),
                    "prefix_padding_ms": integer(0),
                    "silence_duration_ms": integer(0),
                    "idle_timeout_ms": nullable(integer(5000, 30000)),
                }
            ),
            "semantic_vad": record(
                {**_TURN_FLAGS, "eagerness": one_of("low", "medium", "high", "auto")}
            ),
        }
    )
)

transcription = nullable(
    record(
        {
            "model": text(filled=True),
            "language": text(),
            "languages": array(text()),
            "keywords": array(text()),
            "prompt": text(),
            "delay": one_of("minimal", "low", "medium", "high", "xhigh"),
        },
        nulls=True,
    )
)

noise_reduction = nullable(
    record({"type": one_of("near_field", "far_field"), "strength": decimal(0.0)}, nulls=True)
)

prompt = nullable(
    record(
        {"id": text(filled=True), "version": text(), "variables": mapping(anything)},
        ("id",),
        nulls=True,
    )
)

reasoning = record({"effort": one_of("minimal", "low", "medium", "high", "xhigh")}, nulls=True)


def tracing(value: Any, path: str) -> Any:
    if value is None or value == "auto":
        return value
    if not isinstance(value, dict):
        wrong_type(path, "'auto' or an object", value)
    return record({"workflow_name": text(), "group_id": text(), "metadata": METADATA})(value, path)


_retention = record(
    {
        "type": text(),
        "retention_ratio": decimal(0.0, 1.0),
        "token_limits": nullable(record({"post_instructions": integer(0)})),
    },
    ("type", "retention_ratio"),
)


def truncation(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return one_of("auto", "disabled")(value, path)
    if not isinstance(value, dict):
        wrong_type(path, "one of 'auto', 'disabled', or an object", value)
    return tagged({"retention_ratio": _retention})(value, path)


_TOOL_NAME = text(64, pattern="[a-zA-Z0-9_-]+", filled=True)

_tool_filter = record({"tool_names": array(text()), "read_only": boolean}, nulls=True)


def _allowed_tools(value: Any, path: str) -> Any:
    return array(text())(value, path) if isinstance(value, list) else _tool_filter(value, path)


def _require_approval(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return one_of("always", "never")(value, path)
    return record({"always": _tool_filter, "never": _tool_filter}, nulls=True)(value, path)


_mcp_fields = record(
    {
        "type": text(),
        "server_label": text(filled=True),
        "server_url": text(),
        "connector_id": text(),
        "tunnel_id": text(pattern="tunnel_[a-z0-9]{32}"),
        "authorization": text(),
        "headers": mapping(text()),
        "server_description": text(),
        "allowed_tools": _allowed_tools,
        "allowed_callers": array(one_of("direct", "programmatic")),
        "require_approval": _require_approval,
        "defer_loading": boolean,
    },
    ("type", "server_label"),
    nulls=True,
)


def _mcp(value: Any, path: str) -> Any:
    tool = _mcp_fields(value, path)
    if not any(k in tool for k in ("server_url", "connector_id", "tunnel_id")):
        raise WireError(
            f"Missing required parameter: '{join(path, 'server_url')}'. One of 'server_url', "
            "'connector_id' or 'tunnel_id' must be provided.",
            code="missing_required_parameter",
            param=join(path, "server_url"),
        )
    return tool


tools = array(
    tagged(
        {
            "function": record(
                {
                    "type": text(),
                    "name": _TOOL_NAME,
                    "description": text(),
                    "parameters": is_object,
                },
                ("type", "name"),
                nulls=True,
            ),
            "mcp": _mcp,
        }
    )
)

_forced_tool = tagged(
    {
        "function": record({"type": text(), "name": _TOOL_NAME}, ("type", "name")),
        "mcp": record(
            {"type": text(), "server_label": text(filled=True), "name": text()},
            ("type", "server_label"),
            nulls=True,
        ),
    }
)


def tool_choice(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return one_of("none", "auto", "required")(value, path)
    if not isinstance(value, dict):
        wrong_type(path, "one of 'none', 'auto', 'required', or an object", value)
    return _forced_tool(value, path)


include = nullable(array(one_of("item.input_audio_transcription.logprobs")))

AUDIO_INPUT: dict[str, Check] = {
    "format": audio_format,
    "transcription": transcription,
    "noise_reduction": noise_reduction,
    "turn_detection": turn_detection,
}
AUDIO_OUTPUT: dict[str, Check] = {
    "format": audio_format,
    "voice": voice,
    "speed": decimal(0.25, 1.5),
}

REALTIME = record(
    {
        "type": text(),
        "model": text(filled=True),
        "output_modalities": modalities,
        "instructions": text(),
        "tools": tools,
        "tool_choice": tool_choice,
        "parallel_tool_calls": boolean,
        "reasoning": reasoning,
        "max_output_tokens": max_output_tokens,
        "truncation": truncation,
        "tracing": tracing,
        "prompt": prompt,
        "include": include,
        "audio": record({"input": record(AUDIO_INPUT), "output": record(AUDIO_OUTPUT)}),
    }
)
"""The ``session`` of a session.update of type realtime."""

TRANSCRIPTION = record(
    {
        "type": text(),
        "include": include,
        "audio": record({"input": record(AUDIO_INPUT)}),
    }
)
"""The same of type transcription."""

__all__ = [
    "AUDIO_INPUT",
    "AUDIO_OUTPUT",
    "REALTIME",
    "TRANSCRIPTION",
    "audio_format",
    "clip",
    "kind_of",
    "max_output_tokens",
    "modalities",
    "prompt",
    "reasoning",
    "tool_choice",
    "tools",
    "voice",
]
