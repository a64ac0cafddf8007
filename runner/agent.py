"""RealtimeAgent, tool() and handoff(): the Python way to say what YAML says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast, overload

from runner.core.view import AgentView
from runner.errors import UserError
from runner.model.deployment import transfer_name
from runner.model.settings import SessionSettings
from runner.tools.base import DEFAULT_TIMEOUT, FunctionTool, Tool
from runner.tools.schema import function_tool

#: Text, or a sync or async function of (context, agent) that gives it, asked anew at every use.
Instructions = str | Callable[[Any, "RealtimeAgent"], str | Awaitable[str]]


@dataclass(frozen=True)
class Handoff:
    """A way to another agent. ``when`` tells the model the reason to take it."""

    agent: RealtimeAgent
    when: str = ""
    tool_name: str = ""

    def wire(self) -> dict[str, Any]:
        """The transfer tool as the session sends it."""
        words = f"Handoff to the {self.agent.name} agent to handle the request."
        extra = self.when or self.agent.handoff_description
        return {
            "type": "function",
            "name": self.tool_name or transfer_name(self.agent.name),
            "description": f"{words} {extra}".strip(),
            "parameters": {
                "type": "object",
                "properties": {},
                "required": [],
                "additionalProperties": False,
            },
        }


@dataclass
class RealtimeAgent:
    """An agent: who speaks, what it knows, what it may call. Without instructions it is valid.

    ``tools`` takes functions, tools made by :func:`tool`, or anything with the Tool shape;
    ``handoffs`` takes agents or :func:`handoff`, and may be changed after construction.
    """

    name: str
    instructions: Instructions = ""
    tools: Sequence[Tool | Callable[..., Any]] = ()
    handoffs: Sequence[RealtimeAgent | Handoff] = ()
    voice: str | None = None
    handoff_description: str = ""
    greeting: str = ""

    def function_tools(self) -> dict[str, Tool]:
        """Its tools by name. UserError when two share one."""
        out: dict[str, Tool] = {}
        for entry in self.tools:
            made = cast(Tool, entry) if hasattr(entry, "wire") else function_tool(entry)
            if made.name in out:
                raise UserError(f"agent {self.name} has two tools named {made.name}")
            out[made.name] = made
        return out

    def ways(self) -> dict[str, Handoff]:
        """Its handoffs by the name of their transfer tool."""
        out: dict[str, Handoff] = {}
        for entry in self.handoffs:
            way = entry if isinstance(entry, Handoff) else Handoff(entry)
            name = way.wire()["name"]
            if name in out:
                raise UserError(f"agent {self.name} has two handoffs named {name}")
            out[name] = way
        return out

    async def resolve(
        self, settings: SessionSettings, context: Any = None, *, voice: bool = True
    ) -> ResolvedAgent:
        """This agent as of now: instructions asked, tools listed, laid on ``settings``.

        ``voice`` False: the session names a voice of its own, which stands above the agent's.
        """
        words = self.instructions
        if callable(words):
            told = words(context, self)
            words = await told if inspect.isawaitable(told) else told
        if not isinstance(words, str):
            raise UserError(f"the instructions of agent {self.name} are no text")
        tools, ways = self.function_tools(), self.ways()
        both = sorted(tools.keys() & ways.keys())
        if both:
            raise UserError(f"agent {self.name} has a tool and a handoff named {both[0]}")
        over: dict[str, Any] = {
            "instructions": words,
            "tools": [t.wire() for t in tools.values()] + [w.wire() for w in ways.values()],
        }
        if self.voice and voice:
            over["audio"] = {"output": {"voice": self.voice}}
        view = AgentView(
            self.name, settings.merged(over), {name: way.agent.name for name, way in ways.items()}
        )
        return ResolvedAgent(self, view, tools, {name: way.agent for name, way in ways.items()})


@dataclass(frozen=True)
class ResolvedAgent:
    """An agent with everything asked: its view for the core, its tools and ways by name."""

    agent: RealtimeAgent
    view: AgentView
    tools: Mapping[str, Tool] = field(default_factory=dict)
    ways: Mapping[str, RealtimeAgent] = field(default_factory=dict)


@overload
def tool(function: Callable[..., Any]) -> FunctionTool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout: float = DEFAULT_TIMEOUT
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Make a function a tool: ``@tool``, or ``@tool(name=..., timeout=...)``."""

    def make(target: Callable[..., Any]) -> FunctionTool:
        return function_tool(target, name=name, description=description, timeout=timeout)

    return make(function) if function is not None else make


def handoff(agent: RealtimeAgent, *, when: str = "", tool_name: str = "") -> Handoff:
    """A handoff with a reason (``when``) or a name of its own."""
    return replace(Handoff(agent), when=when, tool_name=tool_name)
