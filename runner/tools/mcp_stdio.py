"""An MCP server as a child process, JSON-RPC on its standard input and output.

The SDK's own stdio client hands the child more of the environment than is said here, takes four
seconds to give a stubborn server up and hides the process; what goes over the pipes is the same:
one JSON-RPC message a line (modelcontextprotocol.io, specification, basic/transports, "stdio").
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runner.errors import ToolError
from runner.tasks import Supervisor

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

log = logging.getLogger("runner.tools.mcp")

#: All that a child sees of this process's environment; a program on Windows needs more to start.
INHERITED = ("PATH", "HOME", "LANG") + (
    ("SYSTEMROOT", "PATHEXT", "TEMP", "USERPROFILE") if sys.platform == "win32" else ()
)
#: A longer line is no message that anybody meant to send.
MAX_MESSAGE = 16 * 1024 * 1024
KEPT_STDERR = 8 * 1024

# Seconds: to leave by itself at the end of its input, after SIGTERM, and after SIGKILL; a pipe
# that a grandchild holds open is given up that long after the server itself has ended.
LEAVE, TERMINATE, KILL, DRAIN = 0.4, 0.4, 0.3, 0.1


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the child sees: INHERITED of ours, and ``given``."""
    return {key: os.environ[key] for key in INHERITED if key in os.environ} | dict(given)


def program(argv: Sequence[str], base: Path, path: str | None) -> list[str]:
    """``argv`` with its program found: in ``base`` when it names a path, else on ``path``.
    ``python`` is our own interpreter where no other is. ToolError when there is none."""
    name, *rest = argv
    if os.sep in name or (os.altsep and os.altsep in name):
        found = base / name
        if not found.exists():
            raise ToolError(f"there is no program {name}", f"looked for {found}")
        # The link itself, not what it leads to: that is how a virtual environment is known.
        return [os.path.abspath(found), *rest]
    where = shutil.which(name, path=path)
    if where is None and name in ("python", "python3") and sys.executable:
        where = sys.executable
    if where is None:
        raise ToolError(f"there is no program '{name}' on PATH", "install it, or name its path")
    return [where, *rest]


class _Pipes(asyncio.SubprocessProtocol):
    """The loop's end of the child: standard output as a stream, the tail of standard error."""

    def __init__(self) -> None:
        self.stdout = asyncio.StreamReader()
        self.stderr = b""
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, for uvloop's transports are none of asyncio's classes.
        out = cast(asyncio.SubprocessTransport, transport).get_pipe_transport(1)
        assert out is not None
        self.stdout.set_transport(out)  # pauses the pipe when nobody reads

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            if not self._ended:
                self.stdout.feed_data(data)
        else:
            self.stderr = (self.stderr + data)[-KEPT_STDERR:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2:
            self.silent.set()
        else:  # a server that hears nothing more is as good as gone
            self.end()

    def process_exited(self) -> None:
        self.exited.set()
        # Its last words may still be in the pipes, and a grandchild may hold them open for ever.
        asyncio.get_running_loop().call_later(DRAIN, self.end)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def end(self) -> None:
        """No more is read or written."""
        self.writable.set()
        if not self._ended:
            self._ended = True
            self.stdout.feed_eof()


class ServerProcess:
    """One run of a server: ``start`` it, talk over ``streams``, ``end`` it with its whole group.
    ``on_gone`` is called when it talks no more."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        supervisor: Supervisor,
        on_gone: Callable[[], None],
    ) -> None:
        self._argv = argv
        self._env = environment(env)
        self._cwd = cwd
        self._supervisor = supervisor
        self._transport: asyncio.SubprocessTransport | None = None
        self._pipes: _Pipes | None = None
        self._over = False  # its number may be another process's by now
        self._on_gone = on_gone

    async def start(self) -> None:
        """Start the program. ToolError when it cannot be."""
        argv = program(self._argv, self._cwd, self._env.get("PATH"))
        loop = asyncio.get_running_loop()
        try:
            self._transport, self._pipes = await loop.subprocess_exec(
                _Pipes, *argv, env=self._env, cwd=self._cwd.resolve(), start_new_session=True
            )
        except OSError as error:
            raise ToolError(f"{argv[0]} cannot be run: {error.strerror}") from None
        except ValueError as error:  # a NUL in an argument
            raise ToolError(f"{argv[0]} cannot be run: {error}") from None

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport else None

    @property
    def returncode(self) -> int | None:
        return self._transport.get_returncode() if self._transport else None

    def last_words(self) -> str:
        """The last line of its standard error that says anything."""
        text = self._pipes.stderr.decode("utf-8", "replace") if self._pipes else ""
        return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")

    @asynccontextmanager
    async def streams(self) -> AsyncIterator[TransportStreams]:
        """The pair of message streams that the SDK's client talks over (its Transport)."""
        import anyio
        from mcp.shared.message import SessionMessage

        inward, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        write, outward = anyio.create_memory_object_stream[SessionMessage](0)
        pumps = [
            self._supervisor.spawn(self._pump_in(inward), "mcp stdout"),
            self._supervisor.spawn(self._pump_out(outward), "mcp stdin"),
        ]
        try:
            yield read, write
        finally:
            for stream in (write, read):
                stream.close()
            for pump in pumps:
                pump.cancel()
            for end in (inward, outward):
                end.close()

    async def _pump_in(self, inward: Any) -> None:
        import anyio
        from mcp.shared.message import SessionMessage
        from mcp_types import jsonrpc_message_adapter

        assert self._pipes is not None
        kept = bytearray()
        try:
            while data := await self._pipes.stdout.read(1 << 16):
                *lines, rest = data.split(b"\n")
                for line in lines:
                    kept += line
                    message = bytes(kept)
                    kept.clear()
                    if not message.strip():
                        continue
                    try:
                        parsed = jsonrpc_message_adapter.validate_json(message, by_name=False)
                    except ValueError:
                        # Somebody's print(): the conversation goes on without it.
                        log.debug("left out %d bytes that are no message", len(message))
                        continue
                    await inward.send(SessionMessage(parsed))
                kept += rest
                if len(kept) > MAX_MESSAGE:
                    log.info("gave a server up whose message was over %d bytes", MAX_MESSAGE)
                    break
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the session has left
        finally:
            inward.close()
            self._on_gone()

    async def _pump_out(self, outward: Any) -> None:
        assert self._transport is not None
        assert self._pipes is not None
        pipe = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        async for item in outward:
            text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
            await self._pipes.writable.wait()
            if not pipe.is_closing():
                pipe.write(text.encode() + b"\n")

    async def end(self) -> None:
        """End the server and all of its group: the end of its input, SIGTERM, SIGKILL (the
        specification's order). Within 1.2 s. Idempotent."""
        if self._transport is None or self._pipes is None or self._over:
            return
        try:
            if (pipe := self._transport.get_pipe_transport(0)) is not None:
                pipe.close()
            await self._exit(LEAVE)
            for sign, wait in ((signal.SIGTERM, TERMINATE), (_KILL, KILL)):
                if self._alive():
                    self._signal(sign)
                    await self._exit(wait)
            await _set(self._pipes.silent, DRAIN)
        finally:
            self.kill()

    def kill(self) -> None:
        """At once, and let go of the pipes. Idempotent."""
        if self._transport is None or self._over:
            return
        if self._alive():
            self._signal(_KILL)
        self._over = True
        with suppress(PermissionError):
            self._transport.close()
        if self._pipes is not None:
            self._pipes.end()

    async def _exit(self, within: float) -> None:
        """Wait until nobody of the group lives; the leader alone has an event to wait for."""
        assert self._pipes is not None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        await _set(self._pipes.exited, within)
        while self._alive() and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def _alive(self) -> bool:
        assert self._transport is not None
        if self.returncode is None:
            return True
        if sys.platform == "win32":
            return False
        try:
            os.killpg(self._transport.get_pid(), 0)  # it leads a group of its own
        except ProcessLookupError:
            return False
        except PermissionError:  # of a zombie, on macOS
            return False
        return True

    def _signal(self, sign: int) -> None:
        assert self._transport is not None
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._transport.kill()
            else:
                os.killpg(self._transport.get_pid(), sign)


_KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)


async def _set(event: asyncio.Event, within: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
