"""Who asks a Worker is who it says: the signature of OpenAI's webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

#: Seconds by which a webhook may be late or early (Standard Webhooks).
TOLERANCE = 300


def webhook_signed(
    secret: str, webhook_id: str, timestamp: str, signatures: str, body: bytes, now: float
) -> bool:
    """Standard Webhooks, as OpenAI signs: ``v1,<base64>`` of HMAC-SHA256 over
    ``id.timestamp.body``; the key is the base64 behind ``whsec_``."""
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > TOLERANCE:
        return False
    expected = webhook_signature(secret, webhook_id, timestamp, body)[3:].encode()
    given = [part[3:].encode() for part in signatures.split() if part.startswith("v1,")]
    return any([hmac.compare_digest(each, expected) for each in given])


def webhook_signature(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The same, made: ``v1,<base64>``. A secret that is no base64 is the key itself."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = secret.encode()
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
