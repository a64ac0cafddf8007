"""Link: everything that belongs to one connection, thrown away whole with it.

Item ids, positions in the caller's audio, a session.update on its way, a request for a response:
none of it means anything to the next connection, so nothing of it is carried over by mistake.
What the call is (history, calls in flight, what sounds at the caller's ear) lives beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runner.core.caller import Caller
from runner.core.outbox import Outbox
from runner.core.responses import Request, Responses
from runner.core.settings import Settings
from runner.core.view import AgentView


@dataclass(slots=True)
class Arrived:
    """The agent of a handoff, resolved, whose settings wait to be sent; and the name that the
    handoff called it by."""

    view: AgentView
    target: str


class Link:
    __slots__ = ("arrived", "caller", "gated", "owed_until", "replaying", "responses",
                 "rewritten", "settings", "unconfirmed", "unheard")  # fmt: skip

    def __init__(self, out: Outbox, view: AgentView) -> None:
        self.responses = Responses(out)
        self.settings = Settings(out, view)
        self.caller = Caller()
        #: Until when an answer that the server makes by itself is expected.
        self.owed_until: float | None = None
        #: A handoff holds the next response back until its settings are in force.
        self.gated = False
        self.arrived: Arrived | None = None
        #: Items of the history that were sent again and are not confirmed yet, by event id.
        self.replaying: dict[str, str] = {}
        #: Items deleted and made anew to say what was heard of them: their echoes are no news.
        self.rewritten: set[str] = set()
        #: Turns of the caller that began and whose words are not known yet: where in the
        #: caller's audio (ms) each began.
        self.unheard: dict[str, float] = {}
        #: Messages of ours that the server has not confirmed: sent again on the next line.
        self.unconfirmed: dict[str, dict[str, Any]] = {}

    def confirm(self, item_id: str) -> bool:
        """The server has this item. True when it was one of the history, sent again."""
        self.unconfirmed.pop(item_id, None)
        if not self.replaying:
            return False
        for event_id, waiting in self.replaying.items():
            if waiting == item_id:
                del self.replaying[event_id]
                return True
        return False

    def unanswered(self) -> list[Request]:
        """Requests for a response that no response has met."""
        pending = self.responses.pending
        waiting = list(self.responses.waiting)
        return waiting if pending is None or pending.unwanted else [pending, *waiting]
