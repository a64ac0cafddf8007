"""A real browser that a test drives, whatever protocol it speaks: a process of its own, numbered
commands over a WebSocket, and tabs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import websockets

#: A loaded machine takes its time.
START_SECONDS = 60.0
ANSWER_SECONDS = 60.0


class PageError(AssertionError):
    """What was evaluated threw, in the page's words."""


class Tab(ABC):
    """``errors``: what went wrong in the page, each as text."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    @abstractmethod
    async def evaluate(self, script: str) -> Any:
        """The JSON value of an expression, awaited when it is a promise. PageError."""

    async def until(self, script: str, within: float = 30.0) -> Any:
        """The first true value of an expression."""
        try:
            async with asyncio.timeout(within):
                while not (value := await self.evaluate(script)):  # noqa: ASYNC110 - of any page
                    await asyncio.sleep(0.02)
                return value
        except TimeoutError:
            raise PageError(f"never true: {script}; errors: {self.errors}") from None


class Driven(ABC):
    """A browser and the socket on which it takes commands."""

    def __init__(self, process: subprocess.Popen[bytes], socket: websockets.ClientConnection):
        self.process = process
        self._socket = socket
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @abstractmethod
    def _told(self, event: dict[str, Any]) -> None:
        """A message that answers no command."""

    async def _ask(self, method: str, params: Mapping[str, Any], **beside: Any) -> dict[str, Any]:
        """The result of a command; ``beside`` stands beside its params. PageError, TimeoutError."""
        self._last += 1
        number = self._last
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": params, **beside}
        await self._socket.send(json.dumps(command))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asked
        finally:
            self._asked.pop(number, None)

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                said = json.loads(text)
                if "method" in said:
                    self._told(said)
                elif (asked := self._asked.get(said["id"])) is not None and not asked.done():
                    if (error := said.get("error")) is None:
                        asked.set_result(said["result"])
                    else:  # DevTools puts the words inside, BiDi beside
                        within = error if isinstance(error, dict) else said
                        asked.set_exception(PageError(within["message"]))
        finally:
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(PageError("the browser is gone"))

    def kill(self) -> None:
        """As a crash would: it says good-bye to nobody."""
        end(self.process)

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """At once, with its helpers, which are of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@asynccontextmanager
async def launched(
    words: Sequence[str], home: Path, env: Mapping[str, str]
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A browser that lives in the folder ``home`` until the end of the block, and writes its words
    to ``home / "log"``."""
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - no pipe, and none waits for it
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                **os.environ,
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home),
                "XDG_CACHE_HOME": str(home),
                **env,
            },
        )
        try:
            yield process
        finally:
            end(process)
            process.wait()


async def dialled(url: str) -> websockets.ClientConnection:
    """The socket of a browser, for its :class:`Driven`, which closes it."""
    return await websockets.connect(url, max_size=None, ping_interval=None, proxy=None)
