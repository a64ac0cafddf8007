"""What thinks inside the engine: chosen by name, seen by the rest as a ``Brain`` only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.engine.brain.rehearsal import Rehearsal
from runner.engine.ports import Brain
from runner.errors import UsageError


def make_brain(spec: Mapping[str, Any] | None = None) -> Brain:
    """The brain that ``spec`` names.

    ``{"type": "rehearsal"}`` (the default) or ``{"type": "chat", "url": ..., "model": ...}``, see
    :class:`runner.engine.brain.chat.Chat`. UsageError for any other type or a bad field.
    """
    wanted = dict(spec or {})
    kind = wanted.pop("type", "rehearsal")
    if kind == "rehearsal":
        if wanted:
            raise UsageError(f"brain rehearsal takes no {', '.join(sorted(map(str, wanted)))}")
        return Rehearsal()
    if kind == "chat":
        from runner.engine.brain.chat import Chat

        return Chat.from_spec(wanted)
    raise UsageError(f"unknown brain {kind!r}", "it is one of: rehearsal, chat")


__all__ = ["make_brain"]
