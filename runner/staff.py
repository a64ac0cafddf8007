"""A deployment's agents, as one call has them. Standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from runner.agent import Handoff, RealtimeAgent
from runner.config.percall import fill, now_text, today_line
from runner.model.deployment import Deployment
from runner.tools.base import Tool, ToolServer
from runner.tools.builtin import TransferCall


class Shelf(Protocol):
    """Where a deployment's tools are: functions by name, and servers that bring several."""

    @property
    def tools(self) -> Mapping[str, Tool]: ...

    @property
    def servers(self) -> Mapping[str, ToolServer]: ...


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
        agents[name] = RealtimeAgent(
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
