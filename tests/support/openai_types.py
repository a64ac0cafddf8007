"""Server events against the `openai` package's own types, strictly.

Those models let unknown keys and, when they come over its own client, wrong values pass; here a
missing key, a wrong type, an unknown enum value and an undeclared key are all faults.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

from openai.types.realtime import (
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
)
from pydantic import BaseModel, ValidationError
from support.response_rules import ConformanceError

# The service echoes its own keys in a shape that the package takes from the request.
_ALLOWED: dict[type[BaseModel], set[str]] = {
    RealtimeSessionCreateRequest: {"id", "object", "expires_at"},
    RealtimeTranscriptionSessionCreateRequest: {"id", "object", "expires_at"},
}


def _types(union: Any) -> dict[str, type[BaseModel]]:
    members = get_args(get_args(union)[0])
    return {get_args(m.model_fields["type"].annotation)[0]: m for m in members}


@cache
def server_types() -> dict[str, type[BaseModel]]:
    """Type name to model, all 46."""
    return _types(RealtimeServerEvent)


@cache
def client_types() -> dict[str, type[BaseModel]]:
    """Type name to model, all 11."""
    return _types(RealtimeClientEvent)


def check_types(event: dict[str, Any]) -> BaseModel:
    """The parsed event. ConformanceError when OpenAI's types refuse it."""
    kind = event.get("type")
    model = server_types().get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ConformanceError(f"{kind!r} is no server event of the Realtime API")
    try:
        parsed = model.model_validate(event, strict=True)
    except ValidationError as fault:
        raise ConformanceError(f"{kind}: openai's types refuse it: {fault}") from None
    undeclared = sorted(_undeclared(parsed, kind))
    if undeclared:
        raise ConformanceError(f"undeclared keys: {undeclared}")
    return parsed


def _undeclared(value: Any, path: str) -> list[str]:
    if isinstance(value, list):
        return [u for i, v in enumerate(value) for u in _undeclared(v, f"{path}[{i}]")]
    if not isinstance(value, BaseModel):
        return []
    allowed = _ALLOWED.get(type(value), set())
    out = [f"{path}.{k}" for k in value.model_extra or {} if k not in allowed]
    for name in type(value).model_fields:
        out += _undeclared(getattr(value, name), f"{path}.{name}")
    return out
