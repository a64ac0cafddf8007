"""What became of a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runner.errors import Problem
from runner.testing.diary import Entry

Outcome = Literal["passed", "failed", "error"]


@dataclass(frozen=True, slots=True)
class Report:
    """``passed``, ``failed`` (the agent did not do what was expected) or ``error`` (there was no
    call to speak of). ``failures`` say what and where in the test's file; ``skipped`` what could
    not be looked at, and why: a question without a judge. ``entries`` is the call in order."""

    deployment: str
    name: str
    file: str
    line: int
    outcome: Outcome
    #: Of the whole test, in seconds.
    seconds: float
    failures: tuple[Problem, ...] = ()
    skipped: tuple[Problem, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"

    def transcript(self) -> str:
        """The call as text, a line for each thing that happened."""
        return "\n".join(f"{e.at:6.1f} s  {e.kind:<9}  {e.text}" for e in self.entries)

    def __str__(self) -> str:
        parts = [f"{self.deployment}: {self.name}: {self.outcome}"]
        parts += [failure.render() for failure in self.failures]
        if self.failures and self.entries:
            parts += ["the call:", self.transcript()]
        return "\n".join(parts)
