"""What a phone says: keys by INFO, the fate of a REFER by NOTIFY, how long a session holds."""

from __future__ import annotations

import re

from runner.engine.sip.message import Message

_SIGNAL = re.compile(r"(?im)^\s*signal\s*=\s*([0-9A-D*#]|1[01])\s*$")
_CODES = {"10": "*", "11": "#"}


def key_of(request: Message) -> str:
    """The key of an INFO (application/dtmf-relay: ``Signal=5``; application/dtmf: ``5``), empty
    when it is about something else."""
    text = request.body.decode(errors="replace")
    if request.kind == "application/dtmf-relay":
        found = _SIGNAL.search(text)
        return _CODES.get(found[1], found[1].upper()) if found else ""
    if request.kind == "application/dtmf":
        key = text.strip().upper()
        key = _CODES.get(key, key)
        return key if len(key) == 1 and key in "0123456789*#ABCD" else ""
    return ""


def refer_status(request: Message) -> int:
    """The status line in a NOTIFY's message/sipfrag; 0 when there is none."""
    if not request.get("event").lower().startswith("refer"):
        return 0
    found = re.match(rb"\s*SIP/2\.0\s+(\d{3})", request.body)
    return int(found[1]) if found else 0


def expires(request: Message) -> int:
    """Seconds of Session-Expires (RFC 4028), 0 without."""
    text = request.get("session-expires").partition(";")[0].strip()
    return int(text) if text.isdecimal() else 0
