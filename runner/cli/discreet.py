"""Calls of strangers in a log: that something was said and done, and not what."""

from __future__ import annotations

from dataclasses import replace

from runner.core.events import (
    Dtmf,
    SessionEvent,
    ToolApproval,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
)

#: Stands where words, arguments and outputs would; the JSON log leaves such fields out.
UNSAID = "(not logged)"


def discreet(event: SessionEvent) -> SessionEvent | None:
    """``event`` without its content, None when nothing would be left of it."""
    match event:
        case Transcript():
            return replace(event, text=UNSAID)
        case TranscriptDelta():
            return None
        case ToolStart() | ToolApproval():
            return replace(event, arguments=UNSAID)
        case ToolEnd():
            return replace(event, output=UNSAID)
        case Dtmf():
            return replace(event, key=UNSAID)
    return event
