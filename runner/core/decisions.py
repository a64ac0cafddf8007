"""Decisions of others: whether a checked call may run, and whether words may be said."""

from __future__ import annotations

from runner.core.approvals import REJECTED
from runner.core.dispatch import Dispatch
from runner.core.effects import Effects
from runner.core.events import GuardrailTripped, ToolApproval
from runner.core.keys import Wanted
from runner.core.tools import ASKING, CHECKING


class Decisions(Dispatch):
    def tool_allowed(self, call_id: str, now: float) -> Effects:
        """A checked call may run."""
        if (call := self._ledger.open(call_id)) is not None:
            self._decide(call, None, now)
        return self._finish(now)

    def tool_refused(self, call_id: str, words: str, now: float) -> Effects:
        """A checked call may not run: the model is told so by these words."""
        call = self._ledger.open(call_id)
        if call is not None and call.state in (CHECKING, ASKING):
            self._decide(call, words, now)
        return self._finish(now)

    def tool_asks(
        self,
        call_id: str,
        now: float,
        *,
        caller: bool = False,
        within: float | None = None,
        fingerprint: str = "",
    ) -> Effects:
        """A checked call needs a yes: of the ``caller``, or of an operator ``within`` so many
        seconds (60 when left out). ``fingerprint``: the arguments in one way of writing them, by
        which a second call is known to be the same."""
        call = self._ledger.open(call_id)
        if call is not None and self._ledger.asks(call):
            call.fingerprint = fingerprint
            if caller:
                self._ask_caller(call, now)
            else:
                self._ask_operator(call, now, within)
        return self._finish(now)

    def approve(self, call_id: str, now: float, *, always: bool = False) -> Effects:
        """The operator says yes; ``always``: to every later call of this tool by this agent."""
        request = self._approvals.take(call_id)
        if request is not None and request.kind == "mcp":
            self._answer_mcp(request, True, None)
        elif request is not None and (call := self._ledger.open(call_id)) is not None:
            if always:
                self._approvals.remember(call.agent, call.name, None)
            self._decide(call, None, now)
        return self._finish(now)

    def reject(
        self, call_id: str, now: float, *, message: str | None = None, always: bool = False
    ) -> Effects:
        """The operator says no. ``message`` is told to the model instead of the usual words."""
        request = self._approvals.take(call_id)
        if request is not None and request.kind == "mcp":
            self._answer_mcp(request, False, message)
        elif request is not None and (call := self._ledger.open(call_id)) is not None:
            words = REJECTED if message is None else message
            if always:
                self._approvals.remember(call.agent, call.name, words)
            self._decide(call, words, now)
        return self._finish(now)

    def approval(self, call_id: str) -> ToolApproval | None:
        """The open request of this call."""
        return self._approvals.get(call_id)

    def decided(self, call_id: str) -> bool:
        """Was a request of this call answered on this line?"""
        return self._approvals.decided(call_id)

    def standing(self, agent: str, name: str) -> bool:
        """Was a decision made for all later calls of this tool?"""
        return self._approvals.remembered(agent, name)[0]

    @property
    def approvals(self) -> tuple[ToolApproval, ...]:
        """What waits for an operator."""
        return self._approvals.waiting()

    def guardrail_tripped(
        self, event: GuardrailTripped, now: float, *, say: str = "", to: str = ""
    ) -> Effects:
        """A check of CheckWords refused the words. ``event.then``: interrupt cuts the answer and
        has ``say`` said instead; message has ``say`` told to the model, which tries again;
        handoff gives the line to agent ``to``; hang_up ends the call; log only tells."""
        self._trip(event, say, to, now)
        return self._finish(now)

    # -- the telephone ---------------------------------------------------------------------
    def transfer(self, uri: str, now: float, *, at_once: bool = False) -> Effects:
        """Put the caller through to ``uri`` when what is being said has been played out; or
        ``at_once``, which needs no line to the server."""
        if not at_once:
            self._ending.ask("put through", now, uri)
        elif not self._leaving_to:
            self._put_through(uri)
        return self._finish(now)

    def transfer_failed(self, words: str, now: float) -> Effects:
        """Nobody could be reached: the agent goes on, and is told why in ``words``."""
        self._stay(words)
        return self._finish(now)

    def collect_digits(
        self,
        call_id: str,
        now: float,
        *,
        count: int = 0,
        terminator: str = "#",
        timeout: float = 10.0,
    ) -> Effects:
        """A tool waits for keys: at most ``count`` (0: any number), or until ``terminator``, or
        ``timeout`` seconds without one. The call gets what was pressed as its output."""
        call = self._ledger.open(call_id)
        if call is not None:
            self._collect(Wanted(call_id, count, terminator, timeout), now)
        return self._finish(now)
