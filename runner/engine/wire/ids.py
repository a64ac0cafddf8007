"""Identifiers in the service's look: a prefix and 21 letters or digits, ``item_D2mM…``."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH, _BITS = 21, 125  # as many bits as fit


def new_id(prefix: str) -> str:
    """``prefix`` is ``event``, ``item``, ``resp``, ``sess``, ``conv`` or ``call``; a trailing
    underscore may be given or left out. 125 random bits, url-safe."""
    # At once: each event has an id, and each question to the system's source costs a call.
    number, letters = secrets.randbits(_BITS), []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return f"{prefix.rstrip('_')}_{''.join(letters)}"
