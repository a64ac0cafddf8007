"""Tickets: a call that was told to open its stream may open one, once, and soon."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

#: Twilio opens the stream as soon as it has read the TwiML.
SECONDS = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ticket(Generic[T]):
    """``call_id`` may open the stream that ``token`` is the path of."""

    call_id: str
    token: str
    until: float
    what: T


class Tickets(Generic[T]):
    """They count for ``seconds`` of ``clock()``, those of a stream when None."""

    def __init__(self, clock: Callable[[], float], seconds: float | None = None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._held: dict[str, Ticket[T]] = {}

    def give(self, call_id: str, what: T) -> str:
        """A token for this call. One that it had before is worth nothing any more."""
        for ticket in tuple(self):
            if ticket.call_id == call_id:
                del self._held[ticket.token]
        until = self._clock() + (SECONDS if self._seconds is None else self._seconds)
        ticket = Ticket(call_id, secrets.token_urlsafe(24), until, what)
        self._held[ticket.token] = ticket
        return ticket.token

    def look(self, token: str) -> Ticket[T] | None:
        ticket = self._held.get(token)
        return ticket if ticket is not None and ticket.until > self._clock() else None

    def take(self, token: str) -> None:
        """It is used up."""
        self._held.pop(token, None)

    def clear(self) -> None:
        """Nobody may come any more."""
        self._held.clear()

    def __iter__(self) -> Iterator[Ticket[T]]:
        """Those that still count, oldest first."""
        now = self._clock()
        for token in tuple(self._held):
            if self._held[token].until > now:
                break
            del self._held[token]
        return iter(tuple(self._held.values()))
