"""Opening hours: read from the facts, and asked about by day and time."""

from __future__ import annotations

import re
from datetime import date

from runner.engine.brain.lexicon import bag
from runner.engine.brain.notes import Fact, Notes
from runner.engine.brain.recall import Query
from runner.engine.brain.schedule import Schedule, schedule, unread
from runner.engine.brain.speech import sentence
from runner.engine.brain.times import find_days, find_times, places, said_days, said_time
from runner.engine.brain.words import joined, tokens

_LEAD = bag(
    """
    we are our the is on from open opens opening close closes closed hours hour office
    business store shop clinic restaurant working times time and both all at to as follows
    between most reception practice please note day days week every daily usually normally
    regular kitchen lobby branch library museum gym salon bank counter
    """
) - {"kitchen"}
_ABOUT = bag("open opens opening hours hour closed close closes")


def hours_facts(notes: Notes) -> list[Fact]:
    """The facts that say when the business itself is open, not its kitchen or its pool."""
    return [fact for fact in notes.facts if _is_hours(fact)]


def _is_hours(fact: Fact) -> bool:
    if re.search(r"\d{3}[ .-]\d{4}\b", fact.said):
        return False  # when a telephone line is open, not the business
    words = tokens(fact.said)
    days, times = find_days(words), find_times(words, bare=True)
    if not (days or "daily" in words or "day" in words) or not (
        times or "closed" in words or "24" in words
    ):
        return False
    headed = "hours" in fact.context_aspects
    if not headed and not _ABOUT & set(words):
        return False
    first = min(
        [*places(days, times), *([words.index("closed")] if "closed" in words else [])], default=0
    )
    lead = [word for word in words[:first] if not word.isdigit()]
    return all(word in _LEAD or word in ("every", "daily") for word in lead)


def said_hours(hours: list[tuple[int, int]]) -> str:
    if hours == [(0, 1440)]:
        return "around the clock"
    return joined([f"from {said_time(opens)} to {said_time(closes)}" for opens, closes in hours])


def said_schedule(week: Schedule) -> str:
    """'We are open Monday to Friday from 8 am to 6 pm. We are closed on Sunday.'"""
    groups: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for day in sorted(week):
        groups.setdefault(tuple(week[day]), []).append(day)
    opened = [
        f"{said_days(days)} {said_hours(list(hours))}" for hours, days in groups.items() if hours
    ]
    closed = [said_days(days) for hours, days in groups.items() if not hours]
    parts = [f"We are open {joined(opened)}."] if opened else []
    if closed:
        parts.append(f"We are closed on {joined(closed)}.")
    return " ".join(parts)


def answer(asked: Query, notes: Notes) -> str:
    """The answer to a question about opening hours, '' when the facts do not have it."""
    facts = hours_facts(notes)
    if not facts:
        return ""
    week = schedule(fact.said for fact in facts)
    today = notes.now.today if notes.now else None
    whole = facts[0].said if len(facts) == 1 else said_schedule(week)
    if not any(week.values()):
        return " ".join(fact.said for fact in facts[:3])
    days = [number for day in asked.days for number in day.weekdays_on(today)]
    closing = bool(re.search(r"\b(?:close|closing|shut|late|until|till)\b", asked.text))
    opening = bool(re.search(r"\b(?:when|what time|how early|early)\b.*\bopen", asked.text))
    if re.search(r"\b(?:right now|now|at the moment|currently|still)\b", asked.text) and not days:
        return _now(notes, week) or f"I cannot see the clock from here. {whole}"
    if any(day.month for day in asked.days) and today is None:
        return whole
    if asked.times and (days or asked.polar):
        return _at(
            asked.times[0].within(min(h[0] for hours in week.values() for h in hours)), days, week
        )
    if not days:
        return whole
    if any(day not in week for day in days) and any(unread(fact.said) for fact in facts):
        return whole  # read in part only: better all of it than a wrong "closed"
    if len(days) > 2:
        return _several(days, week)
    parts = [
        _on(day, week, opening, closing, _said_day(asked, day, today))
        for day in dict.fromkeys(days)
    ]
    open_any = any(week.get(day) for day in days)
    if asked.polar and not (closing or opening):
        first = parts[0][:1].lower() + parts[0][1:]
        parts[0] = f"{'Yes' if open_any else 'No'}, {first}"
    return " ".join(parts)


def _said_day(asked: Query, day: int, today: date | None) -> str:
    for one in asked.days:
        if one.offset in (0, 1) and day in one.weekdays_on(today):
            return "today" if one.offset == 0 else "tomorrow"
    return f"on {said_days([day])}"


def _on(day: int, week: Schedule, opening: bool, closing: bool, said: str) -> str:
    hours = week.get(day, [])
    if not hours:
        return sentence(f"we are closed {said}")
    if opening and not closing:
        return sentence(f"{said} we open at {said_time(hours[0][0])}")
    if closing and not opening and hours[-1][1] - hours[0][0] < 1440:
        return sentence(f"{said} we close at {said_time(hours[-1][1])}")
    return sentence(f"{said} we are open {said_hours(hours)}")


def _several(days: list[int], week: Schedule) -> str:
    return said_schedule({day: week.get(day, []) for day in days})


def _at(minutes: int, days: list[int], week: Schedule) -> str:
    asked = list(dict.fromkeys(days)) or sorted(day for day in week if week[day])
    fits = [
        day
        for day in asked
        if any(opens <= minutes < closes for opens, closes in week.get(day, []))
    ]
    time = said_time(minutes)
    if days:
        day = asked[0]
        on = said_days([day])
        if fits:
            return f"Yes, on {on} at {time} we are open, until {said_time(week[day][-1][1])}."
        if not week.get(day):
            return f"No, we are closed on {on}."
        return f"No, on {on} we are open {said_hours(week[day])}."
    if not fits:
        return f"No, we are closed at {time}. {said_schedule({day: week[day] for day in asked})}"
    if len(fits) == len(asked):
        return f"Yes, we are open at {time}, {said_days(fits)}."
    return f"At {time} we are open {'on ' if len(fits) < 3 else ''}{said_days(fits)}."


def _now(notes: Notes, week: Schedule) -> str:
    if notes.now is None or notes.now.minutes is None:
        return ""
    day, minutes = notes.now.today.weekday(), notes.now.minutes
    for opens, closes in week.get(day, []):
        if opens <= minutes < closes:
            return f"Yes, we are open now, until {said_time(closes)} today."
        if minutes < opens:
            return f"Not yet. Today we open at {said_time(opens)}."
    ahead = next((day + step for step in range(1, 8) if week.get((day + step) % 7)), None)
    if ahead is None:
        return "No, we are closed now."
    opens = week[ahead % 7][0][0]
    return (
        f"No, we are closed now. We open again on {said_days([ahead % 7])} at {said_time(opens)}."
    )
