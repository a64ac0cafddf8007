"""Guardrails: checks of what the agent says and of what the caller says.

A check is a function of :class:`GuardrailArgs`, sync or async, that answers with a bool, a text
(what is wrong) or a :class:`GuardrailResult`. ``guardrail_of`` makes one from a deployment file.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.codec import dumps
from runner.errors import ToolError, UserError
from runner.tools.base import in_own_thread

if TYPE_CHECKING:
    from runner.model.deployment import GuardrailSpec

Then = Literal["message", "interrupt", "say", "handoff", "hang_up", "log"]

#: Characters of an answer that are awaited between two checks while it is being spoken.
DEBOUNCE = 100
#: Phrases and patterns cost next to nothing, so they look more often.
QUICK_DEBOUNCE = 24


@dataclass(frozen=True, slots=True)
class GuardrailArgs:
    """``agent``: the RealtimeAgent that spoke (of a caller's words: that has the line); ``text``
    what was said so far, all of it when ``final``; ``context`` the session's."""

    agent: Any
    text: str
    final: bool
    context: Any = None

    @property
    def agent_output(self) -> str:
        """The SDK's name for ``text``."""
        return self.text


@dataclass(frozen=True, slots=True)
class GuardrailResult:
    tripwire_triggered: bool
    output_info: Any = None


Found = bool | str | GuardrailResult | Mapping[str, Any] | None
Execute = Callable[[GuardrailArgs], Found | Awaitable[Found]]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """``then``: message tells the model what was wrong and has it try again (the SDK's way),
    interrupt cuts the answer and has ``say`` spoken, if given; say the same for words that must
    be said; handoff gives the line to the agent named ``to``; hang_up ends the call after
    ``say``; log only tells. ``policy_hint`` (the name when left out) is told to the model."""

    name: str
    execute: Execute
    check: Literal["output", "input"] = "output"
    policy_hint: str = ""
    then: Then = "message"
    say: str = ""
    to: str = ""
    #: Cheap enough to look at every few words.
    quick: bool = False

    async def run(self, args: GuardrailArgs) -> GuardrailResult:
        """Look at it; a sync check runs in a thread of its own, unless it is quick."""
        if self.quick or inspect.iscoroutinefunction(self.execute):
            found = self.execute(args)
        else:
            found = await in_own_thread(self.execute, {"args": args}, self.name, by_position=True)
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, GuardrailResult):
            return found
        if isinstance(found, Mapping):  # as the SDK for JavaScript writes it
            tripped = found.get("tripwire_triggered", found.get("tripwireTriggered"))
            return GuardrailResult(bool(tripped), found.get("output_info", found.get("outputInfo")))
        return GuardrailResult(bool(found), found if isinstance(found, str) else None)

    def feedback(self, result: GuardrailResult) -> str:
        """What the model is told after ``message``."""
        try:
            details = dumps(result.output_info)
        except (TypeError, ValueError):
            details = str(result.output_info)
        return (
            "Your last answer broke a rule and was stopped. "
            f"The rule: {self.policy_hint or self.name}. Details: {details}. "
            "Answer again within the rule: say that you are sorry and cannot help with that, do "
            "not name the reason, and go on to something that you may speak about."
        )


def guardrail(
    execute: Execute,
    *,
    name: str | None = None,
    check: Literal["output", "input"] = "output",
    policy_hint: str = "",
    then: Then = "message",
    say: str = "",
    to: str = "",
) -> Guardrail:
    """A guardrail of a function."""
    found = name or str(getattr(execute, "__name__", "guardrail"))
    return Guardrail(found, execute, check, policy_hint, then, say, to)


def as_guardrail(given: Any) -> Guardrail:
    """A Guardrail, a function, or the SDK's map of name, execute and policyHint."""
    if isinstance(given, Guardrail):
        return given
    if isinstance(given, Mapping):
        unknown = set(given) - {"name", "execute", "policy_hint", "policyHint"}
        if unknown or not callable(given.get("execute")):
            raise UserError("a guardrail is a map of name, execute and policy_hint")
        hint = given.get("policy_hint") or given.get("policyHint") or ""
        return guardrail(given["execute"], name=given.get("name"), policy_hint=hint)
    if callable(given):
        return guardrail(given)
    raise UserError(f"{given!r} is no guardrail", "use guardrail(function), or a function")


def guardrail_of(spec: GuardrailSpec) -> Guardrail:
    """The guardrail of a deployment file. ToolError when its Python code cannot be loaded."""
    then: Then = spec.then
    quick = bool(spec.phrases or spec.regex is not None)
    if spec.phrases:
        execute = phrases(spec.phrases)
    elif spec.regex is not None:
        execute = pattern(spec.regex)
    elif spec.moderation is not None:
        from runner.tools.moderation import moderation

        execute = moderation(spec.moderation)
    else:
        from runner.tools.python import function_of

        execute = function_of(spec.python, spec.base)
    return Guardrail(spec.name, execute, spec.check, "", then, spec.say, spec.to, quick)


def phrases(wanted: Sequence[str]) -> Execute:
    """Trips on any of these phrases as whole words, whatever the case; ``*`` stands for any
    letters, so that ``diagnos*`` finds diagnosis and diagnosed."""
    if not wanted:
        raise ToolError("there are no phrases to look for")
    ways = "|".join(_phrase(phrase) for phrase in wanted)
    return pattern(rf"(?<!\w)(?:{ways})(?!\w)", re.IGNORECASE)


def _phrase(phrase: str) -> str:
    words = (r"\w*".join(re.escape(part) for part in word.split("*")) for word in phrase.split())
    return r"\W+".join(words)


def pattern(wanted: str, flags: int = 0) -> Execute:
    """Trips when the regular expression is found; what it found is the info."""
    found = re.compile(wanted, flags)

    def execute(args: GuardrailArgs) -> GuardrailResult:
        match = found.search(args.text)
        return GuardrailResult(match is not None, match and match.group())

    return execute
