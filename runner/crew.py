"""The agents of one call: who has the line, who had it, and who comes with an edit."""

from __future__ import annotations

from runner.agent import Handoff, ResolvedAgent


class Crew:
    def __init__(self, first: ResolvedAgent) -> None:
        #: Who has the line.
        self.resolved = first
        self._by_name: dict[str, ResolvedAgent] = {first.view.name: first}
        #: Agents of revisions that the server has not taken yet.
        self._next: dict[int, ResolvedAgent] = {}

    def take(self, resolved: ResolvedAgent) -> None:
        """This one has the line now."""
        self.resolved = resolved
        self.know(resolved)

    def know(self, resolved: ResolvedAgent) -> None:
        """This one has the line, or is on its way to it."""
        self._by_name[resolved.view.name] = resolved

    def handed_to(self, name: str) -> None:
        """The line went there, or back to where it was."""
        self.resolved = self._by_name.get(name, self.resolved)

    def owner(self, agent: str) -> ResolvedAgent:
        """The agent of this name as it was last on the line, the one that is when none was."""
        return self._by_name.get(agent, self.resolved)

    def known(self, name: str) -> ResolvedAgent | None:
        return self._by_name.get(name)

    # -- edits -------------------------------------------------------------------------------
    def expect(self, revision: int, resolved: ResolvedAgent) -> None:
        """The line's agent as it is in an edit that the server was not asked about yet."""
        self._next[revision] = resolved

    def taken(self, revision: int) -> None:
        resolved = self._next.pop(revision, None)
        # Revisions that a newer one has overtaken are never answered.
        self._next = {r: later for r, later in self._next.items() if r > revision}
        if resolved is not None and resolved.view.name == self.resolved.view.name:
            self.take(resolved)

    def refused(self, revision: int) -> None:
        self._next.pop(revision, None)

    def ways_to(self, name: str, tool: str) -> Handoff | None:
        """The handoff behind a transfer tool. The newest revision counts, also while it waits
        for this turn to end."""
        newest = self._next[max(self._next)] if self._next else self.resolved
        for ways in (newest.ways, self.resolved.ways, *(r.ways for r in self._by_name.values())):
            way = ways.get(tool)
            if way is not None and way.agent.name == name:
                return way
        return None
