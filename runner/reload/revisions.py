"""What was in force: versions of a deployment, and the last of its revisions."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.config.load import Loaded
from runner.errors import UserError
from runner.model.deployment import Change, Deployment
from runner.toolbox import Toolbox

#: How many revisions can be gone back to.
KEPT = 20


@dataclass(frozen=True, slots=True)
class Version:
    """The deployment, its tools as they were imported, and the places of its values."""

    deployment: Deployment
    tools: Toolbox = field(repr=False)
    loaded: Loaded = field(repr=False)


@dataclass(frozen=True, slots=True)
class Revision:
    """One that was taken. ``at`` is time.time(); ``how`` it came: ``start``, ``file`` or
    ``back to N``; ``changes`` against the one before."""

    number: int
    at: float
    changes: tuple[Change, ...]
    how: str
    version: Version = field(repr=False)


class Revisions:
    """The last twenty, the oldest first."""

    def __init__(self, first: Version) -> None:
        self._kept: deque[Revision] = deque(maxlen=KEPT)
        self.add(0, (), "start", first)

    def __iter__(self) -> Iterator[Revision]:
        return iter(tuple(self._kept))

    def add(self, number: int, changes: tuple[Change, ...], how: str, version: Version) -> None:
        self._kept.append(Revision(number, time.time(), changes, how, version))

    def number_of(self, version: Version) -> int:
        """Under which number it was taken last; 0 when it is not kept any more."""
        return next((r.number for r in reversed(self._kept) if r.version is version), 0)

    def get(self, number: int) -> Revision:
        """UserError names those that are kept."""
        for revision in self._kept:
            if revision.number == number:
                return revision
        kept = ", ".join(str(revision.number) for revision in self._kept)
        raise UserError(f"there is no revision {number} to go back to", f"kept are {kept}")
