"""The end of a call by the agent: the farewell is played out, then the line is closed.

Bounded in time, and the caller may still answer: speech before the end calls it off.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The longest that a farewell may take from the decision to hang up.
FAREWELL_SECONDS = 15.0
#: Quiet after the farewell, in which the caller may still say something.
GRACE_SECONDS = 1.0


@dataclass(slots=True)
class _End:
    reason: str
    latest: float
    #: Where the caller is put through to, empty when the line is closed.
    transfer: str = ""
    #: When the line is closed, once the farewell was played.
    at: float | None = None


class Ending:
    def __init__(self) -> None:
        self._end: _End | None = None
        #: Where the last call that was over is put through to, empty when it is hung up.
        self.transfer = ""

    def ask(self, reason: str, now: float, transfer: str = "") -> None:
        if self._end is None:
            self._end = _End(reason, now + FAREWELL_SECONDS, transfer)

    def call_off(self) -> bool:
        """The caller speaks. True when the call was about to end."""
        was, self._end = self._end, None
        return was is not None

    def pump(self, now: float, *, quiet: bool) -> str | None:
        """The reason to hang up now, None when it is not time. ``quiet``: no turn runs."""
        end = self._end
        if end is None:
            return None
        if now < end.latest:
            if not quiet:
                end.at = None
                return None
            if end.at is None:
                end.at = now + GRACE_SECONDS
            if now < end.at:
                return None
        self._end = None
        self.transfer = end.transfer
        return end.reason

    @property
    def asked(self) -> bool:
        return self._end is not None

    @property
    def deadline(self) -> float | None:
        if self._end is None:
            return None
        return self._end.latest if self._end.at is None else min(self._end.at, self._end.latest)
