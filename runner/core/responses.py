"""The response queue: one ``response.create`` on the wire at a time, none ever lost.

The server makes responses too (voice activity), and only one may write to the conversation, so
our request can lose the race. Its answer is then an error with our event id; the request goes
back to the head of the queue and is sent again after ``response.done``. Requests are matched to
``response.created`` by metadata that the server echoes, never by order: a response made by the
server looks exactly like an acceptance otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runner.core.events import SessionError
from runner.core.outbox import Outbox
from runner.errors import FATAL

Kind = Literal["auto", "manual", "say"]

FREE, ASKED, RUNNING, COLLIDED = "free", "asked", "running", "collided"

#: asked: our request is on the wire. running: a response is writing. collided: both, and the
#: response that writes is not ours. ``ended`` means that the last running response is done.
TABLE: Mapping[tuple[str, str], str] = {
    (FREE, "ask"): ASKED,
    (FREE, "began"): RUNNING,
    (ASKED, "accepted"): RUNNING,
    (ASKED, "accepted_beside"): FREE,
    (ASKED, "began"): COLLIDED,
    (ASKED, "refused"): FREE,
    (RUNNING, "began"): RUNNING,
    (RUNNING, "ended"): FREE,
    (COLLIDED, "accepted"): RUNNING,
    (COLLIDED, "accepted_beside"): RUNNING,
    (COLLIDED, "began"): COLLIDED,
    (COLLIDED, "refused"): RUNNING,
    (COLLIDED, "ended"): ASKED,
}

CREATED_WITHIN = 10.0  #: seconds from response.create to response.created
#: Collisions with a response that we do not see. One that is seen to run is waited for, however
#: often others are faster: each of them ends.
COLLISION_RETRIES = 5
OTHER_RETRIES = 1
#: Told that a response is active which we do not know of, wait this long before asking again.
BLIND_WAIT = 1.0
#: A running response from which nothing at all came for this long is given up.
STALLED_AFTER = 60.0
ACTIVE = "conversation_already_has_active_response"
#: The metadata key that the server echoes to us.
REQUEST_KEY = "rtrun_request"


@dataclass(slots=True)
class Request:
    """One wish for a response. ``params`` is the ``response`` object of response.create."""

    request_id: str
    kind: Kind
    params: Mapping[str, Any]
    purpose: str = ""
    tries: int = 0
    event_id: str = ""
    deadline: float = 0.0
    unwanted: bool = False
    #: False: what the caller says does not cut the answer off.
    interruptible: bool = True
    #: The call whose waiting these words fill.
    call_id: str = ""
    #: A response without any mark began while this request was on the wire.
    overtaken: bool = False
    #: That response is done, and no refusal came before its end.
    outlived: bool = False

    @property
    def beside(self) -> bool:
        """Out of band: it runs beside the conversation and does not write to it."""
        return self.params.get("conversation") == "none"


class Responses:
    """``created``, ``done``, ``refused`` and ``tick`` go in; response.create comes out."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self.state = FREE
        self.pending: Request | None = None
        self.waiting: deque[Request] = deque()
        self.running: dict[str, None] = {}
        self._orphans: dict[str, Request] = {}
        self._blocked_until: float | None = None
        self._stall_at: float | None = None
        #: Does this server echo metadata? Unknown until one answer was seen.
        self._echoes: bool | None = None

    # -- requests --------------------------------------------------------------------------
    def add(
        self,
        kind: Kind,
        params: Mapping[str, Any] | None = None,
        purpose: str = "",
        *,
        interruptible: bool = True,
        call_id: str = "",
    ) -> None:
        """Queue a request. Auto ones coalesce with the auto one at the tail: a single response
        sees everything that was added before it. Manual and say requests are never merged."""
        if kind == "auto" and self.waiting and self.waiting[-1].kind == "auto":
            return
        self.waiting.append(
            Request(
                self._out.name(),
                kind,
                params or {},
                purpose,
                interruptible=interruptible,
                call_id=call_id,
            )
        )

    def add_again(self, request: Request) -> None:
        """A request that a lost connection did not answer."""
        self.add(
            request.kind,
            request.params,
            request.purpose,
            interruptible=request.interruptible,
            call_id=request.call_id,
        )

    def drop(self, call_id: str) -> None:
        """The words that were to fill the wait for this call are not needed any more."""
        if any(r.call_id == call_id for r in self.waiting):
            self.waiting = deque(r for r in self.waiting if r.call_id != call_id)

    def pump(self, now: float) -> None:
        """Send the oldest request if nothing runs and nothing is asked."""
        if self.state != FREE or not self.waiting or not self._out.online:
            return
        if self._blocked_until is not None and now < self._blocked_until:
            return
        self._blocked_until = None
        request = self.waiting.popleft()
        metadata = {**(request.params.get("metadata") or {}), REQUEST_KEY: request.request_id}
        request.event_id = self._out.send(
            "response.create", "create", response={**request.params, "metadata": metadata}
        )
        request.deadline = now + CREATED_WITHIN
        request.overtaken = request.outlived = False
        self.pending = request
        self._go("ask")

    def give_up_pending(self) -> None:
        """The request on the wire is no longer wanted: cancel its response when it shows up."""
        if self.pending is not None:
            self.pending.unwanted = True

    # -- what the server says --------------------------------------------------------------
    def created(
        self, response_id: str, metadata: Mapping[str, Any] | None, now: float
    ) -> tuple[Request | None, bool]:
        """``(our request behind this response or None, must it be cancelled)``."""
        mark = (metadata or {}).get(REQUEST_KEY)
        if mark is not None:
            self._echoes = True
        orphan = self._orphans.pop(mark, None) if mark is not None else None
        pending = self.pending
        ours = pending is not None and (
            mark == pending.request_id
            or (mark is None and self._echoes is False and self.state == ASKED)
        )
        if pending is not None and ours:
            self.pending = None
            if pending.beside:
                self._go("accepted_beside")
                return pending, pending.unwanted
            self._run(response_id, now)
            self._go("accepted")
            return pending, pending.unwanted
        if pending is None and mark is not None:
            # An error without event id was laid at the door of a request that was taken after
            # all: it must not be made again.
            again = next((r for r in self.waiting if r.request_id == mark), None)
            if again is not None:
                self.waiting.remove(again)
                self._blocked_until = None
                self._run(response_id, now)
                self._go("began")
                return again, again.unwanted
        if pending is not None and mark is None:
            pending.overtaken = True
        if orphan is not None and orphan.beside:
            return orphan, True
        self._run(response_id, now)
        self._go("began")
        return orphan, orphan is not None

    def done(self, response_id: str) -> None:
        if response_id not in self.running:
            return
        del self.running[response_id]
        if not self.running:
            self._blocked_until = self._stall_at = None
            if self.pending is not None:
                self.pending.outlived = self.pending.overtaken
            self._go("ended")

    def refused(self, event_id: str | None, code: str, kind: str, message: str, now: float) -> bool:
        """An error came: True when it answers our request. ``kind`` is the error's type."""
        for request_id, orphan in self._orphans.items():
            if event_id == orphan.event_id:
                del self._orphans[request_id]  # told as a timeout already
                return True
        request = self.pending
        if request is None:
            return False
        # A server that does not repeat event ids can still be understood by its words.
        if event_id != request.event_id and not (event_id is None and _of_create(code, message)):
            return False
        self.pending = None
        collided = self.state == COLLIDED or code == ACTIVE
        seen = code == ACTIVE and (bool(self.running) or request.overtaken)
        self._go("refused")
        if request.unwanted:
            return True
        retries = COLLISION_RETRIES if code == ACTIVE else OTHER_RETRIES
        request.tries += not seen
        if seen or (request.tries <= retries and (collided or kind == "server_error")):
            self._retry(request)
            if not self.running:
                self._blocked_until = now + BLIND_WAIT
        else:
            self._out.tell(SessionError(code, message, code in FATAL, event_id))
        return True

    def _retry(self, request: Request) -> None:
        head = self.waiting[0] if self.waiting else None
        if request.kind == "auto" and head is not None and head.kind == "auto":
            head.tries = max(head.tries, request.tries)
            return
        self.waiting.appendleft(request)

    # -- time ------------------------------------------------------------------------------
    def tick(self, now: float, last_event: float) -> list[str]:
        """Responses that were given up because nothing came of them since ``last_event``."""
        request = self.pending
        if request is not None and now >= request.deadline:
            self.pending = None
            self._go("refused")
            if request.outlived and self._echoes is None:
                # Nothing was refused and nothing marked ever came: this server does not echo
                # metadata, and the response that began was ours.
                self._echoes = False
            else:
                self._orphans[request.request_id] = request
                if len(self._orphans) > 32:
                    del self._orphans[next(iter(self._orphans))]
                self._out.tell(
                    SessionError(
                        "response_timeout",
                        f"the server did not begin a response within {CREATED_WITHIN:g} s",
                        event_id=request.event_id,
                    )
                )
        if self._stall_at is not None and now >= self._stall_at:
            if now >= last_event + STALLED_AFTER:
                return list(self.running)
            self._stall_at = last_event + STALLED_AFTER
        return []

    @property
    def deadline(self) -> float | None:
        """When ``tick`` has something to do, None when it has not."""
        found = self._stall_at
        if self.pending is not None and (found is None or self.pending.deadline < found):
            found = self.pending.deadline
        if self._blocked_until is not None and self.waiting and self.state == FREE:
            return self._blocked_until if found is None else min(found, self._blocked_until)
        return found

    @property
    def busy(self) -> bool:
        """A response runs, or is asked for."""
        return self.state != FREE or bool(self.waiting)

    def _run(self, response_id: str, now: float) -> None:
        self.running[response_id] = None
        if self._stall_at is None:
            self._stall_at = now + STALLED_AFTER

    def _go(self, signal: str) -> None:
        self.state = TABLE[self.state, signal]


def _of_create(code: str, message: str) -> bool:
    """Does an error that names no event speak of a response.create?"""
    return code == ACTIVE or any("response.create" in words for words in (code, message))
