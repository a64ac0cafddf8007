"""Validation of client events, all eleven of them."""

from __future__ import annotations

from typing import Any


def check(event: Any) -> dict[str, Any]:
    """The event itself when its fields and their types are right, else WireError with the
    client's event_id in it. What is inside ``session``, ``item`` and ``response`` is checked
    where it is used: Settings.update, Items.create, ResponseParams.parse."""
    raise NotImplementedError


def decode_audio(text: str, param: str = "audio") -> bytes:
    """The bytes behind base64 text. WireError ``invalid_value`` when it is none."""
    raise NotImplementedError
