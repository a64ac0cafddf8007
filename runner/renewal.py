"""When a lost line is renewed, and how long each try waits. Decisions only; ``line`` acts."""

from __future__ import annotations

import random
from collections.abc import Iterator

from runner.errors import ConnectError
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


def hopeless(error: ConnectError) -> bool:
    """A refusal that no other try will change: a bad key, a model that does not exist."""
    status = error.status
    return status is not None and 400 <= status < 500 and status not in _PASSING


def pauses() -> Iterator[float]:
    """Seconds to wait before each try: none before the first, then doubling, each by half at
    random, so that a thousand calls that broke together do not come back together."""
    yield 0.0
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.5 + random.random())
        pause = min(LONGEST_PAUSE, pause * 2)
