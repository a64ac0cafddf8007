"""Values for a tool's parameters out of what a caller said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from runner.engine.brain import slots as kinds
from runner.engine.brain.lexicon import DAYS, MONTHS, STOP
from runner.engine.brain.slots import Slot
from runner.engine.brain.times import Day, Time, find_days, find_times, said_time
from runner.engine.brain.words import akin, content, normal, number_at, stem, tokens


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the caller, as a source of values. ``direct``: it answers a question for the slot.
    ``today`` is known when the prompt tells it; ``opens`` decides between am and pm."""

    text: str
    direct: bool = False
    today: date | None = None
    opens: int = 7 * 60
    generic: frozenset[str] = frozenset()  # stems of the tool itself: never a value
    alone: bool = False  # the tool has only one number

    @property
    def words(self) -> list[str]:
        return tokens(self.text)

    def days(self) -> list[Day]:
        return find_days(self.words)

    def times(self) -> list[Time]:
        return find_times(self.words, bare=self.direct)


_LEAD = re.compile(
    r"^(?:(?:um+|uh+|er+|oh|ah|well|so|ok|okay|yes|yeah|yep|sure|right|please|hi|hello|hey|thanks|thank you|great|perfect|alright|"
    r"it is|it's|that is|that's|that would be|that will be|it would be|make it|let us say|let's say|i think|i guess|maybe|probably|"
    r"i would like|i'd like|i want|i need|i will take|i'll take|i would prefer|i'd prefer|i will have|i'll have|give me|we would like|"
    r"actually|no|just|only|for|the one|how about|what about|say)[ ,.!]+)+",
    re.I,
)
_TAIL = re.compile(
    r"[ ,.!?]*\b(?:please|thanks|thank you|thank you very much|if possible|would be (?:great|good|fine|nice)|works?(?: for me)?|is fine)[.!]*$",
    re.I,
)


def cleaned(text: str) -> str:
    """An answer without the words around it."""
    before = None
    while before != text:
        before, text = text, _TAIL.sub("", _LEAD.sub("", text.strip())).strip(" .,!?;:")
    return text


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
            r"\b(?:any|soon|earliest|first|next) ?(?:day|available|possible|week|time|one|opening)?",
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
_PARTY_NOUN = frozenset("people persons person guests guest adults adult diners seats pax".split())


def _count(slot: Slot, said: Said) -> Any:
    words = said.words
    taken = {
        p
        for one in (*said.days(), *find_times(words, bare=False))
        for p in range(one.start, one.end)
    }
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
        if near or (party and (after in _PARTY_NOUN or (before in ("for", "of") and after in ("", "at", "on", "tomorrow", "tonight", "please", "today", "this", "next", "of", "and", "by", *DAYS)))):  # fmt: skip
            best = value
            break
        if party and after and after not in _PARTY_NOUN and not said.direct:
            continue
        if best is None and (said.direct or said.alone):
            best = value
    if best is None:
        return None
    return int(best) if slot.schema.get("type") != "number" or best == int(best) else best


_NAME_LEAD = re.compile(
    r"(?:\bmy (?:full |last |first )?name(?:'s| is)?|\bthe name(?:'s| is)?|\bname(?:'s| is| of)|\bunder(?: the name(?: of)?)?|\bcall me|"
    r"\b(?:it's|it is|this is|that's|that is) for|\bthis is|\bi am|\bi'm|\bim|\bon behalf of|\bfor(?: a)?(?= (?:mr|mrs|ms|dr|(?-i:[A-Z][a-z]+ [A-Z]))\b))[ :,]+((?:[^\W\d_][\w'’.-]*[ ]?){1,4})",
    re.I,
)
_NOT_A_NAME = STOP | frozenset(
    """calling looking trying wondering interested here there new fine good sorry sure afraid happy running late
    phone email number table today tomorrow tonight and the booking appointment reservation order my wife husband
    staying having allergic vegan vegetarian pregnant a an about am available back coming free done ready party two
    three four five six seven eight nine ten customer patient guest member
    problem issue question hungry sick ill""".split()
) | frozenset(DAYS) | frozenset(MONTHS)  # fmt: skip


def _person(slot: Slot, said: Said) -> Any:
    match = None
    for match in _NAME_LEAD.finditer(said.text):
        name = _name(match[1], said.text)
        if name:
            return _part_of_name(slot, name)
    if not said.direct:
        return None
    bare = re.sub(
        r"^(?:my (?:full |last |first )?name(?: is|'s)?|the name(?: is|'s)?|i am|i'm|this is|it is|it's|under)\s+",
        "",
        cleaned(said.text),
        flags=re.I,
    )
    bare = re.split(r"[,.]? (?:and my|my (?:phone|number|email)|spelled|that is|with an?)\b", bare)[
        0
    ].strip(" .,")
    if not bare or len(bare.split()) > 5 or re.search(r"\d", bare):
        return None
    return _part_of_name(slot, bare if bare != bare.lower() else bare.title())


def _name(words: str, text: str) -> str:
    cased = text != text.lower()
    kept: list[str] = []
    for word in words.split():
        if (
            word.lower().strip(".,") in _NOT_A_NAME
            or (cased and not word[0].isupper())
            or word.lower().endswith("ing")
        ):
            break
        kept.append(word.strip(",."))
        if word.endswith((",", ".")) and len(word) > 3:
            break
    kept = kept[:3]
    return " ".join(word if word != word.lower() else word.title() for word in kept)


def _part_of_name(slot: Slot, name: str) -> str:
    if re.search(r"first|given", slot.label):
        return name.split()[0]
    if re.search(r"last|family|surname", slot.label):
        return name.split()[-1]
    return name


_DIGIT = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine".split())
}
_DIGIT |= {"oh": "0", "o": "0", "for": "4", "to": "2", "too": "2", "ate": "8", "won": "1"}


def digit_runs(words: list[str]) -> list[str]:
    """Runs of digits said one by one or in groups: 'five five five, one two' -> ['55512']."""
    runs: list[str] = []
    run, times, started = "", 1, False
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else ""
        if word in ("double", "triple") and following in _DIGIT:
            times = 2 if word == "double" else 3
            continue
        plain = word.replace(".", "").replace(",", "")
        homophone = word in ("for", "to", "too", "ate", "won", "o")
        if plain.isdecimal() and plain.isascii():
            run, started = run + plain, True
        elif word in _DIGIT and (
            not homophone or (started and following in _DIGIT and following not in ("the", "a"))
        ):
            run, started = run + _DIGIT[word] * times, True
        elif started and (two := number_at([word], 0)):
            run += str(two[0])
        else:
            if run:
                runs.append(run)
            run, started = "", False
        times = 1
    return [*runs, run] if run else runs


def _phone(slot: Slot, said: Said) -> Any:
    runs = [run for run in digit_runs(said.words) if len(run) >= (5 if said.direct else 7)]
    if not runs:
        return None
    longest = max(runs, key=len)
    return f"+{longest}" if re.search(r"\+\s?\d|\bplus\b", said.text) else longest


def _email(slot: Slot, said: Said) -> Any:
    literal = re.search(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", said.text)
    if literal:
        return literal[0]
    low = re.sub(r"\s+", " ", said.text.lower().replace(",", " ").strip(" .?!"))
    spoken = re.search(
        r"((?:[\w-]+ (?:dot|underscore|dash|hyphen) )*[\w.-]+) at ((?:[\w-]+ ?(?:dot|\.) ?)+[a-z]{2,})\b",
        low,
    )
    if not spoken:
        return None
    local = re.sub(
        r" ?(dot|underscore|dash|hyphen) ?",
        lambda m: {"dot": ".", "underscore": "_"}.get(m[1], "-"),
        spoken[1],
    )
    domain = re.sub(r" ?(?:dot|\.) ?", ".", spoken[2])
    return f"{local}@{domain}"


def _code(slot: Slot, said: Said) -> Any:
    mixed = re.search(
        r"(?<![\w$€£])#?([A-Za-z]{1,5}-?\d[\w-]*|\d+[A-Za-z][\w-]*|\d{3,}[\w-]*)\b", said.text
    )
    if mixed and not re.fullmatch(r"\d{1,2}(?:am|pm|st|nd|rd|th)", mixed[1], re.I):
        rest = digit_runs(tokens(said.text[mixed.start(1) :]))
        if mixed[1].isdecimal() and rest and rest[0].startswith(mixed[1]):
            return rest[0]
        return mixed[1]
    runs = [run for run in digit_runs(said.words) if len(run) >= (1 if said.direct else 3)]
    letters = re.search(
        r"\b((?:[a-z] )+)(?=\d|(?:%s)\b)" % "|".join(_DIGIT), normal(said.text) + " "
    )
    if runs:
        head = (
            letters[1].replace(" ", "").upper()
            if letters and not letters[1].endswith(("a ", "i ")) or (letters and said.direct)
            else ""
        )
        return head + max(runs, key=len)
    if said.direct:
        bare = cleaned(said.text)
        spelled = all(len(word) == 1 for word in bare.split())
        return (
            bare.replace(" ", "").upper()
            if bare and spelled
            else bare
            if len(bare.split()) == 1 and bare
            else None
        )
    return None


_STOPPED = r"(?=\s+(?:today|tomorrow|tonight|on|at|right now|now|please|this|next|for|is|are|and|to|from|with|like|by|near|the|in|that|who|my)\b|[?.!,;]|$)"


def _place(slot: Slot, said: Said) -> Any:
    wanted = r"in|at|for|near|around|of|to|from"
    if re.search(r"origin|from|depart|pickup", slot.label):
        wanted = "from"
    elif re.search(r"dest|\bto\b|drop", slot.label):
        wanted = "to|for|into"
    text = _undated(said)
    for match in re.finditer(
        rf"\b(?:{wanted})\s+([^\W\d_][\w'’.-]*(?:\s+[^\W\d_][\w'’.-]*){{0,3}}?){_STOPPED}",
        text,
        re.I,
    ):
        place = match[1].strip()
        words = [word for word in place.split() if word.lower() not in ("the", "city", "of")]
        if words and words[0].lower() not in STOP and not said.generic & {stem(words[0].lower())}:
            return _titled(" ".join(words))
    if said.direct:
        bare = cleaned(text)
        return (
            _titled(re.sub(r"^(?:in|at|to|from|near|the)\s+", "", bare, flags=re.I))
            if 0 < len(bare.split()) <= 5
            else None
        )
    return None


def _titled(text: str) -> str:
    return text if text != text.lower() else text.title()


def _undated(said: Said) -> str:
    """The text without the days and times in it, if it can be matched word by word."""
    text = re.sub(r"['’]s\b", " is", said.text)
    for one in (*said.days(), *find_times(said.words)):
        words = said.words[one.start : one.end]
        text = re.sub(
            r"(?:\b(?:on|at|by|for|around|from)\s+)?\b"
            + r"[\s,:-]*".join(map(re.escape, words))
            + r"\b",
            " ",
            text,
            count=1,
            flags=re.I,
        )
    return re.sub(r"\s+", " ", text).strip()


def _address(slot: Slot, said: Said) -> Any:
    match = re.search(
        r"(\d+[a-z]?\s+(?:[\w'’.-]+\s+){0,4}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|way|place|court|square|terrace)\b"
        r"(?:,?\s+(?:apartment|apt|unit|flat|suite|floor)\s+\w+)?)",
        said.text,
        re.I,
    )
    if match:
        return match[1]
    return cleaned(said.text) or None if said.direct else None


_ABOUT = re.compile(
    r"\b(?:about|regarding|concerning|because(?: of)?|search for|look up|looking for|find(?: me)?|saying|that says|to say|tell (?:him|her|them)(?: that)?)\s+(.+)$",
    re.I,
)


def _whole(slot: Slot, said: Said) -> Any:
    if said.direct:
        return cleaned(said.text) or None
    match = _ABOUT.search(said.text)
    if match and cleaned(match[1]):
        return cleaned(match[1])
    if slot.required and re.search(
        r"query|question|search|text|request|topic|prompt|issue|problem|complaint|symptom|feedback|descri|detail",
        slot.label,
    ):
        bare = cleaned(said.text)
        left = [one for one in content(bare) if one not in said.generic]
        return bare if left else None
    return None


_REQUEST = re.compile(
    r"^(?:.*?\b)?(?:i would like|i'd like|i want|i need|i have|we would like|we'd like|we want|we need|can i|could i|can we|could we|may i|can you|could you|"
    r"would you|i am looking|i'm looking|i will have|i'll have|let me|please)\b\s*",
    re.I,
)
_VERB = re.compile(
    r"^(?:(?:to|for|please|have|get|order|book|make|schedule|reserve|arrange|cancel|buy|find|check|see|add|do|take|give|bring|send|"
    r"me|us|know|tell|show|look up|up|whether|if|you|is|are|what|the|a|an|some|my|our|another|there|of|i|it|put|turn|set|play|start|stop|"
    r"how much|how many|change|move|track|remove|delete)\b\s*)+",
    re.I,
)


def thing_in(said: Said) -> str:
    """The noun phrase that a request is about: 'two large pizzas' of 'can I get two large pizzas'."""
    text = _undated(said)
    text = _TAIL.sub("", text).strip(" .,!?")
    text = _REQUEST.sub("", text, count=1)
    text = _VERB.sub("", text.strip())
    text = re.split(
        r"\s+(?:for|on|at|to|from|with|in|please|under|by|because|and my|my name|is|are)\b|[?.!,;]",
        text,
    )[0]
    words = [word for word in text.split() if word.strip()]
    if not words or len(words) > 7:
        return ""
    meaning = [one for one in content(text) if one not in said.generic]
    return " ".join(words) if meaning else ""


def _thing(slot: Slot, said: Said) -> Any:
    if said.direct:
        bare = re.sub(r"^(?:a|an|the|some|my)\s+", "", cleaned(said.text), flags=re.I)
        return bare or None
    named = re.search(
        rf"\b{re.escape(slot.label)}\s+(?:is |of |called |named )?([\w'’-]+(?: [A-Z][\w'’-]+)*)",
        said.text,
        re.I,
    )
    if named and named[1].lower() not in STOP:
        return named[1]
    if re.search(r"service|treatment|procedure|purpose|work|type|kind", slot.label):
        purpose = re.search(
            r"\bfor (?:a|an|my|some|the)\s+([\w'’-]+(?:\s[\w'’-]+){0,3}?)(?=\s+(?:on|at|for|tomorrow|today|next|this|please|with|by)\b|[?.!,]|$)",
            said.text,
            re.I,
        )
        if (
            purpose
            and [one for one in content(purpose[1]) if one not in said.generic]
            and not find_days(tokens(purpose[1]))
        ):
            return purpose[1].strip()
    if not slot.required and slot.label not in content_words(said.text):
        return None
    return thing_in(said) or None


def content_words(text: str) -> list[str]:
    return tokens(text)


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
    r"^(?:yes|yeah|yep|yup|sure|of course|definitely|absolutely|correct|right|i do|please do|ok|okay|true)\b"
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
    kinds.DATE: _date, kinds.TIME: _time, kinds.MOMENT: _moment, kinds.COUNT: _count,
    kinds.PERSON: _person, kinds.PHONE: _phone, kinds.EMAIL: _email, kinds.CODE: _code,
    kinds.PLACE: _place, kinds.ADDRESS: _address, kinds.WHOLE: _whole, kinds.THING: _thing,
    kinds.CHOICE: _choice, kinds.FLAG: _flag, kinds.LIST: _list,
}  # fmt: skip
