"""The MCP servers of one session: listed when they come, called, let go when they leave."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runner import codec
from runner.engine.hosted.definition import key_of
from runner.engine.hosted.errors import INVALID_PARAMS, TIMED_OUT, HostedError, protocol_error
from runner.engine.hosted.server import CALL, Server, Target
from runner.engine.wire import Items, WireError, events, new_id
from runner.tasks import Supervisor

PATIENCE = 10.0
"""Seconds that a response waits for lists."""
MAX_SERVERS = 32
MAX_GUESTS = 4
"""Servers of a session, and those beside them that single responses have brought."""


class Servers:
    """``send`` puts an event on the wire. ``public_only``: no server in a private network."""

    def __init__(
        self,
        items: Items,
        send: Callable[[dict[str, Any]], None],
        tasks: Supervisor,
        *,
        public_only: bool,
    ) -> None:
        self._items = items
        self._send = send
        self._tasks = tasks
        self._public_only = public_only
        self._servers: dict[str, Server] = {}
        self._guests: deque[str] = deque()
        self._left_out: set[str] = set()

    def configure(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """The session's tools are these now: list what is new, let go what is not among them."""
        wanted = {key_of(e): (i, e) for i, e in enumerate(tools) if e.get("type") == "mcp"}
        self._guests.clear()
        self._left_out = set()
        for key in [k for k in self._servers if k not in wanted]:
            self._let_go(key)
        for key, (place, entry) in wanted.items():
            if key in self._servers:
                continue
            if len(self._servers) < MAX_SERVERS:
                self._begin(key, entry, f"session.tools[{place}]")
                continue
            if not self._left_out:
                text = f"More than {MAX_SERVERS} MCP servers: the last ones are left out."
                self._fail(text, f"session.tools[{place}]")
            self._left_out.add(key)

    async def listed(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """Until the servers among these are listed, or have failed; at most PATIENCE seconds.
        Those that a response alone brings are listed now, and the latest of them kept until the
        session's next update."""
        found = []
        for place, entry in enumerate(tools):
            if entry.get("type") == "mcp":
                key = key_of(entry)
                if key in self._left_out:
                    continue
                if key not in self._servers:
                    self._begin(key, entry, f"response.tools[{place}]")
                    self._guests.append(key)
                found.append(self._servers[key].listing)
                if len(self._guests) > MAX_GUESTS:
                    self._let_go(self._guests.popleft())
        if pending := [task for task in found if task is not None and not task.done()]:
            await asyncio.wait(pending, timeout=PATIENCE)

    def targets(self, tools: Iterable[Mapping[str, Any]]) -> list[Target]:
        """All that the servers among these offer, as far as they are listed."""
        entries = (key_of(entry) for entry in tools if entry.get("type") == "mcp")
        servers = (self._servers[key] for key in entries if key in self._servers)
        return [Target(server, tool) for server in servers for tool in server.tools]

    def find(self, label: str, name: str) -> Target | None:
        """The tool that an approval is about, if its server still offers it."""
        for server in self._servers.values():
            for tool in server.tools:
                if server.label == label and tool.name == name:
                    return Target(server, tool)
        return None

    async def call(self, target: Target | None, arguments: str) -> str | HostedError:
        """What the tool answers to JSON ``arguments``, or why it does not."""
        if target is None:
            return protocol_error(INVALID_PARAMS, "The tool is not offered any more.")
        try:
            given = codec.loads(arguments or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return protocol_error(INVALID_PARAMS, "The arguments are no JSON object.")
        try:
            async with asyncio.timeout(CALL):
                return await target.server.call(target.tool.name, given)
        except HostedError as error:
            return error
        except TimeoutError:
            text = f"{target.server.name} did not answer within {CALL:g} s"
            return protocol_error(TIMED_OUT, text)

    async def close(self) -> None:
        """Take leave of all, within a second."""
        closing = [server.close() for server in self._servers.values()]
        self._servers.clear()
        await asyncio.gather(*closing)

    def _let_go(self, key: str) -> None:
        self._tasks.spawn(self._servers.pop(key).close(), "mcp close")

    # -- listing ----------------------------------------------------------------------------

    def _begin(self, key: str, entry: Mapping[str, Any], path: str) -> None:
        server = Server(entry, self._tasks, public_only=self._public_only)
        self._servers[key] = server
        item_id = new_id("item")
        item = self._items.start_mcp_list(item_id, server.label)
        self._send(events.conversation_item_added(item, self._items.previous_id(item_id)))
        self._send(events.mcp_list_tools("in_progress", item_id))
        server.listing = self._tasks.spawn(self._list(server, item_id, path), "mcp list")

    async def _list(self, server: Server, item_id: str, path: str) -> None:
        failed: HostedError | None = None
        try:
            await server.list_tools()
        except HostedError as why:
            failed = why
        except BaseException:
            # Most likely it left the session meanwhile; a list that began must end.
            self._listed(server, item_id, "failed")
            raise
        if failed is None:
            self._listed(server, item_id, "completed")
            return
        self._listed(server, item_id, "failed")
        # The event above says no reason, and whoever set the server up needs one.
        param = f"{path}.{failed.where}" if failed.where else path
        # What the SDK says goes on over several lines and names no server.
        reason = failed.message.partition("\n")[0]
        self._fail(reason if server.label in reason else f"{server.name}: {reason}", param)

    def _fail(self, message: str, param: str) -> None:
        self._send(WireError(message, code="mcp_list_tools_failed", param=param).event())

    def _listed(self, server: Server, item_id: str, how: str) -> None:
        there = item_id in self._items
        previous = self._items.previous_id(item_id)
        self._items.set_mcp_tools(item_id, [tool.wire() for tool in server.tools])
        item = self._items.finish(item_id)
        # In this order, by OpenAI's own tests (see hosted.calls).
        self._send(events.mcp_list_tools(how, item_id))
        if there:
            self._send(events.conversation_item_done(item, previous))
