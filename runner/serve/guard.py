"""Who may ask the admin port, and what: its own page, one program with the token, and no website.

A browser can be made to ask a port of its own machine: by a page whose name now leads there (DNS
rebinding), which shows in ``Host``, and by a page of anywhere, which shows in ``Origin`` and
``Sec-Fetch-Site``.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from runner.errors import UsageError


def address(spec: str, flag: str = "--admin") -> tuple[str, int]:
    """``8081``, ``0.0.0.0:8081``, ``[::1]:8081``. UsageError."""
    host, sign, port = spec.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if sign else "127.0.0.1"
    if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise UsageError(f"{flag} {spec}: not [HOST:]PORT", "such as 8081, or 0.0.0.0:8081")
    return host, int(port)


def given_token(headers: Mapping[str, str]) -> str:
    """The bearer token of a request, '' when there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def right_token(token: str, given: str) -> bool:
    return hmac.compare_digest(token.encode("utf-8", "replace"), given.encode("utf-8", "replace"))


def own_host(host: str | None, bound: str) -> bool:
    """Is ``Host`` a name of this port? ``bound`` is the address it listens on.

    A numeric address cannot be bound anew by anybody. On a loopback port it is a loopback one."""
    name = _name(host)
    if name is None:
        return False
    if name in ("localhost", bound.lower()):
        return True
    address = _address(name)
    if is_loopback(bound):
        return address is not None and address.is_loopback
    return address is not None or name == socket.gethostname().lower()


def own_origin(headers: Mapping[str, str]) -> bool:
    """Does the request come from no page, or from a page of this port itself?"""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == headers.get("host") and origin.startswith("http")
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _name(host: str | None) -> str | None:
    """The host of a ``Host`` header without its port, None when it is none."""
    try:
        parts = urlsplit(f"//{host or ''}")
        parts.port  # noqa: B018  ValueError for what is no port
        return parts.hostname
    except ValueError:
        return None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
