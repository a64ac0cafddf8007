"""A small deployment on the desk, with calls on a server that may refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.refusing import RefusingServer, refusing_server
from support.until import until

from runner.config.load import load
from runner.core.events import SessionEvent, SettingsRefused
from runner.desk import Address, Call, Desk
from runner.reload.apply import Applier, Outcome
from runner.toolbox import load_tools

SHOP = """\
transport: websocket
timezone: none
agents:
  desk:
    instructions: Say one.
    tools: [price]
tools:
  price: { python: "price.py:price" }
"""
RESPONSE = {"id": "resp_1", "object": "realtime.response", "status": "in_progress"}
PRICE = "def price(item: str) -> str:\n    return 'one dollar'\n"


class Shop:
    """A deployment on the desk, with calls on a server that may refuse."""

    def __init__(self, folder: Path, server: RefusingServer) -> None:
        self.file = folder / "shop.yaml"
        self.file.write_text(SHOP)
        (folder / "price.py").write_text(PRICE)
        self.server = server
        self.events: list[tuple[Call, SessionEvent]] = []
        loaded = load(self.file, env={})
        self.desk = Desk(
            loaded.deployment,
            load_tools(loaded),
            Address(server.url, "key"),
            lambda call, event: self.events.append((call, event)),
        )
        self.applier = Applier(self.desk, loaded, lambda: load(self.file, env={}))

    async def save(self, text: str) -> Outcome:
        self.file.write_text(text)
        return await self.applier.saved(time.monotonic())

    async def busy(self, number: int) -> Call:
        """Begin an answer in the call of this number."""
        call = list(self.desk.calls.values())[number]
        await self.server.send(number, {"type": "response.created", "response": RESPONSE})
        await until(lambda: call.session.busy)
        return call

    async def done(self, number: int) -> None:
        """End it."""
        done = {**RESPONSE, "status": "completed", "output": []}
        await self.server.send(number, {"type": "response.done", "response": done})

    def refusals(self) -> list[tuple[Call, SettingsRefused]]:
        return [(c, e) for c, e in self.events if isinstance(e, SettingsRefused)]

    def instructions(self) -> list[str]:
        return [session["instructions"] for session in self.server.sessions]


@asynccontextmanager
async def shop(
    folder: Path, calls: int, refusing: frozenset[int] = frozenset()
) -> AsyncIterator[Shop]:
    async with refusing_server(refusing) as server:
        it = Shop(folder, server)
        for _ in range(calls):
            await it.desk.open()
        try:
            yield it
        finally:
            await it.desk.close()


def in_shop(
    folder: Path, test: Callable[[Shop], Any], calls: int, refusing: frozenset[int] = frozenset()
) -> None:
    async def main() -> None:
        async with shop(folder, calls, refusing) as it:
            await test(it)

    asyncio.run(main())
