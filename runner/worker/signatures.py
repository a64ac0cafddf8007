"""Who asks a Worker is who it says: Twilio's signature, and that of OpenAI's webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

#: Seconds by which a webhook may be late or early (Standard Webhooks).
TOLERANCE = 300


def twilio_signed(token: str, signature: str, url: str, body: bytes) -> bool:
    """``X-Twilio-Signature``: HMAC-SHA1 over the URL and, of a form, its fields in the order of
    their names (Twilio, Security). A proxy in front may have ended TLS, and Twilio signs a socket
    as wss: or https:, with a slash at the end or without."""
    fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    form = "".join(name + value for name, value in sorted(set(fields)))
    given = signature.encode()
    expected = [
        base64.b64encode(hmac.new(token.encode(), (each + form).encode(), hashlib.sha1).digest())
        for each in _spellings(url)
    ]
    # All are looked at: how long it takes tells nothing.
    return any([hmac.compare_digest(given, each) for each in expected])


def _spellings(url: str) -> Iterable[str]:
    parts = urlsplit(url)
    rest = url.partition("://")[2]
    bare = rest if parts.query else rest.rstrip("/")
    for scheme in ("https", "wss", "http", "ws"):
        yield f"{scheme}://{bare}"
        if not parts.query:
            yield f"{scheme}://{bare}/"


def webhook_signed(
    secret: str, webhook_id: str, timestamp: str, signatures: str, body: bytes, now: float
) -> bool:
    """Standard Webhooks, as OpenAI signs: ``v1,<base64>`` of HMAC-SHA256 over
    ``id.timestamp.body``; the key is the base64 behind ``whsec_``."""
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > TOLERANCE:
        return False
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = secret.encode()
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = [part[3:].encode() for part in signatures.split() if part.startswith("v1,")]
    return any([hmac.compare_digest(each, expected) for each in given])
