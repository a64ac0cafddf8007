"""`records:`: what was said and done in each call, kept as one JSON file when it is over, told to a
webhook, and deleted when it is old. Only its owner can read a file."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

from runner.core.events import Connection, Handoff, Item, SessionEvent
from runner.desk import Call, Desk
from runner.model.records import named
from runner.model.redaction import Redactor
from runner.serve.deliveries import Deliveries
from runner.serve.deployed import Deployed
from runner.serve.keeping import sweep
from runner.serve.state import own_name, write_whole
from runner.tasks import OnFailure, Supervisor, in_thread

#: Seconds between two looks for files that are too old.
SWEEP_SECONDS = 24 * 3600.0
#: How long the end of the process waits for what is being written and posted.
LAST_SECONDS = 3.0


class Records:
    """``state`` is where messages wait for their webhook. ``warn(name, text)`` hears of a file that
    could not be written, and of a webhook that takes nothing; the call is over anyhow."""

    def __init__(
        self, state: Path, warn: Callable[[str, str], None], on_failure: OnFailure
    ) -> None:
        self._state = state
        self._warn = warn
        self._writing = Supervisor(on_failure)
        self._tasks = Supervisor(on_failure)
        self._agents: dict[str, list[str]] = {}
        self._deliveries: dict[Deployed, Deliveries] = {}

    def started(self, of: Deployed) -> None:
        """The deployment takes calls: what a process before us left is sent, what is old goes."""

        def target() -> Any:
            return None if of.desk is None else of.desk.deployment.records.webhook

        folder = self._state / "deliveries" / own_name(of.file)
        deliveries = Deliveries(folder, target, lambda text: self._warn(of.name, text))
        self._deliveries[of] = deliveries
        self._tasks.spawn(deliveries.run(), "the webhook of records")
        self._tasks.spawn(self._sweep(of), "old records")

    def heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        """Every event of every call."""
        desk = of.desk
        if isinstance(event, Handoff):
            path = self._agents.setdefault(call.id, [event.from_agent])
            path.append(event.to_agent)
        elif isinstance(event, Connection) and event.status == "disconnected":
            agents = self._agents.pop(call.id, [call.session.agent.name])
            if desk is None or not call.opened:
                return
            if desk.deployment.records.transcript or desk.deployment.records.webhook:
                told = record(desk, call, agents)
                self._writing.spawn(self._keep(of, desk, call.id, told), "a record")

    async def _keep(self, of: Deployed, desk: Desk, call_id: str, told: dict[str, Any]) -> None:
        records = desk.deployment.records
        if records.transcript:
            file = desk.deployment.source.parent / named(records.transcript, call_id)
            text = json.dumps(told, ensure_ascii=False, indent=2) + "\n"
            try:
                await in_thread(write, file, text)
            except OSError as error:
                words = f"the transcript {file} was not written: {error.strerror}"
                self._warn(of.name, words)
        if records.webhook and of in self._deliveries:
            await self._deliveries[of].post(told)

    async def _sweep(self, of: Deployed) -> None:
        while of.desk is not None:
            deployment = of.desk.deployment
            records = deployment.records
            if records.keep is not None:
                for template in filter(None, (records.transcript, records.audio)):
                    before = time.time() - records.keep
                    await in_thread(sweep, deployment.source.parent, template, before)
            await asyncio.sleep(SWEEP_SECONDS)

    async def close(self) -> None:
        """What is being written is written to its end; what is posted gets a moment."""
        await self._writing.finish()
        await self._writing.close()
        left = await asyncio.gather(*(d.settle(LAST_SECONDS) for d in self._deliveries.values()))
        for of, count in zip(self._deliveries, left, strict=True):
            if count:
                words = "1 record waits" if count == 1 else f"{count} records wait"
                self._warn(of.name, f"{words} for the webhook: the next start sends them")
        await self._tasks.close()


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
        "audio": call.recording and os.path.relpath(call.recording, desk.deployment.source.parent),
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
    write_whole(unused(file), text)


def unused(file: Path) -> Path:
    first, part = file, 1
    while file.exists():
        part += 1
        file = first.with_name(f"{first.stem}-{part}{first.suffix}")
    return file
