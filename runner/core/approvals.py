"""Approvals: calls that wait for somebody's yes.

An operator answers by id, in time or not at all. The caller is asked by the agent: the call gets
its output at once (ask first), and may run when the model calls again with the very same
arguments after the caller said yes. Both are bound to agent, tool, arguments and connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.core.consent import Answer, answer_in
from runner.core.events import ToolApproval
from runner.core.tools import Call

#: Seconds an operator has; then the call is refused.
OPERATOR_SECONDS = 60.0
#: Seconds the caller's words may take to be transcribed after the model called again.
WORDS_WITHIN = 5.0

REJECTED = "Tool execution was not approved."
TOO_LATE = "Nobody was there to approve this in time, so it was not done."
DECLINED = "The caller did not agree, so this was not done. Ask what the caller wants instead."

Fingerprint = tuple[str, str, str]


def ask_first(name: str) -> str:
    """The output of a call that the caller has not agreed to yet."""
    return (
        "confirmation_required: nothing was done yet. Tell the caller in one sentence what "
        f"exactly you are about to do, and ask for a yes or no. After a yes, call {name} again "
        "with exactly the same arguments."
    )


UNCLEAR = (
    "confirmation_required: the caller's answer was no clear yes. Ask again for a plain yes or no."
)


@dataclass(slots=True)
class _Open:
    request: ToolApproval
    deadline: float | None = None


@dataclass(slots=True)
class _Asked:
    """The caller was asked; what was said since."""

    words: list[str]
    #: A turn of the caller began, and its words are not known yet.
    listening: int = 0
    turns: int = 0


class Approvals:
    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._asked: dict[Fingerprint, _Asked] = {}
        #: Calls that wait for the words of the caller: deadline by call id.
        self._hearing: dict[str, tuple[Fingerprint, float]] = {}
        self._always: dict[tuple[str, str], str | None] = {}
        self._decided: dict[str, None] = {}

    # -- operators -------------------------------------------------------------------------
    def ask(self, request: ToolApproval, now: float, within: float | None) -> bool:
        """An operator is asked; False when this id is, or was, asked already."""
        if request.call_id in self._open or request.call_id in self._decided:
            return False
        deadline = None if within is None else now + within
        self._open[request.call_id] = _Open(request, deadline)
        return True

    def get(self, call_id: str) -> ToolApproval | None:
        found = self._open.get(call_id)
        return None if found is None else found.request

    def take(self, call_id: str) -> ToolApproval | None:
        """The request, which is open no more. None for one decided before."""
        found = self._open.pop(call_id, None)
        if found is None:
            return None
        self._decided[call_id] = None
        return found.request

    def decided(self, call_id: str) -> bool:
        """A request of this line that is open no more."""
        return call_id in self._decided

    def waiting(self) -> tuple[ToolApproval, ...]:
        return tuple(entry.request for entry in self._open.values())

    def remember(self, agent: str, name: str, refusal: str | None) -> None:
        """This decision holds for all later calls of the tool: None for yes, else the words."""
        self._always[agent, name] = refusal

    def remembered(self, agent: str, name: str) -> tuple[bool, str | None]:
        """``(is there a standing decision, its refusal or None)``."""
        key = (agent, name)
        return key in self._always, self._always.get(key)

    # -- the caller ------------------------------------------------------------------------
    def caller_asked(self, call: Call) -> None:
        self._asked[_print(call)] = _Asked([])

    def turn_began(self) -> None:
        for asked in self._asked.values():
            asked.listening += 1
            asked.turns += 1

    def said(self, text: str | None) -> None:
        """A turn of the caller is known; None: it could not be transcribed."""
        for asked in self._asked.values():
            asked.listening = max(0, asked.listening - 1)
            if text is not None:
                asked.words.append(text)

    def typed(self, text: str) -> None:
        for asked in self._asked.values():
            asked.turns += 1
            asked.words.append(text)

    def judge(self, call: Call, now: float, *, deaf: bool) -> Answer | None:
        """May this call run by the caller's word? ``unclear`` also when the caller was not asked
        yet (see :meth:`was_asked`); None: wait for the words. ``deaf``: this session
        transcribes nothing, so that a turn of the caller has to do."""
        key = _print(call)
        asked = self._asked.get(key)
        if asked is None:
            return "unclear"
        if deaf and asked.turns:
            answer: Answer = "yes"
        elif asked.listening and not asked.words:
            self._hearing[call.call_id] = (key, now + WORDS_WITHIN)
            return None
        else:
            answer = answer_in("\n".join(asked.words))
        self._hearing.pop(call.call_id, None)
        if answer == "unclear":
            self._asked[key] = _Asked([])
        else:
            del self._asked[key]
        return answer

    def was_asked(self, call: Call) -> bool:
        return _print(call) in self._asked

    @property
    def hearing(self) -> tuple[str, ...]:
        """Calls that wait for the caller's words."""
        return tuple(self._hearing)

    # -- time ------------------------------------------------------------------------------
    @property
    def deadline(self) -> float | None:
        times = [e.deadline for e in self._open.values() if e.deadline is not None]
        times += [at for _, at in self._hearing.values()]
        return min(times, default=None)

    def late(self, now: float) -> tuple[list[str], list[str]]:
        """``(requests whose operator is too late, calls whose words did not come)``."""
        out = [i for i, e in self._open.items() if e.deadline is not None and now >= e.deadline]
        unheard = [i for i, (_, at) in self._hearing.items() if now >= at]
        for call_id in unheard:
            key, _ = self._hearing.pop(call_id)
            if (asked := self._asked.get(key)) is not None:
                asked.listening = 0
        return out, unheard

    def new_line(self) -> list[str]:
        """The connection is gone: decisions of the old one mean nothing to the next. The ids
        that waited."""
        waiting = [*self._open, *self._hearing]
        self._decided.clear()
        self._open.clear()
        self._asked.clear()
        self._hearing.clear()
        return waiting


def _print(call: Call) -> Fingerprint:
    return call.agent, call.name, call.fingerprint or call.arguments
