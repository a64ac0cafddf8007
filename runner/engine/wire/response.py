"""The response object of response.created and response.done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from runner.engine.wire.params import ResponseParams
from runner.engine.wire.usage import Usage

Status = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
Reason = Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"]


def response_object(
    response_id: str,
    params: ResponseParams,
    conversation_id: str,
    *,
    status: Status = "in_progress",
    reason: Reason | None = None,
    error: Mapping[str, str] | None = None,
    output: Sequence[Mapping[str, Any]] = (),
    usage: Usage | None = None,
) -> dict[str, Any]:
    """As response.created carries it with the defaults, as response.done with the rest.

    ``conversation_id`` is that of the session; out of band the response has none. ``reason``
    belongs to cancelled (turn_detected, client_cancelled) and incomplete (max_output_tokens,
    content_filter), ``error`` (see :func:`failure`) to failed.
    """
    return {
        "object": "realtime.response",
        "id": response_id,
        "status": status,
        "status_details": _details(status, reason, error),
        "output": list(output),
        "conversation_id": None if params.out_of_band else conversation_id,
        "output_modalities": list(params.modalities),
        "max_output_tokens": params.max_output_tokens,
        "audio": {"output": {"format": params.output_format.wire(), "voice": params.voice}},
        "usage": usage.wire() if usage else None,
        "metadata": None if params.metadata is None else dict(params.metadata),
    }


def failure(code: str, message: str, type: str = "server_error") -> dict[str, str]:
    """``error`` of a failed response."""
    return {"type": type, "code": code, "message": message}


def _details(
    status: Status, reason: Reason | None, error: Mapping[str, str] | None
) -> dict[str, Any] | None:
    if status in ("in_progress", "completed"):
        return None
    details: dict[str, Any] = {"type": status}
    if reason is not None:
        details["reason"] = reason
    if error is not None:
        details["error"] = dict(error)
    return details
