"""The control socket: what a running process is asked by its own user, such as `rtrun approve`.

One request and one response a connection, each a line of JSON::

    {"do": "approvals"}
    {"ok": true, "pid": 4711, "deployment": "shop", "approvals": [{"session": ..., ...}]}
    {"do": "decide", "session": ..., "call_id": ..., "yes": true, "message": null, "always": false}
    {"ok": true, "done": true}          done false: it waits no more
    {"ok": false, "error": "..."}

Who may connect is decided by the file system: socket and folder belong to one user.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from runner.codec import dumps, loads
from runner.errors import InputError
from runner.serve.sockets import own_folder, socket_of, sweep_all
from runner.tasks import OnFailure, Supervisor, in_thread

#: A request with its line end; a longer one is refused unread.
MAX_LINE = 64 * 1024
#: Connections at once; a further one is told to come again.
MAX_CLIENTS = 8
#: From the connection to the end of the response.
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call of a tool that waits for an operator. ``session`` is the id of the call on the
    line, ``arguments`` the model's own JSON, ``kind`` function | mcp, ``seconds`` since it was
    asked."""

    session: str
    call_id: str
    tool: str
    arguments: str
    agent: str
    kind: str
    seconds: float


class House(Protocol):
    """What the control socket is a door to."""

    @property
    def deployment(self) -> str: ...

    def approvals(self) -> Sequence[Waiting]: ...

    async def decide(
        self, session: str, call_id: str, *, yes: bool, message: str | None, always: bool
    ) -> bool:
        """False when no such call waits."""
        ...


class Control:
    """The door of one process. ``on_failure`` hears of a handler that raised."""

    def __init__(self, house: House, on_failure: OnFailure, *, seconds: float = SECONDS) -> None:
        self._house = house
        self._seconds = seconds
        self._tasks = Supervisor(on_failure)
        self._server: asyncio.Server | None = None
        self._path: Path | None = None

    async def open(self) -> Path:
        """Listen. InputError when there is no place for a socket of this user alone."""
        path = socket_of(await in_thread(own_folder), os.getpid())
        await in_thread(sweep_all)
        try:
            # A process of the same number may have been killed before us.
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._came, path, limit=MAX_LINE)
            self._path = path
            path.chmod(0o600)  # nobody else gets into the folder before that, either
        except OSError as error:
            await self.close()
            raise InputError(f"{path}: {error.strerror or error}") from None
        return path

    async def close(self) -> None:
        """Take the socket away; what is being answered is cut off. Idempotent."""
        path, self._path = self._path, None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._server is not None:
            self._server.close()
        await self._tasks.close()

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            busy = len(self._tasks) >= MAX_CLIENTS
            self._tasks.spawn(self._serve(reader, writer, busy), "control")
        except RuntimeError:  # it came while we close
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, busy: bool
    ) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                reply = _no("busy, try again") if busy else await self._reply(reader)
                if reply is not None:
                    writer.write(dumps(reply).encode() + b"\n")
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError):
            return  # who does not ask, or does not read, is let go
        finally:
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader) -> Mapping[str, Any] | None:
        """None when nothing was asked."""
        try:
            line = await reader.readline()
        except ValueError:
            return _no(f"a request has at most {MAX_LINE} bytes")
        if not line.endswith(b"\n"):
            return None
        try:
            request = loads(line)
        except ValueError:
            return _no("the request is not JSON")
        if not isinstance(request, dict):
            return _no("the request is not an object")
        match request.get("do"):
            case "approvals":
                return {
                    "ok": True,
                    "pid": os.getpid(),
                    "deployment": self._house.deployment,
                    "approvals": [asdict(waiting) for waiting in self._house.approvals()],
                }
            case "decide":
                return await self._decide(request)
        return _no("there is no such request")

    async def _decide(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        session, call_id = request.get("session"), request.get("call_id")
        yes, always = request.get("yes"), request.get("always", False)
        message = request.get("message")
        if not (isinstance(session, str) and isinstance(call_id, str)):
            return _no("session and call_id are texts")
        if not (isinstance(yes, bool) and isinstance(always, bool)):
            return _no("yes and always are true or false")
        if not (message is None or isinstance(message, str)):
            return _no("message is a text or null")
        done = await self._house.decide(session, call_id, yes=yes, message=message, always=always)
        return {"ok": True, "done": done}


def _no(why: str) -> Mapping[str, Any]:
    return {"ok": False, "error": why}
