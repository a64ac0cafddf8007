"""An MCP server as a child process, JSON-RPC on its standard input and output.

The SDK's own stdio client hands the child more of the environment than is said here, takes four
seconds to give a stubborn server up and hides the process; what goes over the pipes is the same:
one JSON-RPC message a line (modelcontextprotocol.io, specification, basic/transports, "stdio").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from runner.tasks import Supervisor
from runner.tools.process import Child

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

log = logging.getLogger("runner.tools.mcp")

#: A longer line is no message that anybody meant to send.
MAX_MESSAGE = 16 * 1024 * 1024


class ServerProcess(Child):
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
        super().__init__(argv, env, cwd)
        self._supervisor = supervisor
        self._on_gone = on_gone

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
