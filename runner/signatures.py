"""The signature of OpenAI's webhooks (Standard Webhooks), made and checked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac

#: Seconds by which a webhook may be late or early (Standard Webhooks).
TOLERANCE = 300


def webhook_signed(
    secret: str, webhook_id: str, timestamp: str, signatures: str, body: bytes, now: float
) -> bool:
    """Standard Webhooks, as OpenAI signs: ``v1,<base64>`` of HMAC-SHA256 over
    ``id.timestamp.body``."""
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > TOLERANCE:
        return False
    expected = webhook_signature(secret, webhook_id, timestamp, body)[3:].encode()
    given = [part[3:].encode() for part in signatures.split() if part.startswith("v1,")]
    return any([hmac.compare_digest(each, expected) for each in given])


def webhook_signature(secret: str, webhook_id: str, timestamp: str, body: bytes) -> str:
    """The same, made: ``v1,<base64>``. A secret without ``whsec_`` is the key itself, as in the
    openai package, and so is one that is no base64 behind it."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        with contextlib.suppress(ValueError):
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
