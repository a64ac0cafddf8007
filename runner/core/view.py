"""AgentView: an agent as the conversation sees it, everything already resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.model.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class AgentView:
    """``settings`` is the whole session object this agent wants (instructions, tools and voice
    included). ``handoffs`` maps the name of a transfer tool to the agent behind it."""

    name: str
    settings: SessionSettings
    handoffs: Mapping[str, str] = field(default_factory=dict)
