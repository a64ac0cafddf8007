"""Errands: what a conversation sends out for and does not wait for.

Tools, looks at tools before they run, handoffs, guardrails. Each is a task of its own, each ends
in exactly one word to the core, whatever fails, and none belongs to a connection: a tool goes on
while the line is renewed, and its output is told on the next one.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from runner.agent import RealtimeAgent, ResolvedAgent, enabled, policy_of
from runner.codec import canonical, loads
from runner.core.approvals import REJECTED
from runner.core.conversation import Conversation
from runner.core.effects import (
    CheckTool,
    CheckWords,
    Effects,
    PrepareAgent,
    RunTool,
    TransferCall,
)
from runner.core.events import GuardrailTripped, SessionError, SessionEvent, ToolApproval
from runner.crew import Crew
from runner.dialling import put_through
from runner.errors import RtrunError, ToolError, UserError
from runner.guardrails import Guardrail, GuardrailArgs
from runner.listeners import report
from runner.tools.base import BackgroundResult, Tool, ToolContext, ToolGuardrailArgs, told
from runner.tools.builtin import CollectDigits
from runner.transports.base import RealtimeTransportLayer

T = TypeVar("T")
Errand = RunTool | CheckTool | CheckWords | PrepareAgent | TransferCall

FAILED = "An error occurred while running the tool."
#: Seconds that a program's own predicates and checks of tools have; a tool has its own timeout.
ASKED_SECONDS = 10.0
#: Seconds until the agent of a handoff is prepared; its MCP servers may have to start and be
#: listed first, each within a time of its own.
PREPARED_SECONDS = 65.0
#: How many tools of calls that wait for a yes are kept; most of those calls never run.
_CHOSEN = 256


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a ``tool_error_formatter`` is asked about: a call that was not approved."""

    tool_name: str
    call_id: str
    default_message: str
    context: Any = None
    kind: str = "approval_rejected"
    tool_type: str = "function"


class Session(Protocol):
    """What errands need of the session they run for."""

    context: Any
    approval_checks_first: bool
    tool_error_formatter: Any

    def emit(self, event: SessionEvent) -> None: ...

    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent: ...


class Caller(Protocol):
    """What errands need of the line they run for."""

    conversation: Conversation
    crew: Crew
    transport: RealtimeTransportLayer
    ending: str
    now: Callable[[], float]

    @property
    def session(self) -> Session: ...

    def run(self, effects: Effects) -> None: ...

    def agent_named(self, name: str) -> RealtimeAgent | None: ...


class Errands:
    def __init__(self, line: Caller) -> None:
        self._line = line
        #: Tools of calls that were looked at and have not run yet: an edit changes them no more.
        self._chosen: dict[str, Tool] = {}
        #: Calls whose refusal is being put into words: nobody can say yes to them any more.
        self.refusing: set[str] = set()

    def of(self, effect: Errand) -> tuple[Coroutine[Any, Any, None], str]:
        """What is to be done for an effect, and what that is called."""
        match effect:
            case RunTool():
                return self.run_tool(effect), f"tool {effect.name}"
            case CheckTool():
                return self.check_tool(effect), f"a look at {effect.name}"
            case CheckWords():
                return self.check_words(effect), "a guardrail"
            case PrepareAgent():
                return self.hand_over(effect), f"handoff to {effect.name}"
            case TransferCall():
                return put_through(self._line, effect.uri), "a transfer"

    # -- tools -----------------------------------------------------------------------------
    async def check_tool(self, effect: CheckTool) -> None:
        """May this call run? Whatever is in doubt may not."""
        line, core = self._line, self._line.conversation
        owner = line.crew.owner(effect.agent)
        tool = owner.tools.get(effect.name)
        context = self._context(effect)
        try:
            if tool is None or not await _ask(
                enabled, policy_of(tool).enabled, line.session.context, owner.agent
            ):
                line.session.emit(SessionError("tool_not_found", f"Tool {effect.name} not found"))
                words: str | None = f"Tool {effect.name} not found"
            else:
                words = None
                self._chosen[effect.call_id] = tool
                if len(self._chosen) > _CHOSEN:
                    del self._chosen[next(iter(self._chosen))]
                needed = await self._approval(tool, effect)
                if needed != "none" and line.session.approval_checks_first:
                    words = await self._refusal(tool, context, effect.arguments)
        except Exception as error:
            self._tell("approval_failed", f"{effect.name}: {told(error)}", error)
            words = FAILED
        if words is not None:
            self._chosen.pop(effect.call_id, None)
            line.run(core.tool_refused(effect.call_id, words, line.now()))
        elif needed == "none":
            line.run(core.tool_allowed(effect.call_id, line.now()))
        else:
            given = _arguments(effect.arguments)
            # A model may write the same arguments in another way the second time.
            same = effect.arguments if given is None else canonical(given)
            caller = needed == "caller"
            line.run(core.tool_asks(effect.call_id, line.now(), caller=caller, fingerprint=same))

    def reject(
        self, request: ToolApproval, message: str | None, always: bool
    ) -> Coroutine[Any, Any, None] | None:
        """Refuse a waiting call: at once, or by the coroutine when the program's formatter has
        to find the words. From now on it is refused in either case."""
        formatter = self._line.session.tool_error_formatter
        if message is None and formatter is not None and request.kind == "function":
            self.refusing.add(request.call_id)
            return self._put_into_words(formatter, request, always)
        self._refuse(request, message, always)
        return None

    async def _put_into_words(
        self, formatter: Callable[..., Any], request: ToolApproval, always: bool
    ) -> None:
        asked = Rejection(request.name, request.call_id, REJECTED, self._line.session.context)
        message: str | None = None
        try:
            found = await _ask(formatter, asked)
            message = found if isinstance(found, str) else None
        except Exception as error:
            report("the tool_error_formatter raised", error)
        self.refusing.discard(request.call_id)
        self._refuse(request, message, always)

    def _refuse(self, request: ToolApproval, message: str | None, always: bool) -> None:
        line = self._line
        self._chosen.pop(request.call_id, None)
        line.run(
            line.conversation.reject(request.call_id, line.now(), message=message, always=always)
        )

    async def _approval(self, tool: Tool, effect: CheckTool) -> str:
        """none | caller | operator."""
        rule = policy_of(tool).approval
        if not callable(rule):
            return rule if isinstance(rule, str) else ("operator" if rule else "none")
        if self._line.conversation.standing(effect.agent, effect.name):
            return "operator"  # decided for good: the policy is not asked again
        arguments = _arguments(effect.arguments)
        if arguments is None:
            return "operator"  # a policy cannot judge what it cannot read
        return (
            "operator"
            if await _ask(rule, self._line.session.context, arguments, effect.call_id)
            else ("none")
        )

    async def _refusal(self, tool: Tool, context: ToolContext, arguments: str) -> str | None:
        args = ToolGuardrailArgs(context, _arguments(arguments))
        for check in policy_of(tool).input_guardrails:
            found = await _ask(check, args)
            if isinstance(found, str):
                return found
            if found is False:
                return f"The call of {context.name} was refused."
        return None

    async def run_tool(self, effect: RunTool) -> None:
        """Run it; the call gets its one output, also when this task is cancelled."""
        line, core = self._line, self._line.conversation
        if isinstance(tool := line.crew.owner(effect.agent).tools.get(effect.name), CollectDigits):
            return await self._collect(tool, effect)
        output, respond = FAILED, True
        try:
            output, respond = await self._output(effect)
        finally:
            line.run(core.tool_finished(effect.call_id, output, line.now(), respond=respond))

    async def _collect(self, tool: CollectDigits, effect: RunTool) -> None:
        """The core answers the call when the caller has pressed the keys."""
        line, core = self._line, self._line.conversation
        try:
            wanted = tool.asked(effect.arguments)
        except ToolError as error:
            words = await self._failure(tool, self._context(effect), error)
            line.run(core.tool_finished(effect.call_id, words, line.now()))
        else:
            line.run(core.collect_digits(effect.call_id, line.now(), **wanted))

    async def _output(self, effect: RunTool) -> tuple[str, bool]:
        context = self._context(effect)
        tool = self._chosen.pop(effect.call_id, None)
        tool = tool or self._line.crew.owner(effect.agent).tools.get(effect.name)
        try:
            if tool is None:
                # A program may send tools of its own; what it does not run gets an answer too.
                raise ToolError(f"Tool {effect.name} not found")
            refusal = await self._refusal(tool, context, effect.arguments)
            if refusal is not None:
                return refusal, True
            result = await in_time(tool.run(effect.arguments, context), f"Tool '{effect.name}'")
            background = isinstance(result, BackgroundResult)
            output = result.content if isinstance(result, BackgroundResult) else result
            output = await self._checked_output(tool, context, effect.arguments, str(output))
        except Exception as error:
            return await self._failure(tool, context, error), True
        return output, policy_of(tool).respond and not background

    async def _checked_output(
        self, tool: Tool, context: ToolContext, arguments: str, output: str
    ) -> str:
        checks = policy_of(tool).output_guardrails
        if checks:
            args = ToolGuardrailArgs(context, _arguments(arguments), output)
            for check in checks:
                found = await _ask(check, args)
                if isinstance(found, str):
                    return found
                if found is False:
                    return f"The output of {context.name} was held back."
        return output

    async def _failure(self, tool: Tool | None, context: ToolContext, error: Exception) -> str:
        """Words for the model. What went wrong is told to the application; of an error that is
        not the tool's own, the model hears nothing, since it may hold anything."""
        words = error.message if isinstance(error, ToolError) else told(error)
        self._tell("tool_failed", f"{context.name}: {words}", error)
        formatter = None if tool is None else policy_of(tool).error_function
        if formatter is not None:
            try:
                return str(await _ask(formatter, context, error))
            except Exception as again:
                report(f"the error_function of {context.name} raised", again)
        return f"{FAILED} {words}" if isinstance(error, ToolError) else FAILED

    def _context(self, effect: RunTool | CheckTool) -> ToolContext:
        line = self._line
        history = line.conversation.history
        return ToolContext(effect.agent, effect.name, effect.call_id, line.session.context, history)

    # -- handoffs --------------------------------------------------------------------------
    async def hand_over(self, effect: PrepareAgent) -> None:
        line, core = self._line, self._line.conversation
        try:
            what = f"the handoff to {effect.name}"
            resolved = await in_time(self._prepare(effect), what, PREPARED_SECONDS)
        except Exception as error:
            words = error.message if isinstance(error, RtrunError) else told(error)
            if effect.call_id:
                line.run(core.agent_failed(effect.call_id, words, line.now()))
            else:
                line.session.emit(SessionError("handoff_failed", words))
            return
        line.crew.know(resolved)
        if effect.call_id:
            line.run(core.agent_ready(resolved.view, effect.call_id, line.now()))
        else:
            line.run(core.update_agent(resolved.view, line.now()))

    async def _prepare(self, effect: PrepareAgent) -> ResolvedAgent:
        line = self._line
        if not effect.call_id:
            target = line.agent_named(effect.name)
            if target is None:
                raise UserError(f"there is no agent {effect.name}")
            return await line.session.resolve(target)
        way = line.crew.ways_to(effect.name, effect.tool)
        if way is None:
            raise UserError(f"there is no way to {effect.name}")
        # It may have been switched off since the model was told of it.
        if not await enabled(way.enabled, line.session.context, line.crew.resolved.agent):
            raise UserError(f"Tool {effect.tool} not found")
        await way.begin(effect.arguments, line.session.context)
        while True:
            resolved = await line.session.resolve(way.agent)
            newest = line.crew.ways_to(effect.name, effect.tool)
            if newest is None or newest.agent is way.agent:
                return resolved
            way = newest  # an edit came in between: its agent is the one that is wanted

    # -- guardrails ------------------------------------------------------------------------
    async def check_words(self, effect: CheckWords) -> None:
        """All checks of this side, beside each other: a quick one does not wait for a slow one.
        The core lets the first that trips decide."""
        owner = self._line.crew.owner(effect.agent)
        args = GuardrailArgs(owner.agent, effect.text, effect.final, self._line.session.context)
        checks = (check for check in owner.guardrails if check.check == effect.check)
        await asyncio.gather(*(self._check(effect, check, args) for check in checks))

    async def _check(self, effect: CheckWords, check: Guardrail, args: GuardrailArgs) -> None:
        try:
            found = await in_time(check.run(args), check.name)
        except Exception as error:
            self._tell("guardrail_failed", f"{check.name}: {told(error)}", error)
            return
        if found.tripwire_triggered:
            self._tripped(effect, check, found)

    def _tripped(self, effect: CheckWords, check: Guardrail, found: Any) -> None:
        line = self._line
        event = GuardrailTripped(
            effect.agent,
            check.name,
            check.check,
            effect.item_id,
            effect.response_id,
            check.then,
            found.output_info,
        )
        say = check.feedback(found) if check.then == "message" else check.say
        line.run(line.conversation.guardrail_tripped(event, line.now(), say=say, to=check.to))

    def _tell(self, code: str, message: str, error: Exception) -> None:
        self._line.session.emit(SessionError(code, message))
        if not isinstance(error, RtrunError):
            report(message, error)


async def _ask(function: Callable[..., Any], *args: Any) -> Any:
    found = function(*args)
    if not inspect.isawaitable(found):
        return found
    name = getattr(function, "__name__", type(function).__name__)
    return await in_time(found, f"the function {name}", ASKED_SECONDS)


async def in_time(work: Awaitable[T], what: str, seconds: float | None = None) -> T:
    """What a program's own code gives. ToolError when it takes longer than ``seconds``, or when
    something inside it was cancelled: that would end the errand without its word to the core,
    and the model would wait for good."""
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError:
        if limit.expired():
            raise ToolError(f"{what} gave no answer within {seconds:g} s") from None
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ToolError(f"{what} was cancelled") from None


def _arguments(text: str) -> dict[str, Any] | None:
    try:
        given = loads(text or "{}")
    except ValueError:
        return None
    return given if isinstance(given, dict) else None
