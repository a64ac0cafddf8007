"""What happened in one call, as the rows of a page: what was said, what was done, how long each
turn took. Plain JSON, bounded, and put together from the session's own events."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from runner.core.events import (
    Connection,
    Dtmf,
    GuardrailTripped,
    Handoff,
    HistoryAdded,
    IdleTimeout,
    Interrupted,
    Item,
    McpCallCompleted,
    Reconnected,
    SessionError,
    SessionEvent,
    ToolApproval,
    ToolEnd,
    ToolStart,
    Transcript,
    TranscriptDelta,
    Transfer,
)
from runner.core.playback import CHARACTERS
from runner.core.replay import cut_text
from runner.serve.console.turns import Turns

#: Rows of a call that are kept; of a longer one, the newest.
MOST_ROWS = 2000

Row = dict[str, Any]
#: ``tell(kind, row)``: ``row`` and ``turn`` are whole, ``delta`` is text to be added to a row.
Tell = Callable[[str, Row], None]


class Story:
    """``item(id)`` finds an item of the call's history. Rows have ``id``, ``kind`` and ``at``
    (ISO 8601, UTC); kinds are message, tool and mark."""

    def __init__(
        self,
        item: Callable[[str], Item | None],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.lost_rows = 0
        self._item = item
        self._tell = tell
        self._clock = clock
        self._marks = 0
        self._began: dict[str, float] = {}
        self.turns = Turns(lambda row: tell("turn", row), clock)

    def hear(self, event: SessionEvent) -> None:
        """Every event of the call but its audio."""
        self.turns.hear(event)
        match event:
            case TranscriptDelta():
                self._grow(event)
            case Transcript():
                self._said(event)
            case HistoryAdded():
                self._added(event.item)
            case Interrupted():
                self._cut(event)
            case ToolApproval() | ToolStart() | ToolEnd() | McpCallCompleted():
                self._tool(event)
            case _:
                self._remark(event)

    def forget(self, why: str) -> None:
        """Let the words go; what is left says ``why``."""
        self.rows.clear()
        self.mark("quiet", why)

    def mark(self, mark: str, text: str, **more: Any) -> None:
        self._marks += 1
        self._put({"id": f"mark:{self._marks}", "kind": "mark", "mark": mark, "text": text, **more})

    # -- what was said -------------------------------------------------------------------------
    def _added(self, item: Item) -> None:
        if item.kind == "message" and item.role in ("user", "assistant"):
            row = self._message(item.item_id, item.role)
            if item.text and not row["text"]:
                row["text"] = item.text
            row["done"] = row["done"] or (item.role == "user" and bool(item.text))
            pictures = sum(part.get("type") == "input_image" for part in item.content)
            if pictures:
                row["pictures"] = pictures
            self._put(row)

    def _message(self, item_id: str, role: str) -> Row:
        known = self.rows.get(item_id)
        if known is not None:
            return known
        row = {"id": item_id, "kind": "message", "role": role, "text": "", "done": False}
        return {**row, "cut": None}

    def _grow(self, event: TranscriptDelta) -> None:
        row = self.rows.get(event.item_id)
        if row is None:
            row = self._message(event.item_id, event.role)
            row["text"] = event.delta
            self._put(row)
        elif not row["done"]:
            row["text"] += event.delta
            self._tell("delta", {"id": event.item_id, "text": event.delta})

    def _said(self, event: Transcript) -> None:
        if event.role not in ("user", "assistant"):
            return
        row = self._message(event.item_id, event.role)
        cut, before = row["cut"], row["text"]
        if cut is not None and len(event.text) < len(before) and before.startswith(event.text):
            cut["heard"] = len(event.text)  # the server told what was heard
            cut["about"] = False
        else:
            row["text"] = event.text
        row["done"] = True
        self._put(row)

    def _cut(self, event: Interrupted) -> None:
        row = self.rows.get(event.item_id)
        if row is None:
            return
        item, text = self._item(event.item_id), row["text"]
        share = None if item is None else item.heard_share
        if share is None:
            # Where the service plays, it tells how long: the pace of a voice says how far.
            share = event.heard_ms / 1000 * CHARACTERS / len(text) if text else 0.0
            about = True
        else:
            about = False
        heard = len(cut_text(text, min(1.0, share)))
        row["cut"] = {"ms": event.heard_ms, "heard": heard, "about": about}
        self._put(row)

    # -- what was done -------------------------------------------------------------------------
    def _tool(self, event: ToolApproval | ToolStart | ToolEnd | McpCallCompleted) -> None:
        if isinstance(event, McpCallCompleted):
            item = event.item
            row = self._call(item.item_id, item.name or "", event.agent, item.arguments or "")
            failed = item.error is not None
            words = str(item.error) if failed else item.output
            row |= {"state": "done", "output": words, "server": item.server_label}
            return self._put(row)
        arguments = getattr(event, "arguments", "")
        row = self._call(event.call_id, event.name, event.agent, arguments)
        match event:
            case ToolApproval():
                row |= {"state": "asks", "asks": event.asks}
            case ToolStart():
                self._began[event.call_id] = self._clock()
                row |= {"state": "runs", "arguments": event.arguments}
            case ToolEnd():
                began = self._began.pop(event.call_id, None)
                ms = None if began is None else round((self._clock() - began) * 1000)
                row |= {"state": "done", "output": event.output, "ms": ms}
        self._put(row)

    def _call(self, call_id: str, name: str, agent: str, arguments: str) -> Row:
        row: Row = {"id": f"tool:{call_id}", "kind": "tool", "call_id": call_id, "name": name}
        row |= {"agent": agent, "arguments": arguments, "output": None, "ms": None}
        return {**row, "state": "runs", "asks": None, **self.rows.get(f"tool:{call_id}", {})}

    def _remark(self, event: SessionEvent) -> None:
        match event:
            case Handoff():
                text = f"{event.from_agent} hands over to {event.to_agent}"
                self.mark("handoff", text)
            case GuardrailTripped():
                text = f"{event.name} refused what was said"
                self.mark("guardrail", text, check=event.check, then=event.then)
            case Connection() if event.status == "reconnecting":
                self.mark("reconnecting", f"the line broke: {event.reason}")
            case Reconnected():
                self.mark("reconnected", f"the line is whole again after {event.ms:.0f} ms")
            case Dtmf():
                self.mark("dtmf", f"the caller pressed {event.key}")
            case Transfer():
                failed = f", which failed: {event.failed}" if event.failed else ""
                self.mark("transfer", f"put through to {event.to}{failed}")
            case IdleTimeout():
                self.mark("quiet", "the caller was silent")
            case SessionError():
                self.mark("error", event.message, code=event.code)

    def _put(self, row: Row) -> None:
        row.setdefault("at", now())
        self.rows[row["id"]] = row
        while len(self.rows) > MOST_ROWS:
            del self.rows[next(iter(self.rows))]
            self.lost_rows += 1
        self._tell("row", row)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
