"""Who answers a call that rings: the rules of all deployments behind one address."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from runner.desk import Call, Desk
from runner.model.phone import CallRule, Incoming, chosen


class Listed(Protocol):
    """A deployment that may have a telephone; ``desk`` is None while it takes no calls."""

    @property
    def name(self) -> str: ...

    @property
    def desk(self) -> Desk | None: ...


class Ears(Protocol):
    """Who is told what happens to calls."""

    def began(self, of: Listed, call: Call) -> None: ...

    def ended(self, of: Listed, call: Call) -> None: ...

    def note(self, of: Listed, text: str) -> None:
        """Something an operator should know."""


class Answers(Protocol):
    """One deployment behind an address; its desk while it takes calls of this kind."""

    @property
    def desk(self) -> Desk | None: ...


A = TypeVar("A", bound=Answers)


def decided(behind: Iterable[A], call: Incoming) -> tuple[A, Desk, CallRule] | int | None:
    """Who takes the call, by which rule; the SIP status that refuses it; None when there is nobody
    to ask."""
    now = datetime.now().astimezone()
    asked = [
        ((one, desk), desk.deployment.calls, _local(now, desk.deployment.timezone))
        for one in behind
        if (desk := one.desk) is not None
    ]
    if not asked:
        return None
    found = chosen(asked, call)
    return found if isinstance(found, int) else (*found[0], found[1])


def full(desk: Desk, ringing: Collection[str]) -> bool:
    """Is ``limits.calls`` reached by those on the line and the ids of those that ring?"""
    most = desk.deployment.limits.calls
    return most is not None and len({*desk.calls, *ringing}) >= most


def _local(now: datetime, zone: str | None) -> datetime:
    return now.astimezone(ZoneInfo(zone)) if zone else now
