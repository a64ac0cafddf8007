"""Days and times of day, as people say them and as a prompt writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from runner.engine.brain.lexicon import DAYS, MONTHS, bag
from runner.engine.brain.words import number_at, ordinal_at

_DAY = {name: number for number, name in enumerate(DAYS)}
_DAY |= {name[:3]: number for number, name in enumerate(DAYS)}
_DAY |= {"tues": 1, "weds": 2, "thur": 3, "thurs": 3}
_MONTH = {name: number for number, name in enumerate(MONTHS, 1)}
_MONTH |= {name[:3]: number for number, name in enumerate(MONTHS, 1) if name != "may"}
_MONTH |= {"sept": 9}
# Words after which a bare number is a time of day.
_BEFORE_TIME = bag("at by around about after before until till from past since")
_NOT_TIME = bag(
    """
    people persons person guests adults kids children nights night days day weeks week
    months month years year minutes minute hours hour dollars dollar euros euro percent
    miles mile of street road avenue lane drive pizzas large small medium pieces st nd rd
    th
    """
)
_PART = {"morning": "am", "afternoon": "pm", "evening": "pm", "tonight": "pm", "night": "pm"}


@dataclass(frozen=True, slots=True)
class Day:
    """A day somebody named: ``words[start:end]``.

    Exactly one way of naming is set: ``weekdays`` (0 is Monday; several for 'weekend'),
    ``offset`` in days from today, or ``month`` and ``dom`` (month 0: 'the third').
    """

    start: int
    end: int
    weekdays: tuple[int, ...] = ()
    offset: int | None = None
    month: int = 0
    dom: int = 0
    year: int = 0
    after_next: bool = False

    def on(self, today: date | None) -> date | None:
        """The date meant, at or after ``today``; a weekday is always ahead of today."""
        if self.year:
            return _date(self.year, self.month, self.dom)
        if today is None:
            return None
        if self.offset is not None:
            return today + timedelta(days=self.offset)
        if self.weekdays:
            ahead = (self.weekdays[0] - today.weekday() - 1) % 7 + 1
            if self.after_next and today.weekday() + ahead < 7:
                ahead += 7
            return today + timedelta(days=ahead)
        month, year = self.month or today.month, today.year
        meant = _date(year, month, self.dom)
        if meant is None or meant >= today:
            return meant
        if self.month:
            return _date(year + 1, month, self.dom)
        return _date(year + month // 12, month % 12 + 1, self.dom)

    def weekdays_on(self, today: date | None) -> tuple[int, ...]:
        """Which days of the week are meant; () when that is not known."""
        if self.weekdays:
            return self.weekdays
        meant = self.on(today)
        return () if meant is None else (meant.weekday(),)


@dataclass(frozen=True, slots=True)
class Time:
    """A time of day, ``words[start:end]``: minutes since midnight. ``sure``: am or pm is known."""

    start: int
    end: int
    minutes: int
    sure: bool

    def within(self, opens: int = 7 * 60) -> int:
        """Minutes since midnight, an unsure one taken for the half of the day that is open."""
        if not self.sure and self.minutes < opens and self.minutes + 720 < 1440:
            return self.minutes + 720
        return self.minutes


def _date(year: int, month: int, dom: int) -> date | None:
    try:
        return date(year, month, dom)
    except ValueError:
        return None


def weekday_of(word: str) -> int | None:
    """0 for 'monday', 'mondays', "monday's", 'mon'."""
    word = word.removesuffix("'s")
    found = _DAY.get(word)
    return _DAY.get(word.removesuffix("s")) if found is None and len(word) > 5 else found


_RELATIVE: dict[tuple[str, ...], tuple[int, ...] | int] = {
    ("day", "after", "tomorrow"): 2,
    ("this", "morning"): 0,
    ("this", "afternoon"): 0,
    ("this", "evening"): 0,
    ("today",): 0,
    ("tonight",): 0,
    ("tomorrow",): 1,
    ("tomorrows",): 1,
    ("weekend",): (5, 6),
    ("weekends",): (5, 6),
    ("weekday",): (0, 1, 2, 3, 4),
    ("weekdays",): (0, 1, 2, 3, 4),
}


def find_days(words: list[str]) -> list[Day]:
    """Every day named in ``words`` (from :func:`words.tokens`), in order, none overlapping."""
    found: list[Day] = []
    at = 0
    while at < len(words):
        day = _day_at(words, at)
        if day is not None:
            found.append(day)
        at = day.end if day is not None else at + 1
    return found


def _day_at(words: list[str], at: int) -> Day | None:
    start = at
    word = words[at]
    after_next = word == "next" and at + 1 < len(words) and weekday_of(words[at + 1]) is not None
    if after_next or (word in ("this", "on", "coming", "the") and at + 1 < len(words)):
        at += 1
        word = words[at]
        if words[start] == "on":  # "on" is no part of the day's name
            return None
    for phrase, meaning in _RELATIVE.items():
        if tuple(words[start : start + len(phrase)]) == phrase:
            end = start + len(phrase)
            if isinstance(meaning, int):
                return Day(start, end, offset=meaning)
            return Day(start, end, weekdays=meaning)
    weekday = weekday_of(word)
    if weekday is not None:
        # "Tuesday the third of March" is the date.
        later = at + 1
        if later < len(words) and words[later] == "the":
            later += 1
        dated = _dated_at(words, later) if later < len(words) else None
        if dated is not None and dated.month:
            return Day(start, dated.end, month=dated.month, dom=dated.dom, year=dated.year)
        return Day(start, at + 1, weekdays=(weekday,), after_next=after_next)
    dated = _dated_at(words, at)
    if dated is None:
        return None
    return Day(start, dated.end, month=dated.month, dom=dated.dom, year=dated.year)


def _dated_at(words: list[str], at: int) -> Day | None:
    """'third of march', 'march third', 'march 3', '3 march 2027', '3rd'."""

    def month(place: int) -> int:
        return _MONTH.get(words[place], 0) if place < len(words) else 0

    def year(place: int) -> tuple[int, int]:
        if place < len(words) and re.fullmatch(r"20\d\d", words[place]):
            return int(words[place]), place + 1
        return 0, place

    if month(at) and words[at] != "may":
        number = ordinal_at(words, at + 1) or number_at(words, at + 1)
        if number and 1 <= number[0] <= 31:
            given, end = year(at + 1 + number[1])
            return Day(at, end, month=month(at), dom=number[0], year=given)
        return None
    if words[at] == "may":
        number = ordinal_at(words, at + 1)
        if number and 1 <= number[0] <= 31:
            return Day(at, at + 1 + number[1], month=5, dom=number[0])
        return None
    ordinal = ordinal_at(words, at)
    number = ordinal or number_at(words, at)
    if number is None or not 1 <= number[0] <= 31:
        return None
    end = at + number[1]
    named = end + 1 if end < len(words) and words[end] == "of" else end
    if month(named):
        given, last = year(named + 1)
        return Day(at, last, month=month(named), dom=number[0], year=given)
    # "the third" is a day, "the third floor" is not.
    if ordinal and at and words[at - 1] == "the" and (end == len(words) or words[end] in ("at",)):
        return Day(at, end, dom=number[0])
    return None


def find_times(words: list[str], bare: bool = False) -> list[Time]:
    """Every time of day in ``words``; ``bare``: the caller was asked for one, so 'nine' is one."""
    found: list[Time] = []
    taken = {place for day in find_days(words) for place in range(day.start, day.end)}
    at = 0
    while at < len(words):
        time = None if at in taken else _time_at(words, at, bare, taken)
        if time is not None:
            found.append(time)
        at = time.end if time is not None else at + 1
    return found


def _time_at(words: list[str], at: int, bare: bool, taken: set[int]) -> Time | None:
    word = words[at]
    after = words[at + 1 : at + 5]
    if word in ("noon", "midday"):
        return Time(at, at + 1, 720, True)
    if word == "midnight":
        return Time(at, at + 1, 0, True)
    if word in ("half", "quarter") and len(after) > 1 and after[0] in ("past", "to", "after"):
        hour = number_at(words, at + 2)
        if hour and 1 <= hour[0] <= 12:
            shift = 30 if word == "half" else 15
            minutes = hour[0] * 60 + (-shift if after[0] == "to" else shift)
            return _halved(words, at, at + 2 + hour[1], minutes % 1440)
    clock = re.fullmatch(r"(\d{1,2})[:.](\d{2})", word)
    if clock and int(clock[1]) < 24 and int(clock[2]) < 60:
        hour_of = int(clock[1])
        sure = hour_of > 12 or hour_of == 0 or (len(clock[1]) == 2 and clock[1][0] == "0")
        return _halved(words, at, at + 1, hour_of * 60 + int(clock[2]), sure)
    number = number_at(words, at)
    if number is None:
        return None
    value, used = number
    end = at + used
    if word.isdecimal() and 3 <= len(word) <= 4 and value % 100 < 60 and value // 100 < 24:
        half = after[:1] in (["am"], ["pm"])
        if half or (at and words[at - 1] == "at"):  # "930" is what is heard for nine thirty
            return _halved(words, at, end, value // 100 * 60 + value % 100)
        return None
    if value > 23:
        return None
    minutes, end, clear = value * 60, end, False
    rest = words[end : end + 1]
    if rest == ["oclock"]:
        end, clear = end + 1, True
    elif value <= 12 and rest and rest[0] not in ("am", "pm"):
        past = number_at(words, end)
        small = rest[0] in ("oh", "o") and end + 1 < len(words)
        if small and (past := number_at(words, end + 1)) and 0 < past[0] < 10:
            minutes, end, clear = minutes + past[0], end + 1 + past[1], True
        elif past and not small and past[0] in range(10, 60, 5) and value > 0 and past[0] >= 10:
            follow = words[end + past[1] : end + past[1] + 1]
            if not (follow and follow[0] in _NOT_TIME):
                minutes, end, clear = minutes + past[0], end + past[1], True
    time = _halved(words, at, end, minutes % 1440, value > 12)
    follow = words[time.end : time.end + 1]
    if time.end > end or clear:
        return time
    if follow and follow[0] in _NOT_TIME:
        return None
    before = words[at - 1] if at else ""
    between = before in ("to", "and", "or", "-") and at > 1 and words[at - 2].isalnum()
    ranged = between and _time_at(words, at - 2, bare, taken) is not None
    by_day = (at - 1) in taken or at + used in taken
    if bare or ranged or (before in _BEFORE_TIME and value > 0) or (by_day and value > 0):
        return time
    return None


def _halved(words: list[str], start: int, end: int, minutes: int, sure: bool = False) -> Time:
    """Add 'pm', 'in the morning' and their like to a time read so far."""
    rest = words[end : end + 3]
    half = ""
    if rest[:1] in (["am"], ["pm"]):
        half, end = rest[0], end + 1
    elif rest[:2] in (["in", "the"], ["at", "night"]) and len(rest) > 1:
        part = rest[2] if rest[0] == "in" and len(rest) > 2 else rest[1]
        if part in _PART:
            half, end = _PART[part], end + (3 if rest[0] == "in" else 2)
    elif rest[:1] == ["tonight"]:
        half, end = "pm", end
    if half == "pm" and minutes < 720:
        minutes += 720
    elif half == "am" and 720 <= minutes < 780:
        minutes -= 720
    return Time(start, end, minutes, sure or bool(half))


@dataclass(frozen=True, slots=True)
class Now:
    """What the prompt says about the present; ``line`` is where it says so."""

    today: date
    minutes: int | None
    line: str


_NOW = (
    re.compile(
        r"(?:today|it|current date|date|now)\b[^.\n]{0,40}?\b(\d{1,2})(?:st|nd|rd|th)?\s+"
        rf"({'|'.join(MONTHS)})\w*\.?,?\s+(20\d\d)([^\n]*)",
        re.I,
    ),
    re.compile(
        r"(?:today|it|current date|date|now)\b[^.\n]{0,40}?\b"
        rf"({'|'.join(MONTHS)})\w*\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(20\d\d)([^\n]*)",
        re.I,
    ),
    re.compile(
        r"(?:today|it|current date|date|now)\b[^.\n]{0,40}?\b(20\d\d)-(\d\d)-(\d\d)([^\n]*)", re.I
    ),
)
_ORDER: tuple[Callable[[re.Match[str]], tuple[int, int, int]], ...] = (
    lambda m: (int(m[3]), MONTHS.index(m[2].lower()) + 1, int(m[1])),
    lambda m: (int(m[3]), MONTHS.index(m[1].lower()) + 1, int(m[2])),
    lambda m: (int(m[1]), int(m[2]), int(m[3])),
)


def now_in(instructions: str) -> Now | None:
    """The date (and time) that the instructions give as today's, in the usual spellings."""
    for pattern, order in zip(_NOW, _ORDER, strict=True):
        match = pattern.search(instructions)
        today = _date(*order(match)) if match else None
        if match and today:
            clock = re.search(r"\b(\d{1,2}):(\d{2})\b", match[4])
            sure = clock is not None and int(clock[1]) < 24 and int(clock[2]) < 60
            minutes = int(clock[1]) * 60 + int(clock[2]) if clock and sure else None
            return Now(today, minutes, match[0])
    return None


def places(*spans: Sequence[Day | Time]) -> set[int]:
    """The places of the words that days and times take."""
    return {place for several in spans for one in several for place in range(one.start, one.end)}


def said_time(minutes: int) -> str:
    """'9 am', '10:30 am', 'noon', 'midnight': short, and read well by a voice."""
    minutes %= 1440
    if minutes in (0, 720):
        return "noon" if minutes else "midnight"
    hour, minute = divmod(minutes, 60)
    half = "am" if hour < 12 else "pm"
    return f"{hour % 12 or 12}{f':{minute:02}' if minute else ''} {half}"


def said_date(day: date) -> str:
    """'Tuesday, November 24'."""
    return f"{DAYS[day.weekday()].title()}, {MONTHS[day.month - 1].title()} {day.day}"


def said_days(days: list[int]) -> str:
    """'Monday to Friday', 'Saturday and Sunday', 'every day'."""
    days = sorted(set(days))
    names = [DAYS[day].title() for day in days]
    if len(days) == 7:
        return "every day"
    gap = next((place for place in range(1, len(days)) if days[place] - days[place - 1] > 1), 0)
    round_week = (
        gap
        and days[0] == 0
        and days[-1] == 6
        and (days[gap - 1] - days[0] == gap - 1 and days[-1] - days[gap] == len(days) - gap - 1)
    )
    if len(days) > 2 and (not gap or round_week):
        return f"{names[gap]} to {names[gap - 1]}"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
