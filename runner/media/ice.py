"""Where WebRTC looks for a way to the peer: this machine's own addresses, and no server unasked.

aioice leaves loopback out of the candidates, so that a machine (or container) whose only
interface is loopback reaches nobody, not even itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import aioice.ice
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection

from runner.tasks import Supervisor

log = logging.getLogger("runner.media")

#: aioice looks that often whether its checks are over.
CHECKED_SECONDS = 0.03
#: For what aiortc is connecting to find that it was closed.
CONNECTING_SECONDS = 5.0

_found = aioice.ice.get_host_addresses


def _or_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """The machine's addresses as aioice finds them, loopback when it finds none."""
    found = _found(use_ipv4=use_ipv4, use_ipv6=use_ipv6)
    if found:
        return found
    return ["127.0.0.1"] * use_ipv4 + ["::1"] * (use_ipv6 and not use_ipv4)


def allow_loopback() -> None:
    """From now on, in this process, loopback is a candidate where there is no other. Idempotent."""
    aioice.ice.get_host_addresses = _or_loopback


def configuration(servers: Sequence[Any] = (), *, bundled: bool = False) -> RTCConfiguration:
    """For an RTCPeerConnection. ``servers``: RTCIceServer objects, URLs, or maps with ``urls``,
    ``username`` and ``credential`` as browsers take them. None given, none is asked: aiortc's
    default would ask a public one, and wait for it on a machine without a network. ``bundled``, of
    an offer: sound and events take one way from the start. Else each has sockets of its own until
    the answer comes, and aiortc that is given up while it closes them forgets them."""
    policy = RTCBundlePolicy.MAX_BUNDLE if bundled else RTCBundlePolicy.BALANCED
    found = [_server(server) for server in servers]
    return RTCConfiguration(iceServers=found, bundlePolicy=policy)


async def close(connection: RTCPeerConnection, within: float) -> bool:
    """Close it, whatever it is doing, and whatever becomes of us. False when that takes longer
    than ``within`` seconds: it goes on (aiortc that is stopped half way keeps its sockets)."""
    work = _closing.spawn(_close(connection), "close a WebRTC connection")
    done, _ = await asyncio.wait((work,), timeout=within)
    return bool(done)


async def answers(connection: RTCPeerConnection) -> bool:
    """Is its far end there? Asked by STUN, as for consent to send (RFC 7675), with half a second
    for the answer: a program that was killed gives none, one that has nothing to send does."""
    return any([await _answers(way) for way in _ways(connection)])


async def _answers(way: aioice.Connection) -> bool:
    if way.remote_password is None:
        return False
    key = way.remote_password.encode()
    for pair in tuple(way._nominated.values()):
        try:
            request = way.build_request(pair, nominate=False)
            await pair.protocol.request(
                request, pair.remote_addr, integrity_key=key, retransmissions=0
            )
        except (aioice.stun.TransactionError, OSError):
            continue
        return True
    return False


def _failed(name: str, error: BaseException) -> None:
    log.error("%s failed: %r", name, error, exc_info=error)


#: aiortc's method that connects.
_CONNECTS = f"{RTCPeerConnection.__name__}.__connect"
#: Those that are being closed: a loop by itself would forget them.
_closing = Supervisor(_failed)


async def _close(connection: RTCPeerConnection) -> None:
    """aioice that was about to be connected begins to ask for consent behind its own close, and
    would go on with that for half a minute."""
    connecting = _connecting(connection)
    early = {id(way): way for way in _ways(connection) if way._query_consent_task is None}
    try:
        await connection.close()
    except Exception as error:  # one that was made of half a description lacks parts
        log.info("a WebRTC connection was not whole: %r", error)
        early = {id(way): way for way in _ways(connection)}
    if connecting:
        await _closed_behind(connection, connecting)
    if early:
        await asyncio.sleep(CHECKED_SECONDS)
    for way in early.values():
        await way.close()


def _connecting(connection: RTCPeerConnection) -> list[asyncio.Task[Any]]:
    """aiortc's own tasks that connect it, and have not finished."""
    found: list[asyncio.Task[Any]] = []
    for task in asyncio.all_tasks():
        coro: Any = task.get_coro()
        frame = getattr(coro, "cr_frame", None)
        if coro.__qualname__ == _CONNECTS and frame and frame.f_locals.get("self") is connection:
            found.append(task)
    return found


async def _closed_behind(
    connection: RTCPeerConnection, connecting: Iterable[asyncio.Task[Any]]
) -> None:
    """They go on behind the close: either they fail, of which nobody else would take note, or they
    begin to send, receive and decode on what is closed, for good."""
    done, late = await asyncio.wait(connecting, timeout=CONNECTING_SECONDS)
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled():
            task.exception()
    for transceiver in connection.getTransceivers():
        await transceiver.stop()
    if connection.sctp is not None:
        await connection.sctp.stop()


def _ways(connection: RTCPeerConnection) -> Iterator[aioice.Connection]:
    transports = [t.receiver.transport for t in connection.getTransceivers()]
    if connection.sctp is not None and connection.sctp.transport is not None:
        transports.append(connection.sctp.transport)
    for transport in {id(each): each for each in transports}.values():
        if transport is not None:
            yield transport.transport._connection


def _server(server: Any) -> RTCIceServer:
    if isinstance(server, RTCIceServer):
        return server
    if isinstance(server, str):
        return RTCIceServer(urls=server)
    return RTCIceServer(**{key: server[key] for key in server})
