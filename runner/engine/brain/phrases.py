"""Values that are words: names, numbers to call, codes, places, and what a request is about."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from runner.engine.brain.lexicon import DAYS, MONTHS, STOP, bag, row
from runner.engine.brain.said import Said, cleaned, titled, undated, without_tail
from runner.engine.brain.slots import Slot
from runner.engine.brain.times import find_days
from runner.engine.brain.words import content, normal, number_at, stem, tokens

_NAME_LEAD = re.compile(
    r"(?:\bmy (?:full |last |first )?name(?:'s| is)?|\bthe name(?:'s| is)?|\bname(?:'s|"
    r" is| of)|\bunder(?: the name(?: of)?)?|\bcall me|"
    r"\b(?:it's|it is|this is|that's|that is) for|\bthis is|\bi am|\bi'm|\bim|"
    r"\bon behalf of|\bfor(?: a)?(?= (?:mr|mrs|ms|dr|"
    r"(?-i:[A-Z][a-z]+ [A-Z]))\b))[ :,]+((?:[^\W\d_][\w'’.-]*[ ]?){1,4})",
    re.I,
)
_NOT_A_NAME = (
    STOP
    | bag(
        """
    calling looking trying wondering interested here there new fine good sorry sure afraid
    happy running late phone email number table today tomorrow tonight and the booking
    appointment reservation order my wife husband staying having allergic vegan vegetarian
    pregnant a an about am available back coming free done ready party two three four five
    six seven eight nine ten customer patient guest member problem issue question hungry
    sick ill
    """
    )
    | frozenset(DAYS)
    | frozenset(MONTHS)
)


def person(slot: Slot, said: Said) -> Any:
    match = None
    for match in _NAME_LEAD.finditer(said.text):
        name = _name(match[1], said.text)
        if name:
            return _part_of_name(slot, name)
    if not said.direct:
        return None
    bare = re.sub(
        r"^(?:my (?:full |last |first )?name(?: is|'s)?|the name(?: is|'s)?|i am|i'm|this is|"
        r"it is|it's|under)\s+",
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
    for number, word in enumerate(row("zero one two three four five six seven eight nine"))
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


def phone(slot: Slot, said: Said) -> Any:
    runs = [run for run in digit_runs(said.words) if len(run) >= (5 if said.direct else 7)]
    if not runs:
        return None
    longest = max(runs, key=len)
    return f"+{longest}" if re.search(r"\+\s?\d|\bplus\b", said.text) else longest


def email(slot: Slot, said: Said) -> Any:
    literal = re.search(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", said.text)
    if literal:
        return literal[0]
    low = re.sub(r"\s+", " ", said.text.lower().replace(",", " ").strip(" .?!"))
    spoken = re.search(
        r"((?:[\w-]+ (?:dot|underscore|dash|hyphen) )*[\w.-]+) at ((?:[\w-]+ ?(?:dot|"
        r"\.) ?)+[a-z]{2,})\b",
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


def code(slot: Slot, said: Said) -> Any:
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
        r"\b((?:[a-z] )+)(?=\d|(?:{})\b)".format("|".join(_DIGIT)), normal(said.text) + " "
    )
    if runs:
        head = (
            letters[1].replace(" ", "").upper()
            if (letters and not letters[1].endswith(("a ", "i "))) or (letters and said.direct)
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


_STOPPED = (
    r"(?=\s+(?:today|tomorrow|tonight|on|at|right now|now|please|this|next|for|is|are|and|"
    r"to|from|with|like|by|near|the|in|that|who|my)\b|[?.!,;]|$)"
)


def place(slot: Slot, said: Said) -> Any:
    wanted = r"in|at|for|near|around|of|to|from"
    if re.search(r"origin|from|depart|pickup", slot.label):
        wanted = "from"
    elif re.search(r"dest|\bto\b|drop", slot.label):
        wanted = "to|for|into"
    text = undated(said)
    for match in re.finditer(
        rf"\b(?:{wanted})\s+([^\W\d_][\w'’.-]*(?:\s+[^\W\d_][\w'’.-]*){{0,3}}?){_STOPPED}",
        text,
        re.I,
    ):
        place = match[1].strip()
        words = [word for word in place.split() if word.lower() not in ("the", "city", "of")]
        if words and words[0].lower() not in STOP and not said.generic & {stem(words[0].lower())}:
            return titled(" ".join(words))
    if said.direct:
        bare = cleaned(text)
        return (
            titled(re.sub(r"^(?:in|at|to|from|near|the)\s+", "", bare, flags=re.I))
            if 0 < len(bare.split()) <= 5
            else None
        )
    return None


def address(slot: Slot, said: Said) -> Any:
    match = re.search(
        r"(\d+[a-z]?\s+(?:[\w'’.-]+\s+){0,4}(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|"
        r"boulevard|blvd|way|place|court|square|terrace)\b"
        r"(?:,?\s+(?:apartment|apt|unit|flat|suite|floor)\s+\w+)?)",
        said.text,
        re.I,
    )
    if match:
        return match[1]
    return cleaned(said.text) or None if said.direct else None


_ABOUT = re.compile(
    r"\b(?:about|regarding|concerning|because(?: of)?|search for|look up|looking for|"
    r"find(?: me)?|saying|that says|to say|tell (?:him|her|them)(?: that)?)\s+(.+)$",
    re.I,
)


def whole(slot: Slot, said: Said) -> Any:
    if said.direct:
        return cleaned(said.text) or None
    match = _ABOUT.search(said.text)
    if match and cleaned(match[1]):
        return cleaned(match[1])
    if slot.label in ("query", "search", "title", "keywords"):
        sought = re.sub(
            r"^(?:do you have|have you got|is there|are there)\b\s*", "", said.text, flags=re.I
        )
        sought = thing_in(replace(said, text=sought))
        if sought:
            return sought
    if slot.required and re.search(
        r"query|question|search|text|request|topic|prompt|issue|problem|complaint|symptom|"
        r"feedback|descri|detail",
        slot.label,
    ):
        bare = cleaned(said.text)
        left = [one for one in content(bare) if one not in said.generic]
        return bare if left else None
    return None


_REQUEST = re.compile(
    r"^(?:.*?\b)?(?:i would like|i'd like|i want|i need|i have|we would like|we'd like|"
    r"we want|we need|can i|could i|can we|could we|may i|can you|could you|"
    r"would you|i am looking|i'm looking|i will have|i'll have|let me|please)\b\s*",
    re.I,
)
_VERB = re.compile(
    r"^(?:(?:to|for|please|have|get|order|book|make|schedule|reserve|arrange|cancel|buy|"
    r"find|check|see|add|do|take|give|bring|send|"
    r"me|us|know|tell|show|look up|up|whether|if|you|is|are|what|the|a|an|some|my|our|"
    r"another|there|of|i|it|put|turn|set|play|start|stop|"
    r"how much|how many|change|move|track|remove|delete)\b\s*)+",
    re.I,
)


def thing_in(said: Said) -> str:
    """What a request is about: 'two large pizzas' of 'can I get two large pizzas'."""
    text = undated(said)
    text = without_tail(text)
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


def thing(slot: Slot, said: Said) -> Any:
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
            r"\bfor (?:a|an|my|some|the)\s+([\w'’-]+(?:\s[\w'’-]+){0,3}?)(?=\s+(?:on|at|for|"
            r"tomorrow|today|next|this|please|with|by)\b|[?.!,]|$)",
            said.text,
            re.I,
        )
        if (
            purpose
            and [one for one in content(purpose[1]) if one not in said.generic]
            and not find_days(tokens(purpose[1]))
        ):
            return purpose[1].strip()
    if not slot.required and slot.label not in tokens(said.text):
        return None
    return thing_in(said) or None
