"""What an engine is started with."""

from __future__ import annotations

import os
from dataclasses import dataclass

#: Spoken calls for each core, with which the sound of all is in time (docs/performance.md), and
#: for the one event loop, however many cores there are.
SESSIONS_A_CORE = 20
MOST_SESSIONS = 64


def sessions_here() -> int:
    """How many spoken sessions the cores that this process may use are good for."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return min(MOST_SESSIONS, SESSIONS_A_CORE * cores)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """``key`` empty: any key will do (loopback only).

    ``lead_ms``: answers are sent at most this far ahead of their playback. The real service sends
    as fast as it makes them; a bound keeps a barge-in cheap and a slow reader's memory small.
    """

    host: str = "127.0.0.1"
    port: int = 0
    key: str = ""
    max_sessions: int = MOST_SESSIONS
    session_seconds: float = 3600.0  # GA sessions last 60 minutes
    lead_ms: int = 5000
    stall_seconds: float = 20.0  # a peer that reads nothing for so long is dead

    def __repr__(self) -> str:
        # The key does not belong in a log.
        return f"EngineOptions({self.host}:{self.port}, max_sessions={self.max_sessions})"
