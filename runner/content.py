"""What a program says in a message: a text, content parts, or the SDK's message object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.events import Role
from runner.errors import UserError

Parts = list[dict[str, Any]]
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def message_of(
    given: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
) -> tuple[Role, str | Parts]:
    """``(role, text or parts)`` of what ``send_message`` was given. UserError says what is wrong
    with it before anything is sent."""
    if isinstance(given, str):
        return "user", given
    role: Role = "user"
    parts: Sequence[Any]
    if isinstance(given, Mapping):
        if given.get("type", "message") != "message":
            raise UserError(f"a message is no {given['type']}")
        if (named := given.get("role", "user")) not in _ROLES:
            raise UserError(f"a message has no role {named!r}", "user, assistant or system")
        role = _ROLES[named]
        content = given.get("content")
        if isinstance(content, str):
            return role, content
        parts = content if isinstance(content, Sequence) else ()
    else:
        parts = given
    if not parts:
        raise UserError("the message is empty")
    return role, [_part(part) for part in parts]


def image_part(image: str, detail: str | None = None) -> dict[str, Any]:
    """An ``input_image`` part; ``image`` is a data: or https: URL. UserError for anything else."""
    if not isinstance(image, str) or not image.startswith(("data:image/", "https://", "http://")):
        raise UserError("an image is a data: or https: URL", "data:image/png;base64,...")
    part = {"type": "input_image", "image_url": image}
    return part if detail is None else {**part, "detail": detail}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    """The SDK calls the URL of a picture ``image``, and lets more fields travel beside it."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        raise UserError(f"{part!r} is no part of a message", 'such as {"type": "input_text", ...}')
    more = part.get("providerData") or part.get("provider_data") or {}
    plain = {k: v for k, v in part.items() if k not in ("providerData", "provider_data")}
    if plain["type"] == "input_image" and "image" in plain:
        plain = {**image_part(plain.pop("image")), **plain}
    return {**plain, **more}
