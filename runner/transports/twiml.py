"""TwiML: what a phone call at Twilio does next (Twilio, TwiML for Programmable Voice)."""

from __future__ import annotations

from html import escape

#: SIP's words for a number that nobody has: the caller hears that it is not in service, and for
#: any other no the busy tone.
_NOBODY = frozenset({404, 410, 484, 604})


def twiml(*verbs: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}</Response>'


def connect(url: str) -> str:
    """Give the call's sound to the WebSocket at ``url``, both ways; the verbs behind it come when
    the socket closes while the call goes on."""
    return f'<Connect><Stream url="{escape(url)}"/></Connect>'


def reject(status: int) -> str:
    """Refuse a call that rings: no minute of it is charged. ``status`` is SIP's."""
    return f'<Reject reason="{"rejected" if status in _NOBODY else "busy"}"/>'


def dial(uri: str, action: str = "") -> str:
    """Put the caller through to a tel: or sip: URI. ``action`` is asked what comes afterwards, and
    told whether anybody took the call (Twilio, Dial: ``DialCallStatus``)."""
    scheme, _, rest = uri.partition(":")
    number = escape(rest.partition(";")[0])
    what = number if scheme.lower() == "tel" else f"<Sip>{escape(uri)}</Sip>"
    return f'<Dial action="{escape(action)}">{what}</Dial>' if action else f"<Dial>{what}</Dial>"


def hang_up() -> str:
    return "<Hangup/>"


def say(text: str) -> str:
    return f"<Say>{escape(text)}</Say>"
