"""Turns: one record per response, from ``response.created`` until its audio was played.

A turn is over when its response is done and nothing of it is left to be heard. The time to first
audio belongs to the caller's question, not to the response: with a tool call in between, the
response that finally sounds gets the time since the caller stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from runner.core.view import AgentView

RUNNING, CUT, SOUNDING, OVER = "running", "cut", "sounding", "over"

#: cut: nothing more may sound, response.done is still to come. sounding: done, being played.
TABLE: Mapping[tuple[str, str], str] = {
    (RUNNING, "cut"): CUT,
    (RUNNING, "done"): SOUNDING,
    (CUT, "cut"): CUT,
    (CUT, "done"): OVER,
    (SOUNDING, "cut"): OVER,
    (SOUNDING, "quiet"): OVER,
}

#: How many finished responses are remembered, so that a late repetition revives none.
_REMEMBERED = 256

Maker = Literal["auto", "manual", "say", "server"]


class Response:
    """One response as the conversation sees it."""

    __slots__ = ("asked", "beside", "called", "cancel_sent", "first_audio_ms", "interruptible",
                 "item_id", "made_by", "params", "played_ms", "playing_since", "purpose", "rate",
                 "response_id", "sounded", "state", "view", "wrote")  # fmt: skip

    def __init__(
        self,
        response_id: str,
        view: AgentView,
        *,
        made_by: Maker = "server",
        purpose: str = "",
        rate: int = 24000,
        beside: bool = False,
    ) -> None:
        self.response_id = response_id
        #: The agent that was active when it began: its tools apply, also after a handoff.
        self.view = view
        self.made_by = made_by
        self.purpose = purpose
        self.asked: float | None = None
        self.rate = rate
        self.beside = beside
        self.state = RUNNING
        #: The newest message item of it.
        self.item_id = ""
        #: What its request brought with it: tools of its own, words to say.
        self.params: Mapping[str, Any] = {}
        self.interruptible = True
        #: It called a function that is in the ledger.
        self.called = False
        self.sounded = False
        self.wrote = False
        self.cancel_sent = False
        self.first_audio_ms: float | None = None
        #: Only where the server owns the playback: since when it sounds, and for how long it did.
        self.playing_since: float | None = None
        self.played_ms = 0.0

    @property
    def judged(self) -> bool:
        """Its words are the model's own: those that we gave it to say, a guardrail's among them,
        are nobody's business."""
        return not self.beside and self.made_by != "say"

    @property
    def agent(self) -> str:
        return self.view.name

    @property
    def done(self) -> bool:
        return self.state in (SOUNDING, OVER)

    def go(self, signal: str) -> None:
        """A signal that the table does not know is a repetition."""
        self.state = TABLE.get((self.state, signal), self.state)


class Turns:
    """Responses that are not over, by id, and the question that waits for its answer."""

    def __init__(self) -> None:
        self.open: dict[str, Response] = {}
        self._over: dict[str, None] = {}
        self._asked: float | None = None
        self._answered: float | None = None

    def ask(self, at: float) -> None:
        """The caller stopped speaking or typing at ``at`` and expects an answer."""
        self._asked = at

    def begin(self, response: Response) -> None:
        response.asked = self._asked
        self.open[response.response_id] = response

    def first_audio(self, response: Response, now: float) -> None:
        """The first audio of a response: its time counts when its question is still open."""
        response.sounded = True
        if response.asked is not None and response.asked != self._answered:
            response.first_audio_ms = max(0.0, (now - response.asked) * 1000)
            self._answered = response.asked

    def is_over(self, response_id: str) -> bool:
        return response_id in self._over

    def owner(self, response_id: str, view: AgentView) -> Response:
        """The response that a call belongs to. One that is over, or was never announced, is
        taken as over: its calls want their output all the same."""
        found = self.open.get(response_id)
        if found is None:
            found = Response(response_id, view)
            found.state = OVER
        return found

    def end(self, response: Response) -> None:
        response.state = OVER
        self.open.pop(response.response_id, None)
        self._over[response.response_id] = None
        if len(self._over) > _REMEMBERED:
            del self._over[next(iter(self._over))]

    def running(self) -> dict[str, Response]:
        """Responses that may still grow and were not cut."""
        return {r.response_id: r for r in self.open.values() if r.state == RUNNING and not r.beside}
