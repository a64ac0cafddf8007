"""The MCP calls of one connection, from the end of the response that wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from runner.engine.hosted.server import Target
from runner.engine.hosted.servers import Servers
from runner.engine.wire import Items
from runner.tasks import Supervisor

if TYPE_CHECKING:
    from runner.engine.hosted.calls import McpCall

PATIENCE = 10.0
"""Seconds that a response waits for calls, when it can only be about them."""


class Calls:
    """``answered_after`` holds, by the call's item, the item that was the conversation's last when
    its result came."""

    def __init__(self, servers: Servers, items: Items, tasks: Supervisor) -> None:
        self.answered_after: dict[str, str | None] = {}
        self._servers = servers
        self._items = items
        self._tasks = tasks
        self._asked: dict[str, McpCall] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    @property
    def running(self) -> frozenset[str]:
        """The items of the calls under way."""
        return frozenset(self._running)

    def take(self, calls: Iterable[McpCall]) -> None:
        """Run those of a response that is done; those that need a yes wait for it."""
        for call in calls:
            if call.request_id is None:
                self._run(call, call.target)
            else:
                self._asked[call.request_id] = call

    def decide(self, request_id: str, approve: bool) -> None:
        """The client has answered a request for approval."""
        call = self._asked.pop(request_id, None)
        if call is not None and approve:
            # The definition may have changed since, or be gone.
            found = self._servers.find(call.target.label, call.target.tool.name)
            self._run(call, found)

    async def settled(self) -> None:
        """Until no call is under way, at most PATIENCE seconds."""
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=PATIENCE)

    def _run(self, call: McpCall, target: Target | None) -> None:
        call.begin()
        work = self._finish(call, target)
        self._running[call.id] = self._tasks.spawn(work, f"mcp call {call.id}")

    async def _finish(self, call: McpCall, target: Target | None) -> None:
        try:
            outcome = await self._servers.call(target, call.arguments)
        finally:
            del self._running[call.id]
        self.answered_after[call.id] = self._items.last_id()
        call.end(outcome)
