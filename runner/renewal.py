"""When a lost line is renewed, and how long each try waits. Decisions only; ``line`` acts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from runner.errors import FATAL, ConnectError
from runner.transports.base import Closed

#: Close codes after which another try makes sense (RFC 6455 and its registry): going away, no
#: status, broken off, internal error, restart, try again later, TLS. What the official client
#: reconnects on; 1000 is a goodbye, 1008 and 4xxx are refusals.
RENEWABLE = frozenset({1001, 1005, 1006, 1011, 1012, 1013, 1015})
#: HTTP refusals that may pass: timeout, too early, rate limit.
_PASSING = frozenset({408, 425, 429})
#: The longest that a caller is left with a line that is gone.
BUDGET_SECONDS = 20.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 3.0
#: A line that lived so long has earned a fresh budget.
HEALTHY_SECONDS = 10.0


def renewable(closed: Closed) -> bool:
    return closed.code in RENEWABLE


def hopeless(error: Exception) -> bool:
    """A refusal that no other try will change: a bad key, no quota, a model that does not exist,
    a server that takes the line and ends it by a code that is no accident."""
    if not isinstance(error, ConnectError):
        return False
    if error.reason in FATAL:
        return True
    status = error.status
    if status is not None:
        return 400 <= status < 500 and status not in _PASSING
    return error.code is not None and error.code not in RENEWABLE


def pauses() -> Iterator[float]:
    """Seconds to wait before each try: none before the first, then doubling, each by half at
    random, so that a thousand calls that broke together do not come back together."""
    yield 0.0
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.5 + random.random())
        pause = min(LONGEST_PAUSE, pause * 2)


class Patience:
    """What is left of the budget of one call. A server that takes each line and drops it soon
    after finds neither a fresh budget nor a try without a pause."""

    def __init__(self) -> None:
        self._pauses = pauses()
        #: Seconds without a line that the caller may still be made to wait.
        self.left = BUDGET_SECONDS

    def lost(self, lived: float) -> None:
        """A line broke that had lived so many seconds."""
        if lived >= HEALTHY_SECONDS:
            self._pauses, self.left = pauses(), BUDGET_SECONDS

    def pause(self) -> float:
        """Seconds to wait before the next try."""
        return next(self._pauses)

    def waited(self, seconds: float) -> None:
        self.left -= seconds
