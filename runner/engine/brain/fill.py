"""Values for a tool's parameters out of what a caller said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from runner.engine.brain import slots as kinds
from runner.engine.brain.lexicon import DAYS, MONTHS, bag
from runner.engine.brain.phrases import (
    address,
    code,
    digit_runs,
    email,
    person,
    phone,
    place,
    thing,
    thing_in,
    whole,
)
from runner.engine.brain.said import Said, cleaned
from runner.engine.brain.slots import Slot
from runner.engine.brain.times import Day, Time, find_times, places, said_time
from runner.engine.brain.words import akin, content, normal, number_at, stem, tokens


def value_of(slot: Slot, said: Said) -> Any:
    """What ``said`` gives for ``slot``, None when it gives nothing."""
    return _READERS[slot.kind](slot, said)


def _as_said(words: list[str]) -> str:
    text = " ".join(word.title() if word in DAYS or word in MONTHS else word for word in words)
    return re.sub(r"(\d) (st|nd|rd|th)\b", r"\1\2", text)


def wants_iso(slot: Slot) -> bool:
    return slot.schema.get("format") in ("date", "date-time") or bool(
        re.search(r"yyyy|iso|\d{4}-\d\d", slot.description, re.I)
    )


def _date(slot: Slot, said: Said) -> Any:
    found = said.days()
    if not found:
        loose = cleaned(said.text)
        any_day = re.search(
            r"\b(?:any|soon|earliest|first|next) ?(?:day|available|possible|week|time|one|"
            r"opening)?",
            normal(loose),
        )
        if said.direct and any_day and len(loose.split()) <= 6 and not wants_iso(slot):
            return loose
        return None
    later = re.search(r"out|depart|end|until|return|last|\bto\b", slot.label)
    day = found[-1] if later and len(found) > 1 else found[0]
    if later and len(found) < 2 and not said.direct:
        return None
    meant = day.on(said.today)
    if meant is not None and wants_iso(slot):
        return meant.isoformat()
    return _as_said(said.words[day.start : day.end])


def _time(slot: Slot, said: Said) -> Any:
    found = said.times()
    if not found:
        part = re.search(
            r"\b(?:morning|afternoon|evening|noon|lunch ?time|any ?time)\b", normal(said.text)
        )
        return part[0] if part and said.direct and slot.schema.get("format") != "time" else None
    later = len(found) > 1 and re.search(r"end|until|close|\bto\b", slot.label)
    return clock(found[-1] if later else found[0], said.opens, slot)


def clock(time: Time, opens: int, slot: Slot | None = None) -> str:
    """'09:00', or as the parameter's description writes times."""
    minutes = time.within(opens)
    if slot is not None and re.search(r"\b\d{1,2}(?::\d\d)? ?[ap]\.?m\b", slot.description, re.I):
        return said_time(minutes)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def moment(slot: Slot, day: Day | None, time: Time | None, words: list[str], said: Said) -> Any:
    """A day and a time in one value."""
    if day is None or time is None:
        return None
    meant = day.on(said.today)
    if meant is not None and slot.schema.get("type", "string") == "string":
        return f"{meant.isoformat()}T{clock(time, said.opens)}:00"
    return f"{_as_said(words)} at {clock(time, said.opens)}"


def _moment(slot: Slot, said: Said) -> Any:
    days, times = said.days(), said.times()
    if days and times:
        return moment(slot, days[0], times[0], said.words[days[0].start : days[0].end], said)
    if (
        (days or (times and said.direct))
        and slot.schema.get("format") is None
        and slot.label == "when"
    ):
        return (
            cleaned(said.text) if said.direct else _as_said(said.words[days[0].start : days[0].end])
        )
    return None


_PARTY = re.compile(
    r"\b(?:party|people|guests?|persons?|seats|covers|adults|diners|size|headcount)\b"
)
_PARTY_NOUN = bag("people persons person guests guest adults adult diners seats pax")


def _count(slot: Slot, said: Said) -> Any:
    words = said.words
    taken = places(said.days(), find_times(words))
    if (
        re.search(
            r"\b(?:room|number|id|code|account|zip|pin|extension)\b",
            f"{slot.label} {slot.description.lower()}",
        )
        and said.direct
    ):
        runs = digit_runs(words)  # "two oh four" is no time of day here
        if runs:
            return int(max(runs, key=len)[:15])
    label = [stem(word) for word in slot.label.split()]
    party = bool(_PARTY.search(slot.label) or _PARTY.search(slot.description.lower()))
    if party and re.search(r"\b(?:just me|only me|myself|by myself|alone)\b", normal(said.text)):
        return 1
    if party and re.search(
        r"\b(?:me and my|my (?:wife|husband|partner|friend) and (?:i|me)|the two of us)\b",
        normal(said.text),
    ):
        return 2
    numbers: list[tuple[float, str, str]] = []
    alone = {"for": 4, "to": 2, "too": 2, "ate": 8, "won": 1}.get(normal(said.text).strip())
    if said.direct and alone:
        return alone  # heard for "four"
    at = 0
    while at < len(words):
        decimal = (
            re.fullmatch(r"\d+\.\d+", words[at]) if slot.schema.get("type") == "number" else None
        )
        found = None if at in taken else number_at(words, at)
        if decimal is None and found is None:
            at += 1
            continue
        used = found[1] if found else 1
        value = float(words[at]) if decimal else float(found[0]) if found else 0.0
        numbers.append(
            (value, words[at - 1] if at else "", words[at + used] if at + used < len(words) else "")
        )
        at += used
    best = None
    for value, before, after in numbers:
        near = after and (
            any(akin(stem(after), one) >= 0.7 for one in label)
            or (said.alone and stem(after) in said.generic)
        )
        if near or (
            party
            and (
                after in _PARTY_NOUN
                or (
                    before in ("for", "of")
                    and after
                    in (
                        "",
                        "at",
                        "on",
                        "tomorrow",
                        "tonight",
                        "please",
                        "today",
                        "this",
                        "next",
                        "of",
                        "and",
                        "by",
                        *DAYS,
                    )
                )
            )
        ):
            best = value
            break
        if party and after and after not in _PARTY_NOUN and not said.direct:
            continue
        if best is None and (said.direct or said.alone):
            best = value
    if best is None:
        return None
    return int(best) if slot.schema.get("type") != "number" or best == int(best) else best


def _choice(slot: Slot, said: Said) -> Any:
    options = slot.choices
    words = [stem(word) for word in said.words]
    found = [option for option in options if option is not None and _chosen(str(option), words)]
    if found:
        # The longest name wins: "extra large" over "large".
        return max(found, key=lambda option: len(str(option)))
    if said.direct:
        near = [
            (
                max(
                    (
                        akin(stem(word), one)
                        for word in tokens(str(option).replace("_", " "))
                        for one in words
                    ),
                    default=0.0,
                ),
                place,
            )
            for place, option in enumerate(options)
        ]
        score, place = max(near, default=(0.0, 0), key=lambda pair: (pair[0], -pair[1]))
        if score >= 0.7:
            return options[place]
    return None


def _chosen(option: str, words: list[str]) -> bool:
    wanted = [stem(word) for word in tokens(option.replace("_", " "))]
    return bool(wanted) and all(one in words for one in wanted)


_YES = re.compile(
    r"^(?:yes|yeah|yep|yup|sure|of course|definitely|absolutely|correct|right|i do|"
    r"please do|ok|okay|true)\b"
)
_NO = re.compile(r"^(?:no|nope|nah|not|i do not|negative|never|false)\b")


def _flag(slot: Slot, said: Said) -> Any:
    low = normal(said.text)
    if said.direct and _YES.match(low):
        return True
    if said.direct and _NO.match(low):
        return False
    named = [one for one in content(slot.label) if one]
    here = content(low)
    if named and all(any(akin(one, other) >= 0.7 for other in here) for one in named):
        return not re.search(r"\b(?:no|not|without)\b", low)
    return None


def _list(slot: Slot, said: Said) -> Any:
    if slot.choices:
        words = [stem(word) for word in said.words]
        found = [
            option for option in slot.choices if option is not None and _chosen(str(option), words)
        ]
        return found or None
    if slot.of in (kinds.THING, kinds.WHOLE):
        text = cleaned(said.text) if said.direct else thing_in(said)
        parts = [
            part.strip() for part in re.split(r",\s*(?:and )?|\s+and\s+", text) if part.strip()
        ]
        items = slot.schema.get("items")
        if parts and isinstance(items, dict) and isinstance(items.get("properties"), dict):
            return None
        return parts or None
    inner = Slot(
        slot.path, slot.of, slot.required, slot.schema.get("items") or {}, slot.description
    )
    value = value_of(inner, said)
    return None if value is None else [value]


_READERS: dict[str, Callable[[Slot, Said], Any]] = {
    kinds.DATE: _date,
    kinds.TIME: _time,
    kinds.MOMENT: _moment,
    kinds.COUNT: _count,
    kinds.PERSON: person,
    kinds.PHONE: phone,
    kinds.EMAIL: email,
    kinds.CODE: code,
    kinds.PLACE: place,
    kinds.ADDRESS: address,
    kinds.WHOLE: whole,
    kinds.THING: thing,
    kinds.CHOICE: _choice,
    kinds.FLAG: _flag,
    kinds.LIST: _list,
}
