"""The sockets of SIP, as peers that break off find them."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from support.until import until

from runner.engine.sip.dialog import Flow
from runner.engine.sip.lines import Lines, _Connection
from runner.engine.sip.message import BadMessage, Message

RESET = struct.pack("ii", 1, 0)
OPTIONS = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\n"
    b"From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Reset(asyncio.Transport):
    """A connection that its peer reset before anybody looked at it: it has no addresses."""

    aborted = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def abort(self) -> None:
        self.aborted = True


def test_a_connection_that_was_reset_before_it_began_is_let_go() -> None:
    lines, transport = Lines(lambda message, flow: None), Reset()
    connection = _Connection(lines, "tcp")
    connection.connection_made(transport)
    assert transport.aborted
    connection.data_received(OPTIONS)
    connection.connection_lost(None)


def test_half_messages_two_in_one_and_a_reset_leave_the_others_alone() -> None:
    async def main() -> None:
        heard: list[tuple[Message | BadMessage, Flow]] = []
        lines = Lines(lambda message, flow: heard.append((message, flow)))
        port = await lines.open("127.0.0.1", 0)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port)) as broken:
                    broken.send(OPTIONS[:40])
                    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.write(b"\r\n\r\n" + OPTIONS[:50])
            assert await reader.readexactly(2) == b"\r\n"  # the ping's answer
            assert heard == []
            writer.write(OPTIONS[50:] + OPTIONS)
            await until(lambda: len(heard) == 2)
            await until(lambda: len(lines._connections) == 1)
            lines.send(heard[0][1], b"SIP/2.0 200 OK\r\n\r\n")
            assert await reader.readline() == b"SIP/2.0 200 OK\r\n"
            writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: x\r\n\r\n")
            assert await reader.read() == b"\r\n"  # nobody can tell where the next one begins
            writer.close()
            await until(lambda: not lines._connections)
            lines.send(heard[0][1], b"too late")
        finally:
            lines.close()

    asyncio.run(main())


def test_a_peer_that_reads_nothing_is_let_go() -> None:
    async def main() -> None:
        flows: list[Flow] = []
        lines = Lines(lambda message, flow: flows.append(flow))
        port = await lines.open("127.0.0.1", 0)
        try:
            deaf = socket.create_connection(("127.0.0.1", port))
            deaf.send(OPTIONS)
            await until(lambda: len(flows) == 1)

            def let_go() -> bool:
                lines.send(flows[0], bytes(200_000))
                return not lines._connections

            await until(let_go)
            deaf.close()
        finally:
            lines.close()

    asyncio.run(main())
