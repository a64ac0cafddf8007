"""From a saved file to the last session.updated, with N idle calls.

    PYTHONPATH=.:tests python tests/bench/save_to_applied.py [--engine] 1 200

Everything is real but the server's mind: watcher, validation, diff, one WebSocket a call. The
server is a process of its own, as the service is: tests/support/refusing.py, which does nothing but
echo, or with ``--engine`` our own ``rtrun engine`` with its rehearsal brain. Beside it stands what
bare ``websockets`` needs for the messages alone, on the same server: as many connections, each is
sent the same update and waits for the echo; no file, no check, no comparison. Processor time is of
one edit, on our side and on the server's.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int

    def cpu(self) -> float:
        """Processor time of the process so far, in seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(engine: bool) -> Iterator[Server]:
    """One in a child process."""
    more = ["--max-sessions", "1000", "--log-format", "json"]
    own = [sys.executable, "-m", "runner.cli.main", "engine", "--port", "0", *more]
    command = own if engine else [sys.executable, __file__, "serve"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        yield Server(_address(json.loads(said)) if engine else said, child.pid)
    finally:
        child.kill()
        child.wait()


def _address(ready: dict[str, Any]) -> str:
    urls = ready["urls"]
    found = urls.values() if isinstance(urls, dict) else urls
    return next(str(url) for url in found if str(url).startswith("ws"))


async def measure(calls: int, engine: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.yaml"
        file.write_text(SHOP)
        loaded = load(file, env={})
        with server(engine) as at:
            address = Address(at.url, "key")
            desk = Desk(loaded.deployment, load_tools(loaded), address, lambda call, event: None)
            applier = Applier(desk, loaded, lambda: load(file, env={}))
            for _ in range(calls):
                await desk.open()
            watcher = Watcher(loaded.deployment.files, digests=loaded.deployment.digests)
            await watcher.start()
            changes = watcher.changes()
            took: list[float] = []
            used, theirs = 0.0, at.cpu()
            for number in range(SAVES):
                began, ours = time.monotonic(), time.process_time()
                file.write_text(SHOP.replace("9", str(number + 10)))
                saved = await anext(changes)
                outcome = await applier.saved(saved.first_event)
                assert isinstance(outcome, Applied)
                assert outcome.applied == calls
                took.append((time.monotonic() - began) * 1000)
                used += time.process_time() - ours
                await asyncio.sleep(0.1)
            theirs = at.cpu() - theirs
            await watcher.close()
            await desk.close()
    bare, alone = await messages_alone(calls, engine)
    load_now = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    cpu = [f"{seconds / SAVES * 1000:.0f} ms" for seconds in (used, theirs, alone)]
    print(
        f"{calls:4d} calls: {_middle(took)}   messages alone: {_middle(bare)}   (load {load_now})"
    )
    print(f"      processor: ours {cpu[0]}, the server's {cpu[1]} (messages alone: {cpu[2]})")


async def messages_alone(calls: int, engine: bool) -> tuple[list[float], float]:
    """Milliseconds of each round, and the server's processor time of all."""
    took: list[float] = []
    with server(engine) as at:
        lines = [await connect(f"{at.url}?model=x") for _ in range(calls)]
        for line in lines:
            await line.recv()
        theirs = at.cpu()
        for number in range(SAVES):
            update = {"type": "realtime", "instructions": f"We are open from {number} to 5."}

            async def ask(line: ClientConnection, update: dict[str, str] = update) -> None:
                await line.send(json.dumps({"type": "session.update", "session": update}))
                while json.loads(await line.recv())["type"] != "session.updated":
                    pass

            began = time.monotonic()
            await asyncio.gather(*map(ask, lines))
            took.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.1)
        theirs = at.cpu() - theirs
        for line in lines:
            await line.close()
    return took, theirs


def _middle(took: list[float]) -> str:
    p95 = sorted(took)[int(len(took) * 0.95) - 1]
    return f"p50 {statistics.median(took):5.1f} ms  p95 {p95:5.1f} ms"


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve_forever())
    asked = [argument for argument in sys.argv[1:] if argument != "--engine"]
    for argument in asked or ["1", "200"]:
        asyncio.run(measure(int(argument), "--engine" in sys.argv))
