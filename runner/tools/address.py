"""Where a request may go: every address behind a name is looked at before anything connects.

What counts as public follows IANA's special-purpose address registries (RFC 6890 and later).
Python's own ``ipaddress.is_global`` changed with its releases, and it calls 6to4 public.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from runner.errors import ToolError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: (name, port) -> the addresses behind the name, in the order in which to try them. It may
#: block; OSError when there is none.
Resolver = Callable[[str, int], Sequence[str]]

#: Kinds of addresses that belong to networks of one's own: a name under ``hosts`` may lead there.
OWN = frozenset({"loopback", "private", "shared"})

_V4 = [
    (ipaddress.IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),  # behind a provider's translation, RFC 6598
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),  # where clouds keep the keys of a machine
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "reserved"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "private"),  # benchmarks
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
_V6 = [
    (ipaddress.IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "reserved"),  # IPv4-compatible
        ("64:ff9b:1::/48", "private"),  # translation inside one network, RFC 8215
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),  # site-local, given up by RFC 3879
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),  # Teredo among them
        ("2001:db8::/32", "reserved"),
        ("2002::/16", "reserved"),  # 6to4
        ("3fff::/20", "reserved"),
    )
]
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is given out so far
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def bare(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it (mapped, NAT64), else itself; the
    zone of a link-local address is left out."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return ipaddress.IPv6Address(int(address))


def kind_of(address: Address) -> str:
    """``public``, or what else it is: loopback, private, shared, link-local, multicast,
    unspecified, reserved."""
    address = bare(address)
    if isinstance(address, ipaddress.IPv4Address):
        return next((kind for network, kind in _V4 if address in network), "public")
    found = next((kind for network, kind in _V6 if address in network), None)
    return found or ("public" if address in _UNICAST else "reserved")


def resolve(name: str, port: int) -> list[str]:
    """The system's answer. Blocks; OSError when there is none."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def literal(text: str) -> Address | None:
    """The address that ``text`` writes out, None when it is a name. Only the usual spelling
    counts; 0x7f.1 goes through the resolver, and what comes out is looked at."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def may_reach(
    name: str, port: int, found: Sequence[str], hosts: Sequence[str], who: str = "this tool"
) -> list[str]:
    """``found``, the addresses behind ``name``, when all of them may be reached; ToolError when
    one may not, for a name that leads to both kinds is a trick or a mistake.

    Public ones may. An entry of ``hosts`` (a name or an address, with or without ``:port``) opens
    the loopback, private and shared addresses that its name leads to, and any address that it
    writes out.
    """
    addresses = [literal(text) for text in found]
    if not addresses:
        raise ToolError(f"no server is called {name}")
    entries = [host for host, only in map(_entry, hosts) if only in (None, port)]
    named = _plain(name) in entries
    opened = {bare(entry) for entry in map(literal, entries) if entry is not None}
    for text, address in zip(found, addresses, strict=True):
        if address is None:
            raise ToolError(f"the address of {name} cannot be read", text)
        kind = kind_of(address)
        if kind == "public" or bare(address) in opened or (named and kind in OWN):
            continue
        article = "an" if kind == "unspecified" else "a"
        raise ToolError(
            f"{name} is at {article} {kind} address, where {who} may not go",
            f"that is {text}; "
            + (f"add {name} to its hosts" if kind in OWN else f"add {text} to its hosts"),
        )
    return list(found)


def _plain(name: str) -> str:
    with suppress(UnicodeError):  # what is no name of DNS matches none
        name = name.encode("idna").decode()
    return name.lower().rstrip(".")


def _entry(text: str) -> tuple[str, int | None]:
    """``name``, ``name:8080``, ``::1`` or ``[::1]:8080`` -> the host and its port."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return _plain(host), int(port) if port.isdigit() else None
