"""A program as a tool: the model's arguments as JSON on its standard input, its output the tool's.

Its limits keep a faulty program from doing harm; they are no sandbox. What must not be trusted
belongs into a container.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from runner.codec import dumps
from runner.errors import ToolError, UserError
from runner.model.deployment import CommandSpec, ToolSpec
from runner.tools.answer import EMPTY, MAX_OUTPUT, hidden
from runner.tools.declared import DeclaredTool, common
from runner.tools.process import DRAIN, KILL_SIGNAL, Child, wait_for

#: Open files, and the bytes of one file that it writes.
MAX_FILES = 256
MAX_FILE = 64 * 1024 * 1024
#: Lines of standard error that the application is told.
_TOLD = 10

# The limits are set by a Python that then becomes the program. The other ways: a preexec_fn runs
# after a fork of this process and its threads, where any lock may be held for ever; prlimit() from
# outside comes after the program has begun, and may have forked. This one costs some 10 ms.
#
# RLIMIT_DATA and not RLIMIT_AS bounds the memory: node, Go and Java reserve gigabytes of addresses
# that they never fill, and node does not start under 512 MiB of them. No RLIMIT_NPROC: it counts
# all processes of the user, ours too, and nothing for root; a bomb of forks dies with its group.
_LIMITED = """
import os, resource, signal, sys
data, cpu, files, size = map(int, sys.argv[1:5])
def limit(name, soft, hard):
    try:
        kind = getattr(resource, "RLIMIT_" + name)
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))
    except (AttributeError, OSError, ValueError):
        pass
limit("CORE", 0, 0)
limit("CPU", cpu, cpu + 1)
limit("NOFILE", files, files)
limit("FSIZE", size, size)
for name in ("SIGPIPE", "SIGXFSZ"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
# A library of ours may block signals (PulseAudio's does), and a program would inherit that.
signal.pthread_sigmask(signal.SIG_SETMASK, ())
limit("DATA", data, data)
try:
    os.execv(sys.argv[5], sys.argv[5:])
except OSError as error:
    os.write(2, f"it cannot be run: {error.strerror}\\n".encode())
    os._exit(126)
"""


@dataclass(frozen=True, slots=True)
class CommandTool(DeclaredTool):
    """``program`` run once for each call, in ``folder``; what it prints is the output. It has
    ended with all of its process group when the call has."""

    program: CommandSpec = field(kw_only=True, repr=False)
    folder: Path = field(kw_only=True)

    async def call(self, given: Mapping[str, Any]) -> str:
        """Run it. ToolError when it cannot be started, fails, or says too much."""
        run = _Run(self.program, self.folder, self.timeout)
        try:
            await run.start()
            run.feed(dumps(given).encode() + b"\n")  # for those that read a line
            output = await run.output()
        finally:
            await run.stop()
        text = output.decode("utf-8", "replace").strip()
        if run.returncode != 0:
            raise self._failed(run, text)
        return text or EMPTY

    def _failed(self, run: _Run, printed: str) -> ToolError:
        lines = run.words() or printed.splitlines()
        secrets = self.program.env.values()
        why = hidden(lines[-1], secrets)[:300] if lines else ""
        words = _ending(run.returncode, run.seconds)
        hint = hidden("\n".join(lines[-_TOLD:]), secrets) if len(lines) > 1 else ""
        return ToolError(f"{words}: {why}" if why else words, hint)


def command_tool(spec: ToolSpec) -> CommandTool:
    """The tool behind ``spec.command``."""
    if spec.command is None or not spec.command.argv:
        raise UserError(f"the tool '{spec.name}' has no command")
    return CommandTool(
        **common(spec), program=spec.command, folder=spec.command.cwd or spec.base.absolute()
    )


class _Run(Child):
    hears = False  # a program need not read its arguments
    drain = 10 * DRAIN  # what is not read then is lost: a busy loop must not cut an output short

    def __init__(self, spec: CommandSpec, folder: Path, timeout: float) -> None:
        env = {name: secret.reveal() for name, secret in spec.env.items()}
        super().__init__(spec.argv, env, folder)
        #: Of processor time; a program with threads may use it up before its timeout.
        self.seconds = math.ceil(timeout) + 1
        self._memory = spec.memory_mb * 1024 * 1024

    def command(self, argv: list[str]) -> list[str]:
        # Windows has no such limits, and of a frozen program sys.executable is no Python.
        if sys.platform == "win32" or getattr(sys, "frozen", False) or not sys.executable:
            return argv
        limits = (self._memory, self.seconds, MAX_FILES, MAX_FILE)
        return [sys.executable, "-I", "-S", "-c", _LIMITED, *map(str, limits), *argv]

    def left(self) -> None:
        """Whom it left behind ends with it, and lets go of its output."""
        if self._transport is not None:
            self.signal_group(KILL_SIGNAL)

    def feed(self, data: bytes) -> None:
        """All of its input. It is written as the program reads, and dropped when it does not."""
        assert self._transport is not None
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():  # it may have ended by now
            pipe.write(data)
            pipe.close()

    async def output(self) -> bytes:
        """All that it prints, once it has ended. ToolError when that is more than MAX_OUTPUT."""
        assert self._pipes is not None
        kept = bytearray()
        while data := await self._pipes.stdout.read(1 << 16):
            kept += data
            if len(kept) > MAX_OUTPUT:
                raise ToolError(f"the program printed more than {MAX_OUTPUT // 1024} kB")
        await self._pipes.exited.wait()
        await wait_for(self._pipes.silent, DRAIN)  # its last words are on their way
        return bytes(kept)


def _ending(code: int | None, seconds: int) -> str:
    if code is None or code >= 0:
        return f"the program ended with exit code {code}"
    name = str(-code)
    with suppress(ValueError):
        name = signal.Signals(-code).name
    if name == "SIGXCPU":
        return f"the program used more than {seconds} s of processor time"
    return f"the program was ended by {name}"
