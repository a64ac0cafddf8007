"""A proxy between client and server that breaks the line in the ways networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
from types import TracebackType


class Proxy:
    """``async with Proxy(port) as proxy``: connect to ``proxy.port`` instead of ``port``.

    ``blackhole()``: not a byte passes any more in either direction, and nobody is told; ``rst()``
    resets every connection; ``fin()`` ends them in good order.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        #: One gate for each connection: closed, not a byte passes.
        self._gates: list[asyncio.Event] = []
        self._dark = False
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        for pair in self._pairs:
            for writer in pair:
                writer.transport.abort()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def blackhole(self, *, new: bool = True) -> None:
        """``new`` False: connections that come later are not swallowed."""
        self._dark = new
        for gate in self._gates:
            gate.clear()

    def rst(self) -> None:
        for pair in self._pairs:
            for writer in pair:
                if writer.is_closing():
                    continue
                sock: socket.socket = writer.get_extra_info("socket")
                # Linger for zero seconds: the kernel answers with RST instead of FIN.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def fin(self) -> None:
        for pair in self._pairs:
            for writer in pair:
                writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._pairs.append((writer, back))
        gate = asyncio.Event()
        if not self._dark:
            gate.set()
        self._gates.append(gate)
        for source, sink in ((reader, back), (there, writer)):
            pump = asyncio.get_running_loop().create_task(self._pump(source, sink, gate))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, gate: asyncio.Event
    ) -> None:
        try:
            while True:
                await gate.wait()
                data = await source.read(65536)
                await gate.wait()
                if not data:
                    break
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()
