"""Edits of the history by the program: the difference of two item lists as client events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from runner.core.events import Item
from runner.errors import UserError

Edit = tuple[str, dict[str, Any]]


def edits(old: Sequence[Item], new: Iterable[Item], anchor: Callable[[str], str]) -> list[Edit]:
    """``(event type, fields)`` in wire order: all deletions, then creations with their place.

    An item that is missing is deleted, a changed one is deleted and created again where it
    stood, a new one is created. ``anchor(id)`` names what a successor of ``id`` follows on the
    wire. Function calls can be deleted, never made or changed. UserError before anything is
    sent when an item cannot be created: spoken answers exist on the server alone.
    """
    before = {item.item_id: item for item in old}
    deletions: list[Edit] = []
    creations: list[Edit] = []
    previous = "root"
    wanted = list(new)
    kept = {item.item_id for item in wanted}
    deletions.extend(("conversation.item.delete", {"item_id": i}) for i in before if i not in kept)
    for item in wanted:
        was = before.get(item.item_id)
        if was is None or not _same(was, item):
            if item.kind != "message":
                raise UserError(
                    f"the function call {item.item_id} cannot be created or changed",
                    "leave function calls as they are, or leave them out",
                )
            wire = _wire(item, was)
            if was is not None:
                deletions.append(("conversation.item.delete", {"item_id": item.item_id}))
            creations.append(
                ("conversation.item.create", {"previous_item_id": previous, "item": wire})
            )
            previous = item.item_id
        else:
            previous = anchor(item.item_id)
    return deletions + creations


def _same(one: Item, other: Item) -> bool:
    if one is other:
        return True
    fields = ("kind", "role", "text", "content", "name", "arguments", "call_id")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _wire(item: Item, was: Item | None) -> dict[str, Any]:
    """The item as conversation.item.create takes it."""
    if not item.item_id:
        raise UserError("an item of the history needs an item_id")
    if item.role is None:
        raise UserError(f"the message {item.item_id} needs a role")
    text_type = "output_text" if item.role == "assistant" else "input_text"
    # A changed text with the old parts beside it: the text is what was meant.
    rewritten = item.text is not None and (
        not item.content or (was is not None and item.content == was.content)
    )
    if rewritten:
        content = [{"type": text_type, "text": item.text}]
    else:
        content = [_part(item, part, text_type) for part in item.content]
    wire: dict[str, Any] = {"id": item.item_id, "type": "message", "role": item.role}
    return {**wire, "content": content}


def _part(item: Item, part: Any, text_type: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "output_audio":
        raise UserError(
            f"the spoken answer {item.item_id} cannot be created or changed",
            "give it as text: content of type output_text",
        )
    if kind == "input_audio" and "audio" not in part:
        # The sound is not kept; what was understood of it is.
        return {"type": text_type, "text": part.get("transcript") or ""}
    return dict(part)
