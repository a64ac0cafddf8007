"""What a session may be told when it is made: a dataclass, or the SDK's plain dict in its own
spelling. Mixed or unknown keys are refused with what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, TypedDict

from runner.agent import RealtimeAgent
from runner.core.view import Rules
from runner.errands import Rejection
from runner.errors import UserError
from runner.guardrails import Guardrail, as_guardrail
from runner.model.legacy import wire_settings
from runner.model.settings import SessionSettings
from runner.model.silence import Silence
from runner.transports.base import ApiKey, AudioSink, RealtimeTransportLayer


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Options of a :class:`RealtimeSession`; times in seconds.

    ``transport`` is a name, ``module:Class`` or an object; ``config`` a session object in the
    wire's shape (the SDK's camelCase and flat names are understood). ``api_key`` may be a
    function, asked at each connection. ``sink`` takes the agent's audio and knows what was heard.
    ``own_voice``: the session's voice stands above the agents', as when ``config`` names one.
    ``reconnect`` False ends the call with its line. ``agents``: those that a guardrail may hand
    over to by name, beside the ones that handoffs lead to.
    """

    transport: str | RealtimeTransportLayer = "websocket"
    model: str | None = None
    config: Mapping[str, Any] | SessionSettings | None = None
    context: Any = None
    api_key: ApiKey | None = None
    own_voice: bool | None = None
    sink: AudioSink | None = None
    reconnect: bool = True
    agents: Mapping[str, RealtimeAgent] | None = None
    guardrails: Sequence[Any] = ()
    silence: Silence | None = None
    #: The SDK's own names from here on.
    output_guardrails: Sequence[Any] = ()
    #: ``{"debounce_text_length": 100}``: 0 at the first words and at the end, -1 at the end only.
    output_guardrail_settings: Mapping[str, Any] | None = None
    #: ``{"pre_approval_input_guardrails": True}``: they run before an approval is asked for, too.
    tool_execution: Mapping[str, Any] | None = None
    tool_error_formatter: Callable[[Rejection], Any] | None = None
    history_store_audio: bool = False
    tracing_disabled: bool = False
    workflow_name: str | None = None
    group_id: str | None = None
    trace_metadata: Mapping[str, Any] | None = None
    automatically_trigger_response_for_mcp_tool_calls: bool = True

    def settings(self, line: Mapping[str, Any] | None = None) -> tuple[SessionSettings, bool]:
        """``(the session object, does it name a voice)``, tracing included. ``line``: the audio
        format of a line that decides it, where ``config`` names none."""
        if isinstance(self.config, SessionSettings):
            settings, named = self.config, False
        else:
            given = wire_settings(self.config or {})
            given.pop("type", None)
            output = (given.get("audio") or {}).get("output") or {}
            base = SessionSettings()
            if line is not None:
                base = base.merged({"audio": {s: {"format": line} for s in ("input", "output")}})
            settings, named = base.merged(given), bool(output.get("voice"))
        tracing = self._tracing()
        if tracing:
            settings = settings.merged(tracing)
        return settings, named if self.own_voice is None else self.own_voice

    def _tracing(self) -> dict[str, Any]:
        """Nothing said: nothing sent, since not every server of this protocol takes it."""
        if self.tracing_disabled:
            return {"tracing": None}
        more = {"group_id": self.group_id, "metadata": self.trace_metadata}
        more = {key: value for key, value in more.items() if value is not None}
        if self.workflow_name is not None:
            return {"tracing": {"workflow_name": self.workflow_name, **more}}
        if more:
            raise UserError("a trace without a name", "give workflow_name= beside it")
        return {}

    def rules(self) -> Rules:
        debounce = _inner(self.output_guardrail_settings, "output_guardrail_settings", int).get(
            "debounce_text_length"
        )
        answers = self.automatically_trigger_response_for_mcp_tool_calls
        rules = Rules(debounce=debounce, answers_mcp=answers)
        return with_silence(rules, self.silence or Silence())

    def checks(self) -> tuple[Guardrail, ...]:
        return tuple(map(as_guardrail, (*self.guardrails, *self.output_guardrails)))

    @property
    def approval_checks_first(self) -> bool:
        return bool(
            _inner(self.tool_execution, "tool_execution", bool).get("pre_approval_input_guardrails")
        )


class SessionKeywords(TypedDict, total=False):
    """The fields of :class:`SessionOptions` as keywords, for editors."""

    transport: str | RealtimeTransportLayer
    model: str | None
    config: Mapping[str, Any] | SessionSettings | None
    context: Any
    api_key: ApiKey | None
    own_voice: bool | None
    sink: AudioSink | None
    reconnect: bool
    agents: Mapping[str, RealtimeAgent] | None
    guardrails: Sequence[Any]
    silence: Silence | None
    output_guardrails: Sequence[Any]
    output_guardrail_settings: Mapping[str, Any] | None
    tool_execution: Mapping[str, Any] | None
    tool_error_formatter: Callable[[Rejection], Any] | None
    history_store_audio: bool
    tracing_disabled: bool
    workflow_name: str | None
    group_id: str | None
    trace_metadata: Mapping[str, Any] | None
    automatically_trigger_response_for_mcp_tool_calls: bool


_NAMES = tuple(field.name for field in fields(SessionOptions))
_INNER = {
    "output_guardrail_settings": ("debounce_text_length",),
    "tool_execution": ("pre_approval_input_guardrails",),
}


def session_options(
    given: SessionOptions | Mapping[str, Any] | None, keywords: Mapping[str, Any]
) -> SessionOptions:
    """``keywords`` laid on ``given``. UserError names a key that does not exist, one given
    twice, and what cannot be."""
    if isinstance(given, SessionOptions):
        base, more = given, dict(keywords)
    else:
        base, more = SessionOptions(), {}
        for source in (given or {}, keywords):
            for key, value in source.items():
                name = snake(key)
                if name in more:
                    raise UserError(f"the option {name} is given twice")
                more[name] = value
    for name in more:
        if name not in _NAMES:
            raise unknown(f"a session has no option {name}", name, _NAMES)
    made = replace(base, **more)
    made.rules(), made.checks(), made.approval_checks_first  # what is wrong is said now
    return made


def _inner(given: Mapping[str, Any] | None, option: str, kind: type) -> dict[str, Any]:
    known = _INNER[option]
    out: dict[str, Any] = {}
    for key, value in (given or {}).items():
        name = snake(key)
        if name not in known:
            raise unknown(f"{option} has no {key}", name, known)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UserError(f"{option}.{name} is {value!r}", f"it is a {kind.__name__}")
        out[name] = value
    return out


def unknown(words: str, name: str, known: Sequence[str]) -> UserError:
    near = get_close_matches(name, known, n=1)
    return UserError(words, f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}")


def with_silence(rules: Rules, silence: Silence) -> Rules:
    if Silence(rules.ask_after, rules.ask, rules.hang_up_after) == silence:
        return rules
    return replace(
        rules,
        ask_after=silence.ask_after,
        ask=silence.say,
        hang_up_after=silence.hang_up_after,
    )


def snake(key: str) -> str:
    """``apiKey`` -> ``api_key``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()
