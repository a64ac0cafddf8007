"""The control socket: where a running process is asked by its own user, as by `rtrun ps`.

One request a connection, a line of JSON, and one reply; lines follow it when it is a stream::

    {"do": "ps"}
    {"ok": true, "pid": 4711, "deployments": [{"deployment": "shop", ...}]}
    {"ok": false, "error": "...", "hint": "..."}

Who may connect is decided by the file system: socket and folder belong to one user.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from runner.codec import dumps, loads
from runner.errors import InputError
from runner.serve.sockets import own_folder, socket_of, sweep_all
from runner.serve.verbs import Reply, Stream
from runner.tasks import OnFailure, Supervisor, in_thread

#: A request with its line end; a longer one is refused unread.
MAX_LINE = 64 * 1024
#: Connections at once that are asked or answered; a further one is told to come again.
MAX_CLIENTS = 8
#: Streams at once, beside those.
MAX_STREAMS = 16
#: From the connection to the end of the request, and from the reply to the end of its reading.
SECONDS = 5.0
#: The last lines of a stream, when the process ends.
FLUSH_SECONDS = 0.5


class Answers(Protocol):
    """What the socket is a door to."""

    async def answer(self, request: Any) -> Reply | Stream: ...


class Control:
    """The door of one process. ``on_failure`` hears of a handler that raised."""

    def __init__(self, verbs: Answers, on_failure: OnFailure, *, seconds: float = SECONDS) -> None:
        self._verbs = verbs
        self._seconds = seconds
        self._tasks = Supervisor(on_failure)
        self._streams: set[asyncio.Task[Any]] = set()
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
        """Take the socket away; what is being answered is cut off, a stream that has ended gets a
        moment for its last lines. Idempotent."""
        path, self._path = self._path, None
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._server is not None:
            self._server.close()
        if self._streams:
            await asyncio.wait(self._streams, timeout=FLUSH_SECONDS)
        await self._tasks.close()

    @property
    def asking(self) -> int:
        """Connections that have not been answered yet."""
        return len(self._tasks) - 2 * len(self._streams)  # each has a task that waits for its end

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            busy = self.asking >= MAX_CLIENTS
            self._tasks.spawn(self._serve(reader, writer, busy), "control")
        except RuntimeError:  # it came while we close
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, busy: bool
    ) -> None:
        try:
            reply = no("busy, try again") if busy else await self._reply(reader)
            if isinstance(reply, Stream):
                await self._stream(reply, reader, writer)
            elif reply is not None:
                async with asyncio.timeout(self._seconds):
                    writer.write(_line(dumps(reply)))
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
        except (TimeoutError, OSError):
            return  # who does not ask, or does not read, is let go
        finally:
            writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader) -> Reply | Stream | None:
        """None when nothing was asked."""
        try:
            async with asyncio.timeout(self._seconds):
                line = await reader.readline()
        except ValueError:
            return no(f"a request has at most {MAX_LINE} bytes")
        if not line.endswith(b"\n"):
            return None
        try:
            request = loads(line)
        except ValueError:
            return no("the request is not JSON")
        return await self._verbs.answer(request)

    async def _stream(
        self, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        me = asyncio.current_task()
        assert me is not None
        if len(self._streams) >= MAX_STREAMS:
            stream.close()
            writer.write(_line(dumps(no(f"{MAX_STREAMS} are looking already"))))
            await writer.drain()
            return
        self._streams.add(me)
        gone = self._tasks.spawn(_end_of(reader, me), "control")
        try:
            async with contextlib.aclosing(stream.lines) as lines:
                writer.write(_line(dumps(stream.first)))
                await writer.drain()
                async for line in lines:
                    writer.write(_line(line))
                    # A reader that does not read holds up this one alone: its lines wait in
                    # their own queue, and are lost beyond its bound.
                    await writer.drain()
        except asyncio.CancelledError:
            if not gone.done():
                raise  # we close; else the reader has gone
        finally:
            stream.close()
            self._streams.discard(me)
            gone.cancel()


async def _end_of(reader: asyncio.StreamReader, streaming: asyncio.Task[Any]) -> None:
    """Whoever looks says nothing more, and goes without a word."""
    with contextlib.suppress(OSError):
        while await reader.read(1024):
            continue
    streaming.cancel()


def no(why: str) -> Mapping[str, Any]:
    return {"ok": False, "error": why}


def _line(text: str) -> bytes:
    # Half of a surrogate pair, from a model or from whoever asks, cannot be sent.
    return text.encode("utf-8", "replace") + b"\n"
