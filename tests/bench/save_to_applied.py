"""From a saved file to the last session.updated, with N idle calls.

    PYTHONPATH=.:tests python tests/bench/save_to_applied.py 1 200

Everything is real but the server's mind: watcher, validation, diff, one WebSocket a call. The
server (tests/support/refusing.py) is a process of its own, as the service is. Beside it stands what
bare ``websockets`` needs for the messages alone, on the same server: as many connections, each is
sent the same update and waits for the echo; no file, no check, no comparison.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.refusing import refusing_server
from websockets.asyncio.client import ClientConnection, connect

from runner.config.load import load
from runner.desk import Address, Desk
from runner.reload.apply import Applied, Applier
from runner.reload.watch import Watcher
from runner.toolbox import load_tools

SHOP = """\
transport: websocket
agents:
  desk:
    instructions: We are open from 9 to 5.
"""
SAVES = 20


async def serve_forever() -> None:
    async with refusing_server() as running:
        print(running.url, flush=True)
        await asyncio.Event().wait()


@contextmanager
def server() -> Iterator[str]:
    """The address of a server in a child process."""
    child = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip()
    finally:
        child.kill()
        child.wait()


async def measure(calls: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.yaml"
        file.write_text(SHOP)
        loaded = load(file, env={})
        with server() as url:
            address = Address(url, "key")
            desk = Desk(loaded.deployment, load_tools(loaded), address, lambda call, event: None)
            applier = Applier(desk, loaded, lambda: load(file, env={}))
            for _ in range(calls):
                await desk.open()
            watcher = Watcher(loaded.deployment.files, digests=loaded.deployment.digests)
            await watcher.start()
            changes = watcher.changes()
            took: list[float] = []
            for number in range(SAVES):
                began = time.monotonic()
                file.write_text(SHOP.replace("9", str(number + 10)))
                saved = await anext(changes)
                outcome = await applier.saved(saved.first_event)
                assert isinstance(outcome, Applied)
                assert outcome.applied == calls
                took.append((time.monotonic() - began) * 1000)
                await asyncio.sleep(0.1)
            await watcher.close()
            await desk.close()
    load_now = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    bare = _middle(await messages_alone(calls))
    print(f"{calls:4d} calls: {_middle(took)}   messages alone: {bare}   (load {load_now})")


async def messages_alone(calls: int) -> list[float]:
    took: list[float] = []
    with server() as url:
        lines = [await connect(f"{url}?model=x") for _ in range(calls)]
        for line in lines:
            await line.recv()
        for number in range(SAVES):
            update = {"type": "realtime", "instructions": f"We are open from {number} to 5."}

            async def ask(line: ClientConnection, update: dict[str, str] = update) -> None:
                await line.send(json.dumps({"type": "session.update", "session": update}))
                json.loads(await line.recv())

            began = time.monotonic()
            await asyncio.gather(*map(ask, lines))
            took.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.1)
        for line in lines:
            await line.close()
    return took


def _middle(took: list[float]) -> str:
    p95 = sorted(took)[int(len(took) * 0.95) - 1]
    return f"p50 {statistics.median(took):5.1f} ms  p95 {p95:5.1f} ms"


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve_forever())
    for argument in sys.argv[1:] or ["1", "200"]:
        asyncio.run(measure(int(argument)))
