"""``X-Twilio-Signature``: who asks is Twilio (Twilio, Security). Standard library alone.

HMAC-SHA1, keyed with the account's auth token, over the public URL and, of a form, its fields in
the order of their names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, urlsplit

HEADER = "X-Twilio-Signature"
_PORTS = {"https": "443", "wss": "443", "http": "80", "ws": "80"}


def form_fields(body: bytes) -> list[tuple[str, str]]:
    """A form as it was posted; what is none has no fields."""
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    except ValueError:  # more fields than anybody sends
        return []


def twilio_signature(token: str, url: str, fields: Sequence[tuple[str, str]] = ()) -> str:
    """What Twilio sends with a request to ``url``."""
    form = "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(token.encode(), (url + form).encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def twilio_signed(token: str, signature: str, url: str, body: bytes = b"") -> bool:
    """Is ``signature`` Twilio's? A proxy in front may have ended TLS, and Twilio signs a socket as
    wss: or https:, with the port or without, with a slash at the end or without."""
    fields = form_fields(body)
    given = signature.encode("utf-8", "replace")
    expected = [twilio_signature(token, each, fields).encode() for each in _spellings(url)]
    # All are looked at: how long it takes tells nothing.
    return any([hmac.compare_digest(given, each) for each in expected])


def _spellings(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    rest = url.partition("://")[2]
    bare = rest if parts.query else rest.rstrip("/")
    host, sign, port = parts.netloc.rpartition(":")
    for scheme in ("https", "wss", "http", "ws"):
        named = {bare}
        if sign and port.isdigit():
            named.add(host + bare[len(parts.netloc) :])
        else:
            named.add(f"{parts.netloc}:{_PORTS[scheme]}{bare[len(parts.netloc) :]}")
        for each in sorted(named):
            yield f"{scheme}://{each}"
            if not parts.query:
                yield f"{scheme}://{each}/"
