"""Which MCP servers the engine may call for a client."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from runner.engine.hosted.errors import CLOSED, protocol_error
from runner.tasks import in_thread

WHERE = "server_url"
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_loopback(host: str) -> bool:
    """Whether an engine that listens there serves this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def check_address(name: str, url: str, *, public_only: bool) -> None:
    """HostedError for what is no http(s) URL or, ``public_only``, leads into a private network:
    an engine that others reach must not open its own network to them.

    On loopback every address is allowed: whoever may talk to the engine there runs programs on
    this machine and can reach the same servers without it, and most MCP servers that people
    develop listen on loopback themselves.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise protocol_error(CLOSED, f"{name} has a server_url that is no http(s) URL", WHERE)
    if not public_only:
        return
    try:
        found = await in_thread(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        text = f"{name} cannot be found: {host} has no address"
        raise protocol_error(CLOSED, text, WHERE) from None
    if not all(_public(str(entry[4][0])) for entry in found):
        text = f"{name} is refused: {host} is a private or loopback address"
        raise protocol_error(CLOSED, text, WHERE)


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Some only wrap an address of IPv4: mapped, 6to4, and what NAT64 translates.
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        inner = ip.ipv4_mapped or ip.sixtofour or inner
        if inner is not None:
            return _public(str(inner))
    return ip.is_global and not ip.is_multicast
