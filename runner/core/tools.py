"""The ledger of function calls: one output for each, one new response for all of a response.

The model waits for the output of every call it made, so whatever fails, something is sent; and
it must see all outputs of a response before it speaks again, so the next response waits for the
slowest sibling and for ``response.done``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.core.outbox import Outbox

RUNNING, PREPARING, ARRIVED, ANSWERED = "running", "preparing", "arrived", "answered"
CHECKING, ASKING = "checking", "asking"

#: checking: somebody looks whether the call may run. asking: it waits for a yes. preparing: a
#: handoff whose agent is being resolved. arrived: it is, and its settings wait to be sent. A
#: signal that is not in the table is a repetition and changes nothing.
TABLE: Mapping[tuple[str, str], str] = {
    (CHECKING, "allowed"): RUNNING,
    (CHECKING, "asks"): ASKING,
    (CHECKING, "finished"): ANSWERED,
    (ASKING, "allowed"): RUNNING,
    (ASKING, "finished"): ANSWERED,
    (RUNNING, "finished"): ANSWERED,
    (PREPARING, "finished"): ANSWERED,
    (PREPARING, "ready"): ARRIVED,
    (ARRIVED, "finished"): ANSWERED,
}

#: Stands for the responses of a connection that is gone.
CARRIED = "carried"
#: How many answered call ids are remembered to recognise a repetition.
_REMEMBERED = 1024


@dataclass(slots=True)
class Call:
    """``target`` is the agent behind a handoff, None for a function tool."""

    call_id: str
    item_id: str
    name: str
    arguments: str
    response_id: str
    agent: str
    target: str | None = None
    #: A look at it comes before it runs.
    checked: bool = False
    #: Its arguments, however the model wrote them; the text itself when empty.
    fingerprint: str = ""
    #: The caller was told to wait for it, or will be.
    filled: bool = False
    state: str = RUNNING
    #: Its connection is gone: there is nobody to send the output to.
    lost: bool = False


@dataclass(slots=True)
class _Barrier:
    open: int = 0
    done: bool = False
    wanted: bool = False
    cancelled: bool = False


class Ledger:
    """Calls by id. ``answer`` and ``response_done`` say when a new response is due."""

    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._calls: dict[str, Call] = {}
        #: Answered calls by id: what was called, to know a repetition that says something else.
        self._answered: dict[str, int] = {}
        self._barriers: dict[str, _Barrier] = {}

    def start(self, call: Call, *, response_over: bool) -> bool:
        """Enter a call; False when this call id was seen before."""
        if call.call_id in self._calls or call.call_id in self._answered:
            return False
        if call.target is not None:
            call.state = PREPARING
        elif call.checked:
            call.state = CHECKING
        self._calls[call.call_id] = call
        barrier = self._barriers.setdefault(call.response_id, _Barrier(done=response_over))
        barrier.open += 1
        return True

    def changed(self, call: Call) -> bool:
        """This call id was seen before, with another name or other arguments."""
        known = self._calls.get(call.call_id)
        before = self._answered.get(call.call_id) if known is None else _print(known)
        # An event without the arguments says nothing about them.
        return bool(call.arguments) and before is not None and before != _print(call)

    def open(self, call_id: str) -> Call | None:
        """The call if it still waits for its output."""
        return self._calls.get(call_id)

    def preparing(self) -> Call | None:
        """The handoff under way, if any. Only one can be: the first one wins."""
        for call in self._calls.values():
            if call.target is not None and call.state in (PREPARING, ARRIVED):
                return call
        return None

    def ready(self, call: Call) -> bool:
        """The agent behind this handoff is resolved. False when that was said before."""
        return self._go(call, "ready")

    def allowed(self, call: Call) -> bool:
        """The call may run. False when it runs already, or was answered."""
        return self._go(call, "allowed")

    def asks(self, call: Call) -> bool:
        """The call waits for a yes."""
        return self._go(call, "asks")

    def of_target(self, target: str) -> list[Call]:
        """Open handoffs to this agent, the first call first."""
        return [c for c in self._calls.values() if c.target == target]

    def answer(self, call: Call, output: str, *, respond: bool) -> tuple[bool, bool]:
        """Send the output: ``(was it the first answer, is a new response due)``."""
        if not self._go(call, "finished"):
            return False, False
        del self._calls[call.call_id]
        self._answered[call.call_id] = _print(call)
        if len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]
        if call.lost:
            return True, False
        item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
        self._out.send("conversation.item.create", "output", item=item)
        barrier = self._barriers[call.response_id]
        barrier.open -= 1
        barrier.wanted = barrier.wanted or respond
        return True, self._due(call.response_id)

    def response_done(self, response_id: str, *, cancelled: bool) -> bool:
        """True when a new response is due at once. After a cancelled one none is: who cut it
        off (the caller, the program) decides what comes next."""
        barrier = self._barriers.get(response_id)
        if barrier is None:
            return False
        barrier.done = True
        barrier.cancelled = cancelled
        return self._due(response_id)

    def _due(self, response_id: str) -> bool:
        barrier = self._barriers[response_id]
        if barrier.open or not barrier.done:
            return False
        del self._barriers[response_id]
        return barrier.wanted and not barrier.cancelled

    @property
    def outstanding(self) -> bool:
        """Some call has no output yet, or a response that called tools is not done."""
        return bool(self._barriers)

    def hang_up(self) -> None:
        """The line is gone for good: running calls go on, their outputs reach the history."""
        self._barriers.clear()
        for call in self._calls.values():
            call.lost = True

    def new_line(self) -> bool:
        """The line is gone and another one comes: calls in flight are answered there, together.
        True when a response is due as soon as it is there."""
        due = any(b.wanted and not b.cancelled and not b.open for b in self._barriers.values())
        wanted = any(b.wanted and not b.cancelled for b in self._barriers.values())
        self._barriers.clear()
        for call in self._calls.values():
            call.response_id = CARRIED
        if self._calls:
            self._barriers[CARRIED] = _Barrier(open=len(self._calls), done=True, wanted=wanted)
            return False
        return due

    @staticmethod
    def _go(call: Call, signal: str) -> bool:
        state = TABLE.get((call.state, signal))
        if state is None:
            return False
        call.state = state
        return True


def _print(call: Call) -> int:
    return hash((call.name, call.arguments))


def whole(arguments: str) -> bool:
    """Does this JSON text of an object end where it should? A response that is cut off closes
    its events with whatever was streamed, and half of a call must not run."""
    depth = 0
    quoted = escaped = False
    for sign in arguments:
        if escaped:
            escaped = False
        elif quoted:
            if sign == "\\":
                escaped = True
            elif sign == '"':
                quoted = False
        elif sign == '"':
            quoted = True
        elif sign in "{[":
            depth += 1
        elif sign in "}]":
            depth -= 1
    return depth == 0 and not quoted and arguments.strip().startswith("{")
