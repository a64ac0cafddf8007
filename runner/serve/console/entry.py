"""Who gets in: a link with a token that works once, and a cookie in exchange for it.

The key that signs cookies is kept in the folder of the control sockets, so a page that is open
stays in when rtrun is started again. Without such a folder it lasts as long as the process.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from runner.errors import InputError
from runner.serve.sockets import own_folder

#: For which a cookie opens the door, in seconds.
LASTS = 24 * 3600
#: A link that nobody followed is no key for ever.
TOKEN_LASTS = 12 * 3600
#: Links at once; a further one makes the oldest worthless.
MOST_TOKENS = 16
_KEY_BYTES = 32


class Entry:
    """``clock`` is time.time: a cookie outlives the process."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._clock = clock
        self._tokens: dict[str, float] = {}

    def token(self) -> str:
        """A new one, to be spent once."""
        made = secrets.token_urlsafe(24)
        self._tokens[made] = self._clock() + TOKEN_LASTS
        while len(self._tokens) > MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return made

    def spend(self, token: str) -> str | None:
        """The cookie that a token is worth; None when it is not, or not any more."""
        given = token.encode("utf-8", "replace")
        for known, ends in tuple(self._tokens.items()):
            if hmac.compare_digest(known.encode(), given):
                del self._tokens[known]
                return self._cookie() if self._clock() < ends else None
        return None

    def admits(self, cookie: str) -> bool:
        head, _, mac = cookie.rpartition(".")
        ends = head.partition(".")[0]
        right = hmac.compare_digest(self._mac(head).encode(), mac.encode("utf-8", "replace"))
        return right and ends.isascii() and ends.isdigit() and self._clock() < int(ends)

    def _cookie(self) -> str:
        head = f"{int(self._clock()) + LASTS}.{secrets.token_urlsafe(12)}"
        return f"{head}.{self._mac(head)}"

    def _mac(self, head: str) -> str:
        return hmac.new(self._key, head.encode("utf-8", "replace"), "sha256").hexdigest()


def kept_key() -> bytes:
    """The key of this user's consoles, made at the first start."""
    try:
        file = own_folder() / "console.key"
        with contextlib.suppress(FileExistsError):
            _write(file)
        key = file.read_bytes()
    except (InputError, OSError):
        key = b""
    return key if len(key) == _KEY_BYTES else secrets.token_bytes(_KEY_BYTES)


def _write(file: Path) -> None:
    # Whole, or not at all: two processes may start at one time.
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    try:
        number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as out:
            out.write(secrets.token_bytes(_KEY_BYTES))
        if not file.exists():
            os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def cookie_of(headers: Mapping[str, str], name: str) -> str:
    """One cookie of a request, '' when there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
