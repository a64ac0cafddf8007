"""Identifiers in the service's look: a prefix and 21 letters or digits, ``item_D2mM…``."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """``prefix`` is ``event``, ``item``, ``resp``, ``sess``, ``conv`` or ``call``; a trailing
    underscore may be given or left out. 125 random bits, url-safe."""
    return f"{prefix.rstrip('_')}_{''.join(secrets.choice(_ALPHABET) for _ in range(21))}"
