"""RealtimeAgent, tool() and handoff(): the Python way to say what YAML says."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, overload

from runner.codec import loads
from runner.core.view import AgentView, Rules
from runner.errors import ModelBehaviorError, ToolError, UserError
from runner.guardrails import DEBOUNCE, QUICK_DEBOUNCE, Guardrail, as_guardrail
from runner.listeners import Listeners
from runner.model.names import transfer_name
from runner.model.settings import SessionSettings
from runner.tools.base import DEFAULT_TIMEOUT, FunctionTool, Tool, ToolPolicy, ToolServer
from runner.tools.builtin import EndCall, HostedMcpTool, TransferCall
from runner.tools.convert import convert
from runner.tools.schema import function_tool, input_schema

#: Text, or a sync or async function of (context, agent) that gives it, asked anew at every use.
Instructions = str | Callable[[Any, "RealtimeAgent"], str | Awaitable[str]]
#: ``{"id": ..., "version": ..., "variables": {...}}`` of a stored prompt, or a function of it.
Prompt = Mapping[str, Any] | Callable[[Any, "RealtimeAgent"], Any]
Enabled = bool | Callable[[Any, Any], bool | Awaitable[bool]]


@dataclass(frozen=True)
class Handoff:
    """A way to another agent. ``when`` tells the model the reason to take it.

    ``input_type``: a type (dataclass, TypedDict) whose fields the model fills in; ``on_handoff``
    is called with (context, input) then, else with (context), sync or async, before the agent
    changes. ``enabled``: a bool or a predicate of (context, agent).
    """

    agent: RealtimeAgent
    when: str = ""
    tool_name: str = ""
    tool_description: str = ""
    on_handoff: Callable[..., Any] | None = None
    input_type: Any = None
    enabled: Enabled = True

    def __post_init__(self) -> None:
        if self.input_type is not None and self.on_handoff is None:
            raise UserError(
                f"the handoff to {self.agent.name} has an input_type and nobody to take it",
                "give on_handoff=",
            )

    @property
    def name(self) -> str:
        return self.tool_name or transfer_name(self.agent.name)

    def wire(self) -> dict[str, Any]:
        """The transfer tool as the session sends it."""
        words = f"Handoff to the {self.agent.name} agent to handle the request."
        extra = self.when or self.agent.handoff_description
        return {
            "type": "function",
            "name": self.name,
            "description": self.tool_description or f"{words} {extra}".strip(),
            "parameters": input_schema(self.input_type),
        }

    async def begin(self, arguments: str, context: Any) -> None:
        """Call ``on_handoff``. ModelBehaviorError when the arguments do not fit."""
        if self.on_handoff is None:
            return
        given: tuple[Any, ...] = (context,)
        if self.input_type is not None:
            try:
                given += (convert(loads(arguments or "{}"), self.input_type),)
            except ValueError as error:
                raise ModelBehaviorError(f"the handoff's input does not fit: {error}") from None
        done = self.on_handoff(*given)
        if inspect.isawaitable(done):
            await done


@dataclass
class RealtimeAgent:
    """An agent: who speaks, what it knows, what it may call. Without instructions it is valid.

    ``tools`` takes functions, tools made by :func:`tool`, hosted MCP tools, or anything with the
    Tool shape; ``handoffs`` takes agents or :func:`handoff`, and may be changed after
    construction. ``mcp_servers`` are local MCP servers; their tools stand before the others.
    """

    name: str
    instructions: Instructions = ""
    tools: Sequence[Tool | Callable[..., Any]] = ()
    handoffs: Sequence[RealtimeAgent | Handoff] = ()
    voice: str | None = None
    handoff_description: str = ""
    greeting: str = ""
    prompt: Prompt | None = None
    mcp_servers: Sequence[ToolServer] = ()
    guardrails: Sequence[Any] = ()
    #: False: the caller cannot cut the greeting off.
    interruptible_greeting: bool = True
    #: Who listens to this agent alone.
    listeners: Listeners | None = field(default=None, repr=False, compare=False)

    def on(self, name: str, handler: Callable[..., Any]) -> None:
        """Hear agent_start, agent_end, agent_handoff, agent_tool_start and agent_tool_end of this
        agent, in every session, after the listeners of the session."""
        if self.listeners is None:
            self.listeners = Listeners()
        self.listeners.on(name, handler)

    def clone(self, **changes: Any) -> RealtimeAgent:
        """A copy with ``changes``; lists are shared."""
        return replace(self, **changes)

    async def _tools(self, context: Any, troubles: list[str]) -> list[Tool]:
        """All its tools that are enabled now, those of MCP servers first. A server that gives
        none is a trouble and no reason to refuse the caller."""
        found: list[Tool] = []
        asked = [server.tools() for server in self.mcp_servers]
        for listed in await asyncio.gather(*asked, return_exceptions=True) if asked else ():
            if isinstance(listed, ToolError):
                troubles.append(listed.message)
            elif isinstance(listed, BaseException):
                raise listed
            else:
                found += listed
        found += [
            cast(Tool, entry) if hasattr(entry, "wire") else function_tool(entry)
            for entry in self.tools
        ]
        return [tool for tool in found if await enabled(policy_of(tool).enabled, context, self)]

    @property
    def _waits_for_nobody(self) -> bool:
        asked = (self.instructions, self.prompt)
        return not self.mcp_servers and not any(callable(value) for value in asked)

    async def _ways(self, context: Any) -> list[Handoff]:
        ways = [way if isinstance(way, Handoff) else Handoff(way) for way in self.handoffs]
        return [way for way in ways if await enabled(way.enabled, context, self)]

    async def resolve(
        self,
        settings: SessionSettings,
        context: Any = None,
        *,
        voice: bool = True,
        rules: Rules | None = None,
        guardrails: Sequence[Guardrail] = (),
    ) -> ResolvedAgent:
        """This agent as of now: instructions asked, tools listed, laid on ``settings``.

        ``voice`` False: the session names a voice of its own, which stands above the agent's.
        ``rules`` and ``guardrails`` are the session's. UserError when two things share a name.
        """
        troubles: list[str] = []
        if self._waits_for_nobody:
            # The same without a task for each: an edit asks the agents of every live call.
            words: Any = self.instructions
            prompt: Any = self.prompt
            tools, ways = await self._tools(context, troubles), await self._ways(context)
            await asyncio.sleep(0)
        else:
            words, prompt, tools, ways = await asyncio.gather(
                _asked(self.instructions, context, self),
                _asked(self.prompt, context, self),
                self._tools(context, troubles),
                self._ways(context),
            )
        if not isinstance(words, str):
            raise UserError(f"the instructions of agent {self.name} are no text")
        own = [tool for tool in tools if tool.wire().get("type") == "function"]
        self._require_one_each([tool.name for tool in own], [way.name for way in ways])
        over: dict[str, Any] = {
            "instructions": words,
            "tools": [t.wire() for t in tools] + [w.wire() for w in ways],
        }
        if prompt is not None:
            over["prompt"] = wire_prompt(prompt)
        if self.voice and voice:
            over["audio"] = {"output": {"voice": self.voice}}
        checks = (*map(as_guardrail, self.guardrails), *guardrails)
        view = AgentView(
            self.name,
            settings.merged(over),
            {way.name: way.agent.name for way in ways},
            _rules(rules or Rules(), own, checks),
        )
        by_name = {tool.name: tool for tool in own}
        by_way = {way.name: way for way in ways}
        return ResolvedAgent(self, view, by_name, by_way, checks, tuple(troubles))

    def _require_one_each(self, tools: list[str], ways: list[str]) -> None:
        """Names are how the model calls: each must be there once."""
        kinds: dict[str, Counter[str]] = {}
        for kind, names in (("function tool", tools), ("handoff", ways)):
            for name in names:
                kinds.setdefault(name, Counter())[kind] += 1
        twice = {name: found for name, found in kinds.items() if found.total() > 1}
        if twice:
            told = "; ".join(
                f"{name}: " + " and ".join(k if n == 1 else f"{n} {k}s" for k, n in found.items())
                for name, found in sorted(twice.items())
            )
            raise UserError(
                f"agent {self.name} has several things of one name: {told}", "rename all but one"
            )


def _rules(rules: Rules, tools: Sequence[Tool], checks: Sequence[Guardrail]) -> Rules:
    """What the conversation has to watch for an agent with these tools and checks."""
    policies = {tool.name: policy_of(tool) for tool in tools}
    output = [check for check in checks if check.check == "output"]
    debounce = rules.debounce if rules.debounce is not None else DEBOUNCE
    if any(check.quick for check in output):
        debounce = min(debounce, QUICK_DEBOUNCE) if debounce >= 0 else QUICK_DEBOUNCE
    return replace(
        rules,
        checked=frozenset(name for name, policy in policies.items() if not policy.plain),
        fillers={n: p.while_waiting for n, p in policies.items() if p.while_waiting},
        debounce=debounce if output else None,
        checks_input=any(check.check == "input" for check in checks),
        end_call=next((tool.name for tool in tools if isinstance(tool, EndCall)), ""),
        transfers={tool.name: tool.uri for tool in tools if isinstance(tool, TransferCall)},
    )


async def enabled(rule: Enabled, context: Any, agent: Any) -> bool:
    """Is this tool or handoff there for this agent now?"""
    if not callable(rule):
        return bool(rule)
    found = rule(context, agent)
    return bool(await found if inspect.isawaitable(found) else found)


async def _asked(value: Any, context: Any, agent: RealtimeAgent) -> Any:
    if not callable(value):
        return value
    told = value(context, agent)
    return await told if inspect.isawaitable(told) else told


def wire_prompt(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """A stored prompt as the wire has it; the SDK's ``promptId`` is understood."""
    out = {("id" if key in ("promptId", "prompt_id") else key): v for key, v in prompt.items()}
    unknown = set(out) - {"id", "version", "variables"}
    if unknown or not isinstance(out.get("id"), str):
        raise UserError("a prompt is a map of id, version and variables")
    return out


def policy_of(tool: Tool) -> ToolPolicy:
    return getattr(tool, "policy", None) or ToolPolicy()


@dataclass(frozen=True)
class ResolvedAgent:
    """An agent with everything asked: its view for the core, its tools, ways and checks."""

    agent: RealtimeAgent
    view: AgentView
    tools: Mapping[str, Tool] = field(default_factory=dict)
    ways: Mapping[str, Handoff] = field(default_factory=dict)
    guardrails: tuple[Guardrail, ...] = ()
    #: Why tools of its MCP servers are missing.
    troubles: tuple[str, ...] = ()


@overload
def tool(function: Callable[..., Any]) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    needs_approval: bool | str | Callable[..., Any] = False,
    is_enabled: Enabled = True,
    while_waiting: str = "",
    respond: bool = True,
    input_guardrails: Sequence[Callable[..., Any]] = (),
    output_guardrails: Sequence[Callable[..., Any]] = (),
    error_function: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    needs_approval: bool | str | Callable[..., Any] = False,
    is_enabled: Enabled = True,
    while_waiting: str = "",
    respond: bool = True,
    input_guardrails: Sequence[Callable[..., Any]] = (),
    output_guardrails: Sequence[Callable[..., Any]] = (),
    error_function: Callable[..., Any] | None = None,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a function a tool: ``@tool``, or ``@tool(name=..., timeout=...)``.

    ``needs_approval``: True for an operator's yes, "caller" for the caller's, or a predicate of
    (context, arguments, call_id). The rest is described at :class:`ToolPolicy`.
    """
    policy = ToolPolicy(
        approval={True: "operator", False: "none"}.get(needs_approval, needs_approval)
        if isinstance(needs_approval, bool)
        else needs_approval,
        while_waiting=while_waiting,
        respond=respond,
        enabled=is_enabled,
        input_guardrails=tuple(input_guardrails),
        output_guardrails=tuple(output_guardrails),
        error_function=error_function,
    )

    def make(target: Callable[..., Any]) -> FunctionTool:
        made = function_tool(target, name=name, description=description, timeout=timeout)
        return replace(made, policy=policy)

    return make(function) if function is not None else make


def handoff(
    agent: RealtimeAgent,
    *,
    when: str = "",
    tool_name: str = "",
    tool_description: str = "",
    on_handoff: Callable[..., Any] | None = None,
    input_type: Any = None,
    is_enabled: Enabled = True,
) -> Handoff:
    """A handoff with a reason (``when``), a name of its own, or something to do on the way."""
    return Handoff(agent, when, tool_name, tool_description, on_handoff, input_type, is_enabled)


def hosted_mcp_tool(server_label: str, **fields: Any) -> HostedMcpTool:
    """Tools of an MCP server that the Realtime service calls by itself: ``server_url`` or
    ``connector_id``, ``server_description``, ``authorization``, ``headers``, ``allowed_tools``,
    ``require_approval``. What is None is not sent. UserError for a field that the wire lacks."""
    given = {key: value for key, value in fields.items() if value is not None}
    known = (
        "server_url",
        "connector_id",
        "server_description",
        "authorization",
        "headers",
        "allowed_tools",
        "require_approval",
    )
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UserError(f"a hosted MCP tool has no {unknown[0]}", f"it has {', '.join(known)}")
    require_approval_shape(given.get("require_approval"))
    return HostedMcpTool(server_label, {"server_label": server_label, **given})


def require_approval_shape(value: Any) -> None:
    """UserError unless it is what the wire takes: always, never, or filters of names and
    read_only under either, no tool under both."""
    if value is None or value in ("always", "never"):
        return
    parts = {"always", "never"}
    if not isinstance(value, Mapping) or not value or set(value) - parts:
        raise UserError("require_approval is always, never, or a map of filters under them")
    names: list[str] = []
    for part, wanted in value.items():
        keys = {"tool_names", "read_only"}
        if not isinstance(wanted, Mapping) or not wanted or set(wanted) - keys:
            raise UserError(f"require_approval.{part} is a map of tool_names and read_only")
        names += wanted.get("tool_names") or ()
    if len(set(names)) != len(names):
        raise UserError("a tool stands under always and never of require_approval")


def namesake(agent: RealtimeAgent, agents: Mapping[str, RealtimeAgent]) -> RealtimeAgent:
    """The agent that takes the place of ``agent`` when these are the agents. One that is not among
    them stays as it was for as long as it has the line; its ways lead to those that are."""
    if agent.name in agents:
        return agents[agent.name]
    ways = [way if isinstance(way, Handoff) else Handoff(way) for way in agent.handoffs]
    there = [replace(w, agent=agents[w.agent.name]) for w in ways if w.agent.name in agents]
    return replace(agent, handoffs=there)


def reachable(first: RealtimeAgent) -> dict[str, RealtimeAgent]:
    """The agents that handoffs lead to from ``first``, itself included, by name."""
    known: dict[str, RealtimeAgent] = {}
    waiting = [first]
    while waiting:
        agent = waiting.pop()
        if agent.name not in known:
            known[agent.name] = agent
            waiting += [way.agent if isinstance(way, Handoff) else way for way in agent.handoffs]
    return known
