"""What an edited deployment would change, and in how many of the calls that run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runner.desk import Call
from runner.model.deployment import Change, Deployment

#: Nothing that a running call has is changed by these.
_LATER = frozenset({"new", "restart"})
#: Read when a call begins, or by the process.
_NOT_OF_A_CALL = frozenset({"entry", "name", "reload", "engine"})


@dataclass(frozen=True, slots=True)
class Plan:
    """``touched`` has, for each of ``changes``, how many of ``total`` live calls it changes now
    or at the end of their turn. Nothing was applied."""

    changes: tuple[Change, ...]
    touched: tuple[int, ...]
    total: int

    def __iter__(self) -> Iterator[tuple[Change, int]]:
        return iter(zip(self.changes, self.touched, strict=True))


def plan(changes: tuple[Change, ...], old: Deployment, calls: Iterable[Call]) -> Plan:
    """``old`` is the deployment in force."""
    agents = [call.session.agent.name for call in calls]
    touched = tuple(sum(_touches(change, old, agent) for agent in agents) for change in changes)
    return Plan(changes, touched, len(agents))


def _touches(change: Change, old: Deployment, agent: str) -> bool:
    root, _, rest = change.path.partition(".")
    name = rest.partition(".")[0]
    if change.reload in _LATER or root in _NOT_OF_A_CALL:
        return False
    if root == "agents":
        # Another one acts in this call when the line is handed to it.
        return name == agent
    if root == "tools":
        spec = old.agents.get(agent)
        return spec is not None and name in spec.tools
    return True
