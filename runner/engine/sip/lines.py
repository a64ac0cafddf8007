"""The sockets of SIP: UDP and TCP on one port, TLS on another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import cast

from runner.engine.sip.dialog import Flow
from runner.engine.sip.message import BadMessage, Message, Stream, parse
from runner.errors import InputError

#: Connections at once, and the seconds in which one has to bring a whole message.
MOST = 512
PATIENCE = 30.0
#: Bytes that a peer may leave unread.
UNREAD = 256 * 1024

Heard = Callable[[Message | BadMessage, Flow], None]


class Lines:
    """``heard(message, flow)`` gets what comes in; ``public`` as in :class:`Flow`."""

    def __init__(self, heard: Heard, public: str = "") -> None:
        self._heard = heard
        self.public = public
        self._udp: asyncio.DatagramTransport | None = None
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, _Connection] = {}
        self._count = 0

    async def open(self, host: str, port: int) -> int:
        """Listen by UDP and TCP on the same port, any free one for 0. InputError."""
        loop = asyncio.get_running_loop()
        for attempt in range(20):
            try:
                udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(host, port)
                )
            except OSError as error:
                raise _taken(host, port, error) from None
            chosen = int(udp.get_extra_info("sockname")[1])
            try:
                server = await loop.create_server(lambda: _Connection(self, "tcp"), host, chosen)
            except OSError as error:
                udp.close()
                if port or attempt == 19:
                    raise _taken(host, chosen, error) from None
                continue
            self._udp = udp
            self._servers.append(server)
            return chosen
        raise AssertionError("unreachable")

    async def open_tls(self, host: str, port: int, certificate: str, key: str) -> int:
        """Listen by TLS. InputError when the port or the files cannot be had."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"cannot use {certificate} and {key} for TLS: {error.strerror or error}",
                "a certificate and its key, both as PEM",
            ) from None
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: _Connection(self, "tls"), host, port, ssl=context
            )
        except OSError as error:
            raise _taken(host, port, error) from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def send(self, flow: Flow, data: bytes) -> None:
        """What cannot be sent is lost: whoever waits for an answer gives up in time."""
        if flow.transport == "udp":
            if self._udp is not None and not self._udp.is_closing():
                self._udp.sendto(data, flow.peer)
            return
        connection = self._connections.get(flow.number)
        if connection is not None:
            connection.send(data)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for connection in tuple(self._connections.values()):
            connection.close()
        if self._udp is not None:
            self._udp.close()

    def add(self, connection: _Connection) -> int:
        """Its number; 0 when there are too many."""
        if len(self._connections) >= MOST:
            return 0
        self._count += 1
        self._connections[self._count] = connection
        return self._count

    def gone(self, number: int) -> None:
        self._connections.pop(number, None)

    def take(self, message: Message | BadMessage, flow: Flow) -> None:
        self._heard(message, flow)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._host, self._port = "", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._host, self._port = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip(b"\r\n\0"):
            return  # kept alive
        peer = (addr[0], addr[1])
        host = self._host if self._host not in ("0.0.0.0", "::") else own_address(*peer)
        flow = Flow("udp", host, self._port, peer, public=self._lines.public)
        try:
            message: Message | BadMessage = parse(data)
        except BadMessage as bad:
            message = bad
        self._lines.take(message, flow)


class _Connection(asyncio.Protocol):
    def __init__(self, lines: Lines, kind: str) -> None:
        self._lines = lines
        self._kind = kind
        self._stream = Stream()
        self._number = 0
        self._flow: Flow | None = None
        self._transport: asyncio.Transport | None = None
        self._impatient: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        ours, theirs = map(transport.get_extra_info, ("sockname", "peername"))
        # One that was reset before it came to be known here has no addresses.
        self._number = self._lines.add(self) if ours and theirs else 0
        if not self._number:
            self._transport.abort()
            return
        (host, port), far = ours[:2], (theirs[0], theirs[1])
        self._flow = Flow(self._kind, host, port, far, self._number, self._lines.public)
        loop = asyncio.get_running_loop()
        self._impatient = loop.call_later(PATIENCE, self.close)

    def data_received(self, data: bytes) -> None:
        if self._flow is None:
            return
        for message in self._stream.feed(data):
            if isinstance(message, BadMessage) and not message.status:
                self.close()  # nobody can tell where the next one begins
                return
            if self._impatient is not None:
                self._impatient.cancel()
            self._lines.take(message, self._flow)
        if self._stream.pings:
            self._stream.pings = 0
            self.send(b"\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._impatient is not None:
            self._impatient.cancel()
        self._lines.gone(self._number)

    def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD:
            self._transport.abort()
        else:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@lru_cache(256)
def own_address(host: str, port: int) -> str:
    """The address of ours at which ``host`` finds us."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def _taken(host: str, port: int, error: OSError) -> InputError:
    return InputError(
        f"cannot listen for SIP on {host}:{port}: {error.strerror or error}",
        "choose another port; 0 takes a free one",
    )
