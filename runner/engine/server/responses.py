"""The responses of one connection: one at a time writes to the conversation, others beside it."""

from __future__ import annotations

from typing import Any, Literal

from runner.engine.server.answer import Answer
from runner.engine.server.context import Context
from runner.engine.server.idle import IdleTimer
from runner.engine.server.response import Response
from runner.engine.server.speculation import HeardTimes
from runner.engine.wire import ResponseParams, events
from runner.engine.wire.errors import active_response, cancel_not_active


class Responses:
    def __init__(self, context: Context, idle: IdleTimer) -> None:
        self._context = context
        self._idle = idle
        self._active: Response | None = None
        self._beside: dict[str, Response] = {}
        self._answer_waits = False

    @property
    def active(self) -> Response | None:
        """The running response of the conversation."""
        return self._active

    def create(self, response: Any, event_id: str | None) -> None:
        """A client's response.create. WireError when it may not be."""
        params = self._context.params(response, event_id)
        if self._active is not None and not params.out_of_band:
            raise active_response(self._active.id).about(event_id)
        self._start(params, None, None)

    def answer_turn(self, answer: Answer | None, times: HeardTimes | None) -> None:
        """The caller's turn is over: answer now, or when the running response is done.

        A response may not be made while one is running (interrupt_response false, or the client
        asked for one while the caller spoke), so the turn waits; several waiting turns get one
        answer, which sees them all.
        """
        if self._active is not None:
            if answer is not None:
                answer.drop()
            self._answer_waits = True
            return
        self._start(self._context.params(), answer, times)

    def cancel(self, response_id: str | None) -> None:
        """A client's response.cancel. WireError when nothing is there to cancel."""
        if response_id is None or (self._active is not None and self._active.id == response_id):
            found = self._active
        else:
            found = self._beside.get(response_id)
        if found is None:
            raise cancel_not_active()
        found.cancel("client_cancelled")

    def interrupt(self, reason: Literal["turn_detected", "client_cancelled"]) -> None:
        """The caller speaks over the running response."""
        self._answer_waits = False
        if self._active is not None:
            self._active.cancel(reason)
        self.silence()

    def silence(self) -> None:
        """Cut what the engine itself plays: the items keep what was heard of them."""
        context = self._context
        if context.leg is None:
            return
        for item_id, ms in context.leg.cut().items():
            if item_id in context.items:
                context.items.truncate(item_id, 0, ms)
                told = events.conversation_item_truncated(item_id, 0, ms)
                context.send(told)

    def _start(
        self, params: ResponseParams, answer: Answer | None, times: HeardTimes | None
    ) -> None:
        response = Response(self._context, params, self._over, times)
        if params.out_of_band:
            self._beside[response.id] = response
        else:
            self._active = response
            self._idle.stop()
        response.start(answer)

    def _over(self, response: Response) -> None:
        if response is not self._active:
            self._beside.pop(response.id, None)
            return
        self._active = None
        if self._answer_waits:
            self._answer_waits = False
            self._start(self._context.params(), None, None)
            return
        self._idle.start(response.remaining_seconds())
