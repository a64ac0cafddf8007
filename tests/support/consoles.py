"""A console on a house of deployments in the test's own process, and a browser's part played by
plain HTTP and WebSocket clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import websockets
from support.houses import SHOP, Hall, hall

from runner.desk import Address, Call
from runner.engines import Engine
from runner.serve.console.site import Console
from runner.serve.deployed import Deployed

Row = dict[str, Any]


class Told:
    """The console's Ears."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def began(self, of: Deployed, call: Call) -> None:
        self.calls.append(("began", call.id))

    def ended(self, of: Deployed, call: Call) -> None:
        self.calls.append(("ended", call.reason or ""))


class Desk:
    """``hall`` with its ``console``, and a client that the link has let in."""

    def __init__(self, it: Hall, make: Callable[[], Console], told: Told) -> None:
        self.hall = it
        self._make = make
        self.console = make()
        self.told = told

    async def open(self) -> None:
        await self.console.open("127.0.0.1", 0)
        url = self.console.url
        self.client = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)

    async def restart(self) -> None:
        """Another console at the same port, as of the next process."""
        port = int(self.console.url.rpartition(":")[2])
        await self.console.close()
        self.console = self._make()
        await self.console.open("127.0.0.1", port)

    async def enter(self) -> None:
        answer = await self.client.get(self.console.link())
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console"

    @property
    def headers(self) -> dict[str, str]:
        """What a browser sends from the page."""
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.client.cookies.jar)
        return {"Origin": self.console.url, "Cookie": cookies}

    async def ask(self, do: str, **fields: Any) -> Row:
        answer = await self.client.post(
            "/console/do", json={"do": do, **fields}, headers={"Origin": self.console.url}
        )
        reply: Row = answer.json()
        assert answer.status_code == (200 if reply["ok"] else 409)
        return reply

    @asynccontextmanager
    async def page(self, name: str = "page") -> AsyncIterator[Page]:
        url = f"{self.console.url.replace('http', 'ws', 1)}/console/live?page={name}"
        async with websockets.connect(
            url, additional_headers=self.headers, max_size=None, proxy=None
        ) as socket:
            page = Page(socket)
            await page.until(lambda said: said["is"] == "all")
            yield page


class Page:
    """An open page. ``said`` is all that it was told."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.said: list[Row] = []

    async def until(self, where: Callable[[Row], object], within: float = 20) -> Row:
        """The next message for which ``where`` holds."""
        try:
            async with asyncio.timeout(within):
                while True:
                    said: Row = json.loads(await self.socket.recv())
                    self.said.append(said)
                    if where(said):
                        return said
        except TimeoutError:
            kinds = [s["is"] for s in self.said]
            raise AssertionError(f"never told: {kinds}\n{self.said[-3:]}") from None

    async def row(self, **wanted: Any) -> Row:
        """The next row of a call with these fields."""

        def fits(said: Row) -> bool:
            row = said.get("row", {})
            return said["is"] == "row" and all(row.get(k) == v for k, v in wanted.items())

        said = await self.until(fits)
        row: Row = said["row"]
        return row

    async def watch(self, session: str | None) -> None:
        await self.socket.send(json.dumps({"watch": session}))


@asynccontextmanager
async def console_on(
    folder: Path,
    url: str,
    *,
    voice: bool = False,
    env: dict[str, str] | None = None,
    content: bool = False,
    **files: str,
) -> AsyncIterator[Desk]:
    """A console whose link has let one browser in."""
    async with hall(folder, url, env, **(files or {"shop": SHOP})) as it:
        engine = Engine("local", Address(url, "key"), voice=voice, note="it has no voice")
        told = Told()

        def of(deployed: Deployed) -> Engine | None:
            return None if deployed.desk is None else engine

        def make() -> Console:
            return Console(
                it.house,
                it.verbs,
                told,
                env=it.env,
                engine=of,
                address=lambda deployed: engine.address if of(deployed) else None,
                on_failure=it._failed,
                content=content,
            )

        desk = Desk(it, make, told)
        await desk.open()
        try:
            await desk.enter()
            yield desk
        finally:
            await desk.client.aclose()
            await desk.console.close()
            await desk.console.close()
        assert it.failed == []
