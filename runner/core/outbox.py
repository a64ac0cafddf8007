"""Outbox: effects on their way to the shell, in order, and the names of the events among them."""

from __future__ import annotations

from typing import Any

from runner.core.effects import Effect, Effects, Notify, Send
from runner.core.events import SessionEvent

#: How many sent events are remembered, so that an error can be laid at the right door.
_REMEMBERED = 256


class Outbox:
    """Every machine of one conversation writes into the same outbox.

    Client events are named by a counter (``rtrun_1``, ``rtrun_2`` ...): the server repeats the
    name in ``error.error.event_id``, which is the one link between an error and its cause.
    """

    __slots__ = ("_count", "_prefix", "_purposes", "effects", "online")

    def __init__(self, prefix: str = "rtrun") -> None:
        self.effects: Effects = []
        self.online = False
        self._prefix = prefix
        self._count = 0
        self._purposes: dict[str, str] = {}

    def name(self) -> str:
        """A fresh name, never given out before in this conversation."""
        self._count += 1
        return f"{self._prefix}_{self._count}"

    def send(self, kind: str, purpose: str, **fields: Any) -> str:
        """Send a client event of type ``kind``; its event id. Off line nothing is sent."""
        event_id = self.name()
        if self.online:
            self.effects.append(Send({"type": kind, "event_id": event_id, **fields}))
            self._purposes[event_id] = purpose
            if len(self._purposes) > _REMEMBERED:
                del self._purposes[next(iter(self._purposes))]
        return event_id

    def purpose(self, event_id: str | None) -> str | None:
        """Why the event of this id was sent, None when it is not ours or long ago."""
        return None if event_id is None else self._purposes.get(event_id)

    def tell(self, event: SessionEvent) -> None:
        self.effects.append(Notify(event))

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def take(self) -> Effects:
        """Everything written since the last take."""
        effects = self.effects
        self.effects = []
        return effects
