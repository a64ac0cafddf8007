"""What the telephone exchange is started with."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What users of the service have met, to be met on purpose: an accept that takes 5 s and finds
#: nobody, a refer that fails, a control socket that is closed before the last events.
FAULTS = ("accept-late", "refer-500", "control-early")


@dataclass(frozen=True, slots=True)
class SipOptions:
    """``port`` takes UDP and TCP. ``webhook`` is told of each call, signed with ``secret``
    (``whsec_`` and base64, or plain text)."""

    webhook: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    #: Our address as callers are told it, where a router passes it on; empty: as they reach us.
    public: str = ""
    tls_host: str = ""
    tls_port: int = 0
    certificate: str = ""
    key: str = ""
    #: Seconds that a call rings before it is given up with 480.
    decide_seconds: float = 30.0
    faults: frozenset[str] = frozenset()
