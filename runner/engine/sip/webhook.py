"""``realtime.call.incoming``: a call announced as OpenAI announces it.

Headers as in Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` (Unix seconds) and
``webhook-signature``, ``v1,`` and the base64 of an HMAC-SHA256 over ``id.timestamp.body``. A
delivery that fails is tried again with the same id.
"""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from runner import codec
from runner.engine.wire import new_id
from runner.signatures import webhook_signature
from runner.tasks import in_thread

#: Seconds before each try.
TRIES = (0.0, 0.5, 1.0, 2.0, 4.0)
SECONDS = 10.0


def incoming(call_id: str, headers: list[tuple[str, str]]) -> tuple[str, bytes]:
    """``(webhook id, body)`` for a call."""
    event = {
        "id": new_id("evt"),
        "object": "event",
        "type": "realtime.call.incoming",
        "created_at": int(time.time()),
        "data": {
            "call_id": call_id,
            "sip_headers": [{"name": name, "value": value} for name, value in headers],
        },
    }
    return new_id("wh"), codec.dumps(event).encode()


def signed(secret: str, webhook_id: str, body: bytes, now: int) -> dict[str, str]:
    """The headers of one delivery."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "OpenAI/1.0 (+rtrun engine)",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now),
        "webhook-signature": webhook_signature(secret, webhook_id, str(now), body),
    }


async def deliver(
    url: str, secret: str, webhook_id: str, body: bytes, wanted: Callable[[], bool]
) -> str:
    """Until somebody takes it, ``wanted()`` is over or the tries are: why not, empty when taken."""
    why = ""
    for wait in TRIES:
        await asyncio.sleep(wait)
        if not wanted():
            return ""
        headers = signed(secret, webhook_id, body, int(time.time()))
        why = await in_thread(_post, url, headers, body)
        if not why:
            return ""
    return why


def _post(url: str, headers: dict[str, str], body: bytes) -> str:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return "" if 200 <= answer.status < 300 else f"HTTP {answer.status}"
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
