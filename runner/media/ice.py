"""Where WebRTC looks for a way to the peer: this machine's own addresses, and no server unasked.

aioice leaves loopback out of the candidates, so that a machine (or container) whose only
interface is loopback reaches nobody, not even itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aioice.ice
from aiortc import RTCConfiguration, RTCIceServer

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


def configuration(servers: Sequence[Any] = ()) -> RTCConfiguration:
    """For an RTCPeerConnection. ``servers``: RTCIceServer objects, URLs, or maps with ``urls``,
    ``username`` and ``credential`` as browsers take them. None given, none is asked: aiortc's
    default would ask a public one, and wait for it on a machine without a network."""
    return RTCConfiguration(iceServers=[_server(server) for server in servers])


def _server(server: Any) -> RTCIceServer:
    if isinstance(server, RTCIceServer):
        return server
    if isinstance(server, str):
        return RTCIceServer(urls=server)
    return RTCIceServer(**{key: server[key] for key in server})
