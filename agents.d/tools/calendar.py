"""The appointment book of the practice: a small calendar on this machine.

Free times follow from the date alone, so that the same day always looks the same; what has
been booked stands in a folder, one file for each appointment. That folder is RTRUN_STATE when
it is set, else `rtrun/appointments` in the user's state folder (~/.local/state).
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ZONE = "America/New_York"
STEP = timedelta(minutes=30)
#: Monday is 0. The last appointment begins half an hour before closing.
HOURS = {**{day: (time(8), time(18)) for day in range(5)}, 5: (time(9), time(13))}
#: New Year, Independence Day, Christmas.
HOLIDAYS = ((1, 1), (7, 4), (12, 25))
MONTHS_AHEAD = 6


def find_slots(day: date, part_of_day: Literal["any", "morning", "afternoon"] = "any") -> str:
    """Find the free appointment times of one day.

    Args:
        day: The day the caller would like to come, such as 2026-11-24.
        part_of_day: Whether the caller wants the morning or the afternoon.
    """
    wanted = _date(day)
    refusal = _not_bookable(wanted)
    if refusal:
        return refusal
    free = [t for t in _free(wanted) if _in_part(t, part_of_day)]
    when = _day_words(wanted) + ("" if part_of_day == "any" else f" in the {part_of_day}")
    if not free:
        return f"We have nothing free on {when}. The next free day is {_next_free(wanted)}."
    return f"On {when} we have {_either([_clock(t) for t in _spread(free)])}."


def book_slot(day: date, time: time, name: str, reason: str = "check-up") -> str:
    """Book one appointment at a time that is free.

    Args:
        day: The day of the appointment, such as 2026-11-24.
        time: The time it begins, such as 09:30.
        name: The name of the patient.
        reason: What the appointment is for, such as check-up, cleaning or pain.
    """
    wanted, at = _date(day), _time(time)
    patient = " ".join(str(name).split())
    if not patient:
        return "I need a name for the appointment."
    refusal = _not_bookable(wanted)
    if refusal:
        return refusal
    words = f"{_day_words(wanted)} at {_clock(at)}"
    booked = {"day": wanted.isoformat(), "time": f"{at:%H:%M}", "name": patient, "reason": reason}
    if at in _free(wanted) and _write(wanted, at, booked):
        return f"You are booked for {words}, {patient}."
    held = _read(wanted, at)
    if held and str(held.get("name", "")).casefold() == patient.casefold():
        return f"You are booked for {words}, {patient}."
    near = sorted(_free(wanted), key=lambda t: (abs(_minutes(t) - _minutes(at)), t))[:3]
    if not near:
        return f"{words} is taken. The next free day is {_next_free(wanted)}."
    return f"{words} is not free. On that day we have {_either([_clock(t) for t in sorted(near)])}."


def _free(day: date) -> list[time]:
    """The free half hours of a day, as if a real book had some of them taken."""
    hours = HOURS.get(day.weekday())
    if hours is None or (day.month, day.day) in HOLIDAYS:
        return []
    now = _now()
    at, end = (datetime.combine(day, hour) for hour in hours)
    out = []
    while at < end:
        slot = at.time()
        past = day == now.date() and slot <= now.time()
        if not past and not _taken_by_others(day, slot) and not _file(day, slot).exists():
            out.append(slot)
        at += STEP
    return out


def _taken_by_others(day: date, slot: time) -> bool:
    lunch = time(12) <= slot < time(13) and day.weekday() < 5
    digest = hashlib.sha256(f"{day.isoformat()} {slot:%H:%M}".encode()).digest()
    return lunch or digest[0] < 100


def _not_bookable(day: date) -> str:
    today = _now().date()
    if day < today:
        return f"{_day_words(day)} has passed; today is {_day_words(today)}."
    if day > today + timedelta(days=31 * MONTHS_AHEAD):
        return f"We book at most {MONTHS_AHEAD} months ahead."
    if day.weekday() not in HOURS or (day.month, day.day) in HOLIDAYS:
        return f"We are closed on {_day_words(day)}. The next free day is {_next_free(day)}."
    return ""


def _next_free(day: date) -> str:
    for ahead in range(1, 60):
        after = day + timedelta(days=ahead)
        if _free(after):
            return _day_words(after)
    return "more than two months away"


def _spread(free: Sequence[time], most: int = 3) -> list[time]:
    """At most three, over the whole day: nobody keeps ten times in mind."""
    if len(free) <= most:
        return list(free)
    return [free[i * (len(free) - 1) // (most - 1)] for i in range(most)]


def _in_part(slot: time, part: str) -> bool:
    return part == "any" or (slot < time(12)) == (part == "morning")


# -- the folder -------------------------------------------------------------------------------


def _folder() -> Path:
    own = os.environ.get("RTRUN_STATE")
    if own:
        return Path(own)
    state = os.environ.get("XDG_STATE_HOME")
    try:
        base = Path(state) if state else Path.home() / ".local" / "state"
    except RuntimeError:  # no home folder
        base = Path(tempfile.gettempdir())
    return base / "rtrun" / "appointments"


def _file(day: date, slot: time) -> Path:
    return _folder() / f"{day.isoformat()}_{slot:%H%M}.json"


def _write(day: date, slot: time, booked: dict[str, str]) -> bool:
    """False when somebody else was faster: the file is made or it is not, never both."""
    file = _file(day, slot)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as stream:
            json.dump(booked, stream, ensure_ascii=False)
    except FileExistsError:
        return False
    return True


def _read(day: date, slot: time) -> dict[str, str]:
    try:
        held = json.loads(_file(day, slot).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


# -- dates, times, words ----------------------------------------------------------------------


def _now() -> datetime:
    try:
        return datetime.now(ZoneInfo(ZONE)).replace(tzinfo=None)
    except ZoneInfoNotFoundError:  # no time zone database: this machine's own clock
        return datetime.now()


def _date(value: date | str) -> date:
    """The model sends ISO 8601 text."""
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value.strip()[:10])
    except ValueError:
        raise ValueError(f"{value} is no date such as 2026-11-24") from None


def _time(value: time | str) -> time:
    if isinstance(value, time):
        return value
    text = value.strip().rpartition("T")[2]
    try:
        return time.fromisoformat(text[:5] if len(text) > 4 else f"0{text}").replace(tzinfo=None)
    except ValueError:
        raise ValueError(f"{value} is no time such as 09:30") from None


def _minutes(slot: time) -> int:
    return slot.hour * 60 + slot.minute


def _clock(slot: time) -> str:
    """9 am, 9:30 am."""
    hour, half = slot.hour % 12 or 12, "am" if slot.hour < 12 else "pm"
    return f"{hour}:{slot.minute:02} {half}" if slot.minute else f"{hour} {half}"


def _day_words(day: date) -> str:
    """Tuesday, November 24."""
    return f"{day:%A}, {day:%B} {day.day}"


def _either(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
