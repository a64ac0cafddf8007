"""The webhook of incoming calls: who sends it, when, and whether it was seen before.

OpenAI signs it as the Standard Webhooks specification says: ``webhook-signature`` holds one or
more ``v1,<base64 HMAC-SHA256>`` of ``webhook-id.webhook-timestamp.body``. It is sent again until
it is answered with 2xx, for hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from runner.codec import loads
from runner.model.phone import Incoming

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: Seconds that a message may be old, or ahead.
TOLERANCE = 300
#: An announced call of GA; the same call may be announced for other surfaces too.
INCOMING = "realtime.call.incoming"
MOST_HEADERS = 200
_REMEMBERED = 10_000


class Signatures:
    """Checks by the official client. ``secrets`` are of the deployments behind one path."""

    def __init__(self) -> None:
        self._client: AsyncOpenAI | None = None

    def secret_of(
        self, body: bytes, headers: Mapping[str, str], secrets: Iterable[str]
    ) -> str | None:
        """The one of ``secrets`` that signed this, just now; None when none did."""
        if self._client is None:
            from openai import AsyncOpenAI  # takes most of a second; nothing is sent by this one

            self._client = AsyncOpenAI(api_key="none")
        for secret in dict.fromkeys(secrets):
            try:
                self._client.webhooks.verify_signature(
                    body, headers, secret=secret, tolerance=TOLERANCE
                )
            except Exception:  # whatever a stranger sends, it is not signed
                continue
            return secret
        return None


def incoming(body: bytes) -> Incoming | str | None:
    """The call that a message announces, None for a message of something else; in words what is
    wrong with it."""
    try:
        event = loads(body)
    except ValueError:
        return "no JSON"
    if not isinstance(event, dict):
        return "no event"
    if event.get("type") != INCOMING:
        return None
    data: Any = event.get("data")
    call_id = data.get("call_id") if isinstance(data, dict) else None
    if not isinstance(call_id, str) or not call_id or len(call_id) > 256:
        return "no call_id"
    given = data.get("sip_headers")
    headers = tuple(
        (entry["name"], entry["value"])
        for entry in (given if isinstance(given, list) else ())[:MOST_HEADERS]
        if isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get("value"), str)
    )
    return Incoming(call_id, headers)


class Seen:
    """Messages and calls of the last ten minutes: a message that is older is refused anyway."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def first(self, *names: str) -> bool:
        """None of ``names`` was here before; from now on all were."""
        now = self._clock()
        for name in tuple(self._until):
            if self._until[name] > now and len(self._until) < _REMEMBERED:
                break
            del self._until[name]
        new = not any(name in self._until for name in names)
        for name in names:
            self._until.setdefault(name, now + 2 * TOLERANCE)
        return new
