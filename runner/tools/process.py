"""A program as a child: little of our environment, a process group of its own, an end for all.

MCP servers and commands are both run this way.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from runner.errors import ToolError

#: All that a child sees of this process's environment; a program on Windows needs more to start.
INHERITED = ("PATH", "HOME", "LANG") + (
    ("SYSTEMROOT", "PATHEXT", "TEMP", "USERPROFILE") if sys.platform == "win32" else ()
)
KEPT_STDERR = 8 * 1024

# Seconds: to leave by itself at the end of its input, after SIGTERM, and after SIGKILL; a pipe
# that a grandchild holds open is given up that long after the child itself has ended.
LEAVE, TERMINATE, KILL, DRAIN = 0.4, 0.4, 0.3, 0.1
KILL_SIGNAL: int = getattr(signal, "SIGKILL", signal.SIGTERM)


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


class Pipes(asyncio.SubprocessProtocol):
    """The loop's end of the child: standard output as a stream, the tail of standard error.

    ``hears`` False: it goes on when nobody reads its input. ``on_exit`` is called when it ends,
    and ``drain`` seconds later its pipes are given up.
    """

    def __init__(self, *, hears: bool, drain: float, on_exit: Callable[[], None]) -> None:
        self.stdout = asyncio.StreamReader()
        self.stderr = b""
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self._hears = hears
        self._drain = drain
        self._on_exit = on_exit
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
        elif fd == 0:
            self.writable.set()
            if self._hears:  # one that hears nothing more is as good as gone
                self.end()
        else:
            self.end()

    def process_exited(self) -> None:
        self.exited.set()
        self._on_exit()
        # Its last words may still be in the pipes, and a grandchild may hold them open for ever.
        asyncio.get_running_loop().call_later(self._drain, self.end)

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


class Child:
    """One run of a program with its pipes, at the head of a process group of its own."""

    #: Is it of no more use once it has closed its input?
    hears = True
    drain = DRAIN

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self._argv = argv
        self._env = environment(env)
        self._cwd = cwd
        self._transport: asyncio.SubprocessTransport | None = None
        self._pipes: Pipes | None = None
        self._over = False  # its number may be another process's by now

    async def start(self) -> None:
        """Start the program. ToolError when it cannot be."""
        argv = self.command(program(self._argv, self._cwd, self._env.get("PATH")))
        if not self._cwd.is_dir():
            raise ToolError(f"there is no folder {self._cwd}")
        loop = asyncio.get_running_loop()
        try:
            self._transport, self._pipes = await loop.subprocess_exec(
                lambda: Pipes(hears=self.hears, drain=self.drain, on_exit=self.left),
                *argv,
                env=self._env,
                cwd=self._cwd.resolve(),
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{argv[0]} cannot be run: {error.strerror}") from None
        except ValueError as error:  # a NUL in an argument
            raise ToolError(f"{argv[0]} cannot be run: {error}") from None
        if self._pipes.exited.is_set():  # so soon that nobody knew of it
            self.left()

    def command(self, argv: list[str]) -> list[str]:
        """What is started in order to run ``argv``."""
        return argv

    def left(self) -> None:
        """Called in the loop when the program has ended; others of its group may live."""

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport else None

    @property
    def returncode(self) -> int | None:
        return self._transport.get_returncode() if self._transport else None

    def words(self) -> list[str]:
        """The last lines of its standard error that say anything."""
        text = self._pipes.stderr.decode("utf-8", "replace") if self._pipes else ""
        return [line.strip() for line in text.splitlines() if line.strip()]

    def last_words(self) -> str:
        """The last of them, "" when there is none."""
        return (self.words() or [""])[-1]

    async def end(self) -> None:
        """End the program and all of its group: the end of its input, SIGTERM, SIGKILL (the
        specification's order). Within 1.2 s. Idempotent."""
        if self._transport is None or self._pipes is None or self._over:
            return
        try:
            if (pipe := self._transport.get_pipe_transport(0)) is not None:
                pipe.close()
            await self._exit(LEAVE)
            for sign, wait in ((signal.SIGTERM, TERMINATE), (KILL_SIGNAL, KILL)):
                if self._alive():
                    self.signal_group(sign)
                    await self._exit(wait)
            await wait_for(self._pipes.silent, DRAIN)
        finally:
            self.kill()

    async def stop(self) -> None:
        """At once, and wait until it is buried, at most KILL seconds. Idempotent."""
        if self._transport is None or self._pipes is None or self._over:
            return
        try:
            if self.returncode is None:
                self.signal_group(KILL_SIGNAL)
            await wait_for(self._pipes.exited, KILL)
        finally:
            self.kill()

    def kill(self) -> None:
        """At once, and let go of the pipes. Idempotent."""
        if self._transport is None or self._over:
            return
        if self._alive():
            self.signal_group(KILL_SIGNAL)
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
        await wait_for(self._pipes.exited, within)
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

    def signal_group(self, sign: int) -> None:
        """To the program and all that it started and that stayed in its group."""
        assert self._transport is not None
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._transport.kill()
            else:
                os.killpg(self._transport.get_pid(), sign)


async def wait_for(event: asyncio.Event, within: float) -> None:
    """Until ``event`` is set, at most ``within`` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
