"""The keys of a telephone: gathered into the caller's turn, or into a number that a tool asked for.

Keys that nobody asked for are a turn of the caller once no other follows for a moment, or ``#``
ends them. A tool that collects digits gets those that were pressed ahead of it too.
"""

from __future__ import annotations

from dataclasses import dataclass

#: After a key, another one of the same turn is waited for so long.
GATHER_SECONDS = 2.0
#: The end of what a caller types, on every telephone.
END = "#"
#: More than anybody presses in one go; what comes then is the next turn.
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tool collects: ``count`` digits at most (0: any), or until ``terminator`` (empty:
    none); ``timeout`` seconds without a key end it."""

    call_id: str
    count: int
    terminator: str
    timeout: float


class Keys:
    def __init__(self) -> None:
        self._pressed = ""
        self._since = 0.0
        self.wanted: Wanted | None = None

    def press(self, key: str, now: float) -> None:
        self._pressed += key
        self._since = now

    def collect(self, wanted: Wanted, now: float) -> None:
        self.wanted = wanted
        self._since = now

    def wait(self, now: float) -> None:
        """The agent speaks: the caller's time has not begun."""
        if self.wanted is not None and not self._pressed:
            self._since = now

    def due(self, now: float) -> str | None:
        """The keys that are whole now, None while others may follow; empty when a tool waited in
        vain. Taken with :meth:`take`."""
        wanted, pressed = self.wanted, self._pressed
        if wanted is None:
            if pressed and (pressed.endswith(END) or now - self._since >= GATHER_SECONDS):
                return pressed
            return pressed[:LONGEST] if len(pressed) >= LONGEST else None
        if wanted.terminator and wanted.terminator in pressed:
            return pressed[: pressed.index(wanted.terminator)]
        if wanted.count and len(pressed) >= wanted.count:
            return pressed[: wanted.count]
        return pressed if now - self._since >= wanted.timeout else None

    def take(self) -> str:
        """Everything pressed so far; whoever wanted it has it."""
        pressed, self._pressed = self._pressed, ""
        self.wanted = None
        return pressed

    @property
    def deadline(self) -> float | None:
        if self.wanted is not None:
            return self._since + self.wanted.timeout
        return self._since + GATHER_SECONDS if self._pressed else None
