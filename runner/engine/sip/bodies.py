"""What a phone says: its session description, keys by INFO, the fate of a REFER by NOTIFY, how
long a session holds."""

from __future__ import annotations

import re

from runner.engine.sip.message import Message, headers_of, number, params

_SIGNAL = re.compile(r"(?im)^\s*signal\s*=\s*([0-9A-D*#]|1[01])\s*$")
_CODES = {"10": "*", "11": "#"}


#: The bodies that an INVITE may have.
BODIES = "application/sdp, multipart/mixed"
_DEEPEST = 3  # parts in parts


def description(message: Message, deep: int = 0) -> bytes | None:
    """The session description, empty without one. It may be one part of several (RFC 5621), such
    as beside the ISUP of a telephone network or the place of the caller. None: the body is
    something else, or is packed, and its sender does not say that it may be left alone."""
    if not message.body or message.kind in ("", "application/sdp"):
        packed = message.get("content-encoding").strip().lower() not in ("", "identity")
        return None if packed and message.body else message.body
    if message.kind.startswith("multipart/") and deep < _DEEPEST:
        found = (description(part, deep + 1) for part in _parts(message) if part.kind)
        return next((sdp for sdp in found if sdp), None)
    handling = params(message.get("content-disposition")).get("handling", "")
    return b"" if handling.lower() == "optional" else None


def _parts(message: Message) -> list[Message]:
    """The parts of a body between its boundaries (RFC 2046, 5.1.1)."""
    boundary = params(message.get("content-type")).get("boundary", "")
    if not boundary:
        return []
    mark = re.escape(boundary.encode(errors="surrogateescape"))
    pieces = re.split(rb"(?:\A|\r?\n)--%b(?:--)?[ \t]*(?=\r?\n|\Z)" % mark, message.body)
    parts = []
    for piece in pieces[1:-1]:
        head, _, body = piece.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
        parts.append(Message(headers=headers_of(head)[0], body=body))
    return parts


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


def refresher(request: Message) -> str:
    """Who is to refresh the session: uac or uas, empty when it is left to us."""
    return params(request.get("session-expires")).get("refresher", "").lower()


def expires(request: Message) -> int:
    """Seconds of Session-Expires (RFC 4028), 0 without."""
    return max(0, number(request.get("session-expires").partition(";")[0]))
