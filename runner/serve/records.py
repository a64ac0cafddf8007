"""`records: { transcript: ... }`: what was said and done in each call, as one JSON file when it is
over. Only its owner can read it."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

from runner.core.events import Connection, Handoff, Item, SessionEvent
from runner.desk import Call, Desk
from runner.model.records import named
from runner.model.redaction import Redactor
from runner.serve.deployed import Deployed
from runner.tasks import OnFailure, Supervisor, in_thread


class Transcripts:
    """``warn(name, text)`` hears of a file that could not be written; the call is over anyhow."""

    def __init__(self, warn: Callable[[str, str], None], on_failure: OnFailure) -> None:
        self._warn = warn
        self._tasks = Supervisor(on_failure)
        self._agents: dict[str, list[str]] = {}

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call."""
        desk = of.desk
        if isinstance(event, Handoff):
            path = self._agents.setdefault(call.id, [event.from_agent])
            path.append(event.to_agent)
        elif isinstance(event, Connection) and event.status == "disconnected":
            agents = self._agents.pop(call.id, [call.session.agent.name])
            if desk is not None and desk.deployment.records.transcript and call.opened:
                text = json.dumps(record(desk, call, agents), ensure_ascii=False, indent=2)
                file = where(desk, call)
                self._tasks.spawn(self._write(of.name, file, text), "a transcript")

    async def _write(self, name: str, file: Path, text: str) -> None:
        try:
            await in_thread(write, file, text + "\n")
        except OSError as error:
            self._warn(name, f"the transcript {file} was not written: {error.strerror}")

    async def close(self) -> None:
        """What is being written is written to its end."""
        await self._tasks.finish()
        await self._tasks.close()


def where(desk: Desk, call: Call) -> Path:
    return desk.deployment.source.parent / named(desk.deployment.records.transcript, call.id)


def record(desk: Desk, call: Call, agents: list[str]) -> dict[str, Any]:
    """``agents`` in the order in which they had the line."""
    session, shown = call.session, desk.deployment.records.redactor
    return {
        "call": call.id,
        "deployment": desk.deployment.name,
        "revision": call.revision,
        "from": shown(call.about.get("from", "")),
        "to": shown(call.about.get("to", "")),
        "started": call.started.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - call.started.timestamp(), 1),
        "reason": call.reason,
        "agents": agents,
        "items": [_item(item, shown) for item in session.history],
        "usage": dict(session.usage),
        "cost": desk.cost_of(call),
    }


def _item(item: Item, shown: Redactor) -> dict[str, Any]:
    if item.kind == "message":
        cut = {} if item.heard_ms is None else {"heard_ms": item.heard_ms}
        return {"role": item.role, "text": item.text and shown(item.text), **cut}
    arguments, output = (part and shown.json(part) for part in (item.arguments, item.output))
    return {"tool": item.name, "arguments": arguments, "output": output}


def write(file: Path, text: str) -> None:
    """Whole, or not at all; a call that a process before us had a part of gets a second file.
    OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    first, part = file, 1
    while file.exists():
        part += 1
        file = first.with_name(f"{first.stem}-{part}{first.suffix}")
    number, name = tempfile.mkstemp(dir=file.parent)  # 0600
    try:
        with os.fdopen(number, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
