"""A deployment's agents, as one call has them. Standard library alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

from runner.agent import Handoff, RealtimeAgent, ResolvedAgent, policy_of
from runner.config.percall import fill, named, now_text, today_line
from runner.core.view import Rules
from runner.guardrails import Guardrail
from runner.model.deployment import Deployment
from runner.model.settings import SessionSettings
from runner.tools.base import Tool, ToolServer
from runner.tools.builtin import TransferCall

#: So many different castings of a deployment are kept: one a minute in which calls began.
CASTINGS = 64


class Shelf(Protocol):
    """Where a deployment's tools are: functions by name, and servers that bring several."""

    @property
    def tools(self) -> Mapping[str, Tool]: ...

    @property
    def servers(self) -> Mapping[str, ToolServer]: ...


@dataclass(eq=False)
class Member(RealtimeAgent):
    """An agent of a deployment, which several calls have and nobody changes: what it resolves to
    is remembered, since an edit asks for every live call."""

    #: Settings, guardrails, voice and rules that it was resolved on.
    _asked: tuple[Any, ...] = field(default=(None, None), init=False, repr=False)
    _resolved: ResolvedAgent | None = field(default=None, init=False, repr=False)

    async def resolve(
        self,
        settings: SessionSettings,
        context: Any = None,
        *,
        voice: bool = True,
        rules: Rules | None = None,
        guardrails: Sequence[Guardrail] = (),
    ) -> ResolvedAgent:
        had, checked, *rest = self._asked
        if self._resolved is not None and (
            had is settings and checked is guardrails and rest == [voice, rules]
        ):
            await asyncio.sleep(0)  # whoever asks is not kept from being overtaken
            return self._resolved
        resolved = await super().resolve(
            settings, context, voice=voice, rules=rules, guardrails=guardrails
        )
        # Servers list anew, and a predicate is of the call.
        if not self.mcp_servers and not any(
            callable(policy_of(tool).enabled) for tool in cast(Sequence[Tool], self.tools)
        ):
            self._asked = (settings, guardrails, voice, rules)
            self._resolved = resolved
        return resolved


class Staff:
    """The agents of one version of a deployment, for all of its calls."""

    def __init__(self, deployment: Deployment, tools: Shelf) -> None:
        self.deployment, self.tools = deployment, tools
        used = {
            name
            for spec in deployment.agents.values()
            for name in named(spec.instructions) | named(spec.greeting)
            if name != "now"
        }
        self._used = sorted(name.removeprefix("call.") for name in used)
        self._castings: dict[tuple[Any, ...], dict[str, RealtimeAgent]] = {}

    def of(self, about: Mapping[str, str], started: datetime) -> dict[str, RealtimeAgent]:
        """Those of one call, which began at ``started``; calls that would be told the same have
        the same."""
        minute = (started.date(), started.hour, started.minute, started.fold, started.tzinfo)
        key = (*minute, *(about.get(name) for name in self._used))
        found = self._castings.get(key)
        if found is None:
            found = build_agents(self.deployment, self.tools, about, started)
            self._castings[key] = found
            if len(self._castings) > CASTINGS:
                del self._castings[next(iter(self._castings))]
        return found


def build_agents(
    deployment: Deployment, tools: Shelf, about: Mapping[str, str], now: datetime
) -> dict[str, RealtimeAgent]:
    """The deployment's agents for one call: ``${call.*}`` and ``${now}`` filled in, and the day
    and time told, as of ``now``, so that a reload compares like with like."""
    today = today_line(deployment.timezone, now)
    stamp = now_text(deployment.timezone, now)
    agents: dict[str, RealtimeAgent] = {}
    for name, spec in deployment.agents.items():
        told = fill(spec.instructions, about, stamp)
        agents[name] = Member(
            name=name,
            instructions="\n\n".join(part for part in (told, today) if part),
            tools=[
                *(tools.tools[tool] for tool in spec.tools if tool not in tools.servers),
                *(TransferCall(way.transfer, way.when) for way in spec.handoffs if way.transfer),
            ],
            mcp_servers=[tools.servers[tool] for tool in spec.tools if tool in tools.servers],
            voice=spec.voice,
            greeting=fill(spec.greeting, about, stamp),
            interruptible_greeting=spec.interruptible_greeting,
        )
    for name, spec in deployment.agents.items():
        agents[name].handoffs = [
            Handoff(agents[way.to], way.when) for way in spec.handoffs if way.to
        ]
    return agents


def session_voice(deployment: Deployment) -> bool:
    """True when the file's session block names a voice: it then stands above the agents' own."""
    node: Any = deployment.document
    for key in ("session", "audio", "output", "voice"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node is not None
