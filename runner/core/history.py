"""The history: an append-only projection of the wire's items, snapshots on demand.

Deltas are appended to lists and joined when somebody reads; an item that did not change is never
built again, so a long conversation costs no more per event than a short one. Items that the
history does not show (function_call_output, MCP lists) keep their place in the order, since
others name them as their predecessor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from runner.core.events import Item, Role

Status = Literal["in_progress", "completed", "incomplete"]

#: What an event says about an item that carries no status of its own.
STATUS: Mapping[str, Status] = {
    "conversation.item.added": "in_progress",
    "conversation.item.created": "completed",
    "conversation.item.done": "completed",
    "conversation.item.retrieved": "completed",
    "response.output_item.added": "in_progress",
    "response.output_item.done": "completed",
}
#: Only these bring back an item that was deleted; anything else about it is an echo.
_REVIVES = frozenset({"conversation.item.added", "conversation.item.created"})
_STATUSES = frozenset({"in_progress", "completed", "incomplete"})
_MCP = frozenset({"mcp_call", "mcp_approval_request"})
_SHOWN = frozenset({"message", "function_call"}) | _MCP
_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
#: The names of assistant parts inside response.content_part events, and in items.
_PART_NAMES = {"audio": "output_audio", "text": "output_text"}
_MAX_PARTS = 64
_NOT_KEPT = frozenset({"type", "audio", "text", "transcript"})


class _Part:
    __slots__ = ("extra", "final", "kind", "pieces")

    def __init__(self, kind: str, extra: dict[str, Any] | None = None) -> None:
        self.kind = kind
        self.extra = extra or {}
        self.pieces: list[str] = []
        self.final = False

    @property
    def text(self) -> str | None:
        return "".join(self.pieces) if self.pieces else None

    def wire(self) -> dict[str, Any]:
        if self.kind == "input_image":
            return {"type": self.kind, **self.extra}
        key = "transcript" if self.kind.endswith("audio") else "text"
        return {"type": self.kind, key: self.text, **self.extra}


class Entry:
    """One item while it grows. Read ``item()`` for the frozen picture of it."""

    __slots__ = ("_item", "arguments", "call_id", "extra", "guessed", "heard_ms", "heard_share",
                 "item_id", "kind", "name", "output", "output_item", "parts", "role", "started",
                 "status", "told")  # fmt: skip

    def __init__(self, item_id: str, kind: str, role: Role | None = None) -> None:
        self.item_id = item_id
        self.kind = kind
        self.role = role
        self.status: Status = "in_progress"
        self.parts: list[_Part] = []
        self.name: str | None = None
        self.arguments: str | None = None
        self.call_id: str | None = None
        self.output: str | None = None
        #: The id of the function_call_output item, once the server named it.
        self.output_item: str | None = None
        self.heard_ms: int | None = None
        #: Of an answer that was cut: how much of its audio was heard, 0 to 1.
        self.heard_share: float | None = None
        #: A call that was begun; its output is still to come or is there.
        self.started = False
        #: What an item of an MCP server says beside its name: server_label, error ...
        self.extra: dict[str, Any] = {}
        #: Its finished text was told.
        self.told = False
        #: No event has named its predecessor yet.
        self.guessed = True
        self._item: Item | None = None

    @property
    def shown(self) -> bool:
        return self.kind in _SHOWN

    @property
    def text(self) -> str | None:
        found = [t for p in self.parts if (t := p.text) is not None]
        return "".join(found) if found else None

    def touch(self) -> None:
        self._item = None

    def part(self, index: int, kind: str) -> _Part:
        """The content part at ``index``, made when it is not there yet."""
        if not 0 <= index < _MAX_PARTS:
            raise ValueError(f"content_index {index} is out of range")
        while len(self.parts) <= index:
            self.parts.append(_Part(kind))
        return self.parts[index]

    def item(self) -> Item:
        if self._item is None:
            self._item = Item(
                item_id=self.item_id,
                kind=self.kind if self.kind in _SHOWN else "message",  # type: ignore[arg-type]
                role=self.role,
                status=self.status,
                text=self.text,
                name=self.name,
                arguments=self.arguments,
                output=self.output,
                call_id=self.call_id,
                content=tuple(p.wire() for p in self.parts),
                heard_ms=self.heard_ms,
                heard_share=self.heard_share,
                server_label=self.extra.get("server_label"),
                error=self.extra.get("error"),
            )
        return self._item


class History:
    def __init__(self) -> None:
        self.store_audio = False
        self._entries: dict[str, Entry] = {}
        self._order: list[str] = []
        self._calls: dict[str, str] = {}
        self._deleted: dict[str, None] = {}
        self._snapshot: tuple[Item, ...] | None = ()
        #: This server names predecessors, so that a null one means the front.
        self._chains = False

    def snapshot(self) -> tuple[Item, ...]:
        """All items in order. The same object until something changes."""
        if self._snapshot is None:
            entries = self._entries
            self._snapshot = tuple(
                e.item() for i in self._order if (e := entries[i]).kind in _SHOWN
            )
        return self._snapshot

    def get(self, item_id: str) -> Entry | None:
        return self._entries.get(item_id)

    def call(self, call_id: str) -> Entry | None:
        """The function_call item of this call."""
        return self._entries.get(self._calls.get(call_id, ""))

    # -- items -----------------------------------------------------------------------------
    def upsert(self, event_type: str, event: Mapping[str, Any]) -> tuple[Entry | None, bool]:
        """Take in the ``item`` of an event: ``(entry, is it new)``, no entry when it is an
        echo of a deleted item."""
        item = event["item"]
        item_id = _text(item["id"])
        entry = self._entries.get(item_id)
        if entry is None and item_id in self._deleted and event_type not in _REVIVES:
            return None, False
        keep = self.store_audio
        parts = [_read_part(p, item.get("role"), keep) for p in item.get("content") or ()]
        new = entry is None
        if entry is None:
            entry = Entry(item_id, item["type"], _ROLES.get(item.get("role")))
            self._insert(entry, event)
        elif entry.guessed and "previous_item_id" in event:
            self._unplace(item_id)
            self._place(entry, event)
        self._update(entry, item, parts, STATUS[event_type])
        self._changed(entry)
        return entry, new

    def _update(
        self, entry: Entry, item: Mapping[str, Any], parts: list[_Part], default: Status
    ) -> None:
        status = item.get("status")
        if status not in _STATUSES:
            status = default
        if entry.status == "in_progress" or status != "in_progress":
            entry.status = status
        for index, part in enumerate(parts):
            if index >= len(entry.parts):
                entry.parts.append(part)
                continue
            old = entry.parts[index]
            # A part without its text says nothing about the text we have.
            if part.pieces and (status != "in_progress" or not old.pieces):
                old.pieces, old.final = part.pieces, part.final
            old.kind = part.kind
            old.extra.update(part.extra)
        if entry.kind == "function_call":
            entry.name = item.get("name") or entry.name
            entry.arguments = item.get("arguments") or entry.arguments
            entry.call_id = item.get("call_id") or entry.call_id or entry.item_id
            self._calls[entry.call_id] = entry.item_id
        elif entry.kind in _MCP:
            entry.name = item.get("name") or entry.name
            entry.arguments = item.get("arguments") or entry.arguments
            entry.output = item.get("output") or entry.output
            entry.extra = {k: item[k] for k in ("server_label", "error") if item.get(k)}
        elif entry.kind == "function_call_output":
            call = self.call(item["call_id"])
            if call is not None:
                call.output_item = entry.item_id
                self.output(item["call_id"], _text(item["output"]))

    def assistant(self, item_id: str) -> Entry | None:
        """The message behind an event of a response, made when no event has added it yet;
        None when it was deleted."""
        entry = self._entries.get(item_id)
        if entry is None and item_id not in self._deleted:
            entry = Entry(item_id, "message", "assistant")
            self._insert(entry, {})
        return entry

    def heard_user(self, item_id: str, index: int, text: str) -> tuple[Entry | None, bool]:
        """A finished transcript of the caller: ``(entry, is it new)``."""
        entry = self._entries.get(item_id)
        if entry is None:
            if item_id in self._deleted:
                return None, False
            entry = Entry(item_id, "message", "user")
            self._insert(entry, {})
            new = True
        else:
            new = False
        part = entry.part(index, "input_audio")
        part.pieces, part.final = [_text(text)], True
        entry.status = "completed"
        self._changed(entry)
        return entry, new

    def output(self, call_id: str, output: str) -> Entry | None:
        """The output of a call was sent."""
        entry = self.call(call_id)
        if entry is not None:
            entry.output = output
            entry.status = "completed"
            self._changed(entry)
        return entry

    def heard(self, item_id: str, heard_ms: int, share: float | None = None) -> Entry | None:
        """The answer was cut after ``heard_ms``, which is ``share`` (0 to 1) of its audio."""
        entry = self._entries.get(item_id)
        if entry is not None:
            entry.heard_ms = heard_ms
            if share is not None:
                entry.heard_share = share
            self._changed(entry)
        return entry

    # -- a new connection ------------------------------------------------------------------
    def entries(self) -> list[Entry]:
        """All items in order, also those that a snapshot leaves out."""
        return [self._entries[i] for i in self._order]

    def new_line(self) -> None:
        """The connection is gone: what it was about to say will not come any more, and the ids
        of the outputs it confirmed mean nothing to the next."""
        for entry in tuple(self._entries.values()):
            if not entry.shown:
                self._unplace(entry.item_id)
                del self._entries[entry.item_id]
                continue
            entry.output_item = None
            entry.guessed = True
            if entry.status == "in_progress" and not entry.started:
                entry.status = "incomplete"
                entry.touch()
        self._deleted.clear()
        self._chains = False
        self._snapshot = None

    def delete(self, item_id: str) -> bool:
        """False when there was no such item."""
        entry = self._entries.pop(item_id, None)
        self._deleted[item_id] = None
        if len(self._deleted) > 1024:
            del self._deleted[next(iter(self._deleted))]
        if entry is None:
            return False
        self._unplace(item_id)
        if entry.call_id is not None and self._calls.get(entry.call_id) == item_id:
            del self._calls[entry.call_id]
        self._snapshot = None
        return entry.shown

    # -- text ------------------------------------------------------------------------------
    def delta(self, item_id: str, index: int, delta: str, kind: str) -> None:
        """A piece of text; unknown items and pieces that come after the end are passed over."""
        entry = self._entries.get(item_id)
        if entry is None:
            return
        parts = entry.parts
        part = parts[index] if 0 <= index < len(parts) else entry.part(index, kind)
        if not part.final:
            part.pieces.append(_text(delta))
            entry._item = None
            self._snapshot = None

    def finish_text(self, entry: Entry, index: int, text: str, kind: str) -> None:
        """The whole text of one part."""
        part = entry.part(index, kind)
        if _text(text) or not part.pieces:
            part.pieces = [text]
        part.final = True
        self._changed(entry)

    # -- order -----------------------------------------------------------------------------
    def before(self, item_id: str) -> str:
        """The id of the wire's item that stands before this one, ``root`` for none."""
        place = self._order.index(item_id)
        return self.anchor(self._order[place - 1]) if place else "root"

    def anchor(self, item_id: str) -> str:
        """The id after which something that follows ``item_id`` stands: of a call, its output."""
        entry = self._entries.get(item_id)
        return item_id if entry is None or entry.output_item is None else entry.output_item

    def _insert(self, entry: Entry, event: Mapping[str, Any]) -> None:
        self._place(entry, event)
        self._entries[entry.item_id] = entry
        self._deleted.pop(entry.item_id, None)
        self._snapshot = None

    def _place(self, entry: Entry, event: Mapping[str, Any]) -> None:
        order = self._order
        item_id = entry.item_id
        entry.guessed = "previous_item_id" not in event
        previous = event.get("previous_item_id")
        if previous is not None and previous != "root":
            self._chains = True
            if previous in self._entries and previous != item_id and order[-1] != previous:
                order.insert(order.index(previous) + 1, item_id)
                return
        elif not entry.guessed and (previous == "root" or self._chains):
            order.insert(0, item_id)
            return
        order.append(item_id)

    def _unplace(self, item_id: str) -> None:
        if self._order[-1] == item_id:
            self._order.pop()
        else:
            self._order.remove(item_id)

    def _changed(self, entry: Entry) -> None:
        entry.touch()
        self._snapshot = None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"text expected, not {type(value).__name__}")


def _read_part(part: Mapping[str, Any], role: object, audio: bool) -> _Part:
    kind = part["type"]
    if role == "assistant":
        kind = _PART_NAMES.get(kind, kind)
    extra = {k: v for k, v in part.items() if k not in _NOT_KEPT}
    if audio and part.get("audio"):
        extra["audio"] = part["audio"]
    found = _Part(str(kind), extra)
    text = part.get("transcript" if found.kind.endswith("audio") else "text")
    # An audio part is announced with an empty transcript before its words are known.
    if isinstance(text, str) and (text or not found.kind.endswith("audio")):
        found.pieces = [text]
    return found
