"""A week of opening hours, read out of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runner.engine.brain.times import Day, Time, find_days, find_times
from runner.engine.brain.words import tokens

Schedule = dict[int, list[tuple[int, int]]]
"""Weekday (0 is Monday) -> [(opens, closes)] in minutes since midnight; [] is closed."""

_ALL = list(range(7))
_EXCEPT = frozenset({"except", "excluding", "but", "besides", "save"})
_UNTIL = frozenset({"until", "till"})
_THROUGH = frozenset({"to", "through", "thru", "until", "till"})


@dataclass(frozen=True, slots=True)
class _Mark:
    """What stands at a place: days, a span (``opens`` None: only its end is given), or closed."""

    days: tuple[int, ...] = ()
    span: tuple[int | None, int] | None = None
    closed: bool = False
    excepted: bool = False
    joins: bool = False  # "and" stands in front


def schedule(texts: Iterable[str]) -> Schedule:
    """Hours by weekday from spoken sentences. Days that none names are left out."""
    week: Schedule = {}
    for text in texts:
        _apply(list(_marks(tokens(text))), week)
    return week


def unread(text: str) -> bool:
    """Whether ``text`` has times of day that :func:`schedule` could not place."""
    words = tokens(text)
    week: Schedule = {}
    _apply(list(_marks(words)), week)
    placed = {minutes % 720 for hours in week.values() for span in hours for minutes in span}
    return any(time.minutes % 720 not in placed for time in find_times(words, bare=True))


def _marks(words: list[str]) -> Iterator[_Mark]:
    days = {one.start: one for one in find_days(words)}
    times = {one.start: one for one in find_times(words, bare=True)}
    at, opens = 0, None  # the start that "open at 8" gives, until "close at 6" is found
    while at < len(words):
        word, two = words[at], words[at : at + 2]
        joins = at > 0 and words[at - 1] in ("and", "or")
        if word == "daily" or two in (["every", "day"], ["7", "days"], ["seven", "days"]):
            yield _Mark(days=tuple(_ALL))
            at += 1 if word == "daily" else 2
        elif at in days:
            before = words[max(0, at - 3) : at]
            named, at = _named(words, at, days)
            yield _Mark(days=named, joins=joins, excepted=bool(_EXCEPT & set(before)))
        elif two == ["24", "hours"]:
            yield _Mark(span=(0, 1440))
            at += 2
        elif word in _UNTIL and at + 1 in times:
            yield _Mark(span=(None, times[at + 1].minutes))
            at = times[at + 1].end
        elif at in times:
            start = times[at]
            before = words[max(0, at - 5) : at]
            at = start.end
            closing = opens is not None and bool(
                {"close", "closes"} & set(words[max(0, at - 12) : at])
            )
            if closing and opens and words[start.start - 1] in ("at", "and", "to", "until", "or"):
                yield _Mark(span=_span(opens, start))
                continue
            if {"open", "opens"} & set(before):
                opens = start
            link = words[at : at + 1]
            linked = link and (
                link[0] in _THROUGH or (link[0] == "and" and "between" in words[:at])
            )
            if linked and at + 1 in times:
                yield _Mark(span=_span(start, times[at + 1]))
                at = times[at + 1].end
        else:
            if word == "closed":
                yield _Mark(closed=True)
            at += 1


def _named(words: list[str], at: int, days: dict[int, Day]) -> tuple[tuple[int, ...], int]:
    first = days[at]
    last = days.get(first.end + 1)
    if words[first.end : first.end + 1] and words[first.end] in _THROUGH and last is not None:
        if first.weekdays and last.weekdays:
            reach = (last.weekdays[0] - first.weekdays[0]) % 7
            return tuple((first.weekdays[0] + step) % 7 for step in range(reach + 1)), last.end
        return (), last.end
    return first.weekdays, first.end


def _span(start: Time, end: Time) -> tuple[int, int]:
    opens, closes = start.minutes, end.minutes
    if not start.sure and opens < 6 * 60:
        opens += 720
    return opens, _after(opens, closes, end.sure)


def _after(opens: int, closes: int, sure: bool) -> int:
    if not sure and closes <= opens and closes + 720 > opens:
        closes += 720
    return closes if closes > opens else closes + 1440


def _prolong(week: Schedule, days: Iterable[int], closes: int) -> None:
    """'... Friday until midnight': another end to hours that stand already."""
    for day in days:
        if week.get(day):
            start = week[day][0][0]
            week[day] = [(start, _after(start, closes, closes == 0))]


def _apply(marks: list[_Mark], week: Schedule) -> None:
    """Pair days with hours, whichever comes first."""
    named: list[int] = []  # the days that hours now belong to
    given = False  # whether they have got theirs
    ahead: list[tuple[int, int]] | None = None  # hours in front of their days
    excepted: list[int] = []
    until: int | None = None  # a later end in front of its days
    for place, mark in enumerate(marks):
        following = marks[place + 1] if place + 1 < len(marks) else _Mark()
        if mark.days:
            if mark.excepted:
                excepted += mark.days
                continue
            if until is not None:
                _prolong(week, mark.days, until)
                named, given, until = [*mark.days], True, None
                continue
            if ahead is not None and (not given or mark.joins):
                week.update({day: list(ahead) for day in mark.days})
                named, given = [*named, *mark.days], True
                continue
            if given:
                named, given, ahead = [], False, None
            named += mark.days
        elif mark.closed:
            if named and not given:
                week.update({day: [] for day in named})
                given = True
            elif following.days:
                named, given, ahead = [], False, []
        elif mark.span is not None:
            opens, closes = mark.span
            if opens is None:
                if given and following.days:
                    until = closes
                    continue
                _prolong(week, named, closes)
                given = given or bool(named)
                continue
            if named and ahead is None:
                for day in named:
                    week[day] = (
                        [*week.get(day, []), (opens, closes)] if given else [(opens, closes)]
                    )
                given = True
            else:
                named, given, ahead = [], False, [(opens, closes)]
    if ahead and not named and week and not any(week.values()):
        # "closed on Sunday, otherwise 9 to 5"
        week.update({day: list(ahead) for day in _ALL if day not in week})
    week.update({day: [] for day in excepted})
