"""Which web pages an engine without a key serves: those of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_HERE = frozenset({"127.0.0.1", "::1", "localhost"})


def foreign(headers: Mapping[str, str]) -> bool:
    """Was this sent by a page of another machine? Any page that a browser shows can reach
    loopback, and a name that leads here (DNS rebinding) is no better."""
    origin = headers.get("origin")
    if origin is None:
        return False
    return origin == "null" or urlsplit(origin).hostname not in _HERE
