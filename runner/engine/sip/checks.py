"""What a request has to meet before anything is done about it, and what it is told otherwise.

RFC 3261, 8.2 (methods, addresses, extensions, bodies) and RFC 4028, 6 (timers).
"""

from __future__ import annotations

import re

from runner.engine.sip.bodies import BODIES, description, expires
from runner.engine.sip.message import Headers, Message

MIN_EXPIRES = 90
SUPPORTED = ("timer",)
ANSWERED = ("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "NOTIFY")
ALLOW = ", ".join(ANSWERED)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)

Refusal = tuple[int, Headers]


def unmet(request: Message) -> Refusal | None:
    """The status of an answer with its fields; None when nothing stands in the way."""
    if request.method not in ANSWERED:
        return 405, (("Allow", ALLOW),)
    scheme = _SCHEME.match(request.uri)
    if scheme is None:
        return 400, ()
    if scheme[1].lower() not in ("sip", "sips", "tel"):
        return 416, ()
    lacking = [name for name in request.every("require") if name.lower() not in SUPPORTED]
    if lacking:
        return 420, (("Unsupported", ", ".join(lacking)),)
    if request.method in ("INVITE", "UPDATE"):
        if description(request) is None:
            return 415, (("Accept", BODIES),)
        if timed(request) and 0 < expires(request) < MIN_EXPIRES:
            return 422, (("Min-SE", str(MIN_EXPIRES)),)
    return None


def timed(request: Message) -> bool:
    """Does the caller's phone know of session timers? One that does not could make nothing of a
    422: its Session-Expires was written by a proxy on the way."""
    return any(name.lower() == "timer" for name in request.every("supported"))
