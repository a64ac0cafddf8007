"""The history once more: what a new connection is told of the conversation so far.

Text stands for what was spoken, since audio cannot be given back to the model: of an answer that
was cut, the words that were heard. Calls go with their outputs, in their order. OpenAI Realtime
GA takes items of these kinds by `conversation.item.create`, with ids of the client's choosing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runner.core.history import Entry

#: Told to the model when its answer broke off with the connection.
GO_ON = (
    "The line broke for a moment while you were speaking. Go on from where you were cut off, "
    "without beginning again and without speaking of the line."
)


def items_of(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Wire items in order, each fit for a conversation.item.create."""
    out: list[dict[str, Any]] = []
    for entry in entries:
        out.extend(_items(entry))
    return out


def _items(entry: Entry) -> Iterable[dict[str, Any]]:
    if entry.kind == "message":
        content = [part for part in _content(entry) if part]
        if content and entry.role:
            yield {"id": entry.item_id, "type": "message", "role": entry.role, "content": content}
    elif entry.kind == "function_call" and entry.call_id and entry.name:
        if entry.arguments is None or (entry.status == "in_progress" and not entry.started):
            return
        call = {"call_id": entry.call_id, "name": entry.name, "arguments": entry.arguments}
        yield {"id": entry.item_id, "type": "function_call", **call}
        if entry.output is not None:
            output = {"call_id": entry.call_id, "output": entry.output}
            yield {"type": "function_call_output", **output}
    elif entry.kind == "mcp_call" and entry.output is not None:
        # A client cannot create an mcp_call, and its result must not be lost.
        text = f"The tool {entry.name} was called with {entry.arguments or '{}'}: {entry.output}"
        part = {"type": "input_text", "text": text}
        yield {"id": entry.item_id, "type": "message", "role": "system", "content": [part]}


def _content(entry: Entry) -> Iterable[dict[str, Any]]:
    kind = "output_text" if entry.role == "assistant" else "input_text"
    left = None if entry.heard_share is None else entry.heard_share
    for part in entry.parts:
        if part.kind == "input_image":
            yield part.wire()
        elif text := part.text:
            heard = text if left is None else cut_text(text, left)
            if heard:
                yield {"type": kind, "text": heard}


def cut_text(text: str, share: float) -> str:
    """The words of ``text`` that were spoken in the first ``share`` (0 to 1) of its audio. The
    word that was being spoken counts as not heard."""
    if share >= 1:
        return text
    end = int(len(text) * max(0.0, share))
    while 0 < end < len(text) and not text[end - 1].isspace():
        end -= 1
    return text[:end].rstrip()
