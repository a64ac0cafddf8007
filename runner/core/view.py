"""AgentView: an agent as the conversation sees it, everything already resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.model.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class Rules:
    """What the conversation itself watches for this agent. Seconds and characters."""

    #: Names of tools that somebody looks at before they run (CheckTool instead of RunTool).
    checked: frozenset[str] = frozenset()
    #: What is said while a tool takes its time, by the tool's name.
    fillers: Mapping[str, str] = field(default_factory=dict)
    #: The agent's words are checked each time so many characters more are known; 0 at the first
    #: and at the end, below 0 at the end only, None never.
    debounce: int | None = None
    #: The caller's words are checked.
    checks_input: bool = False
    ask_after: float | None = None
    ask: str = ""
    hang_up_after: float | None = None
    #: The tool by which the agent ends the call, empty when it may not.
    end_call: str = ""
    #: Tools that put the caller through, and to where (tel: or sip: URI).
    transfers: Mapping[str, str] = field(default_factory=dict)
    #: After a tool of a hosted MCP server has run, a response is asked for.
    answers_mcp: bool = True


@dataclass(frozen=True, slots=True)
class AgentView:
    """``settings`` is the whole session object this agent wants (instructions, tools and voice
    included). ``handoffs`` maps the name of a transfer tool to the agent behind it."""

    name: str
    settings: SessionSettings
    handoffs: Mapping[str, str] = field(default_factory=dict)
    rules: Rules = Rules()
