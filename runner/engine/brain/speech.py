"""From the words of a prompt to words for an ear: no markup, times as they are said, "we"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from runner.engine.brain.lexicon import DAYS, bag
from runner.engine.brain.times import said_time

_DAY_NAME = "|".join(day.title() for day in DAYS)
_SHORT_DAYS = {day[:3].title(): day.title() for day in DAYS}
_SHORT_DAYS |= {"Tues": "Tuesday", "Weds": "Wednesday", "Thur": "Thursday", "Thurs": "Thursday"}
_SHORT_DAY = re.compile(rf"\b({'|'.join(sorted(_SHORT_DAYS, key=len, reverse=True))})\b\.?(?!\w)")
_DAY_PLACE = {day[:3]: place for place, day in enumerate(DAYS)}
# Small letters are a day only beside another one or before a time: "sat" and "sun" are words too.
_SMALL_DAY = re.compile(
    r"\b(mon|tues?|weds?|thu(?:rs?)?|fri|sat|sun)\b(?=\s*[-–]\s*(?:mon|tue|wed|thu|fri|"
    r"sat|sun)|\.?:?\s+\d)"
    r"|(?<=[-–])(?:mon|tues?|weds?|thu(?:rs?)?|fri|sat|sun)\b(?=\s)"
)
_DAY_STARTS = frozenset(day[:3] for day in DAYS)
_DASH = r"\s*(?:-|–|—)\s*"
_CLOCK = r"(\d{1,2})(?:[:.](\d{2}))?\s*(?:h\b|([ap])\.?\s?m\b\.?)?"
_RANGE = re.compile(
    rf"(?<![\w$€£.:-]){_CLOCK}(?:{_DASH}|\s+(?:to|until|till)\s+){_CLOCK}(?![\w:%-])"
)
_SINGLE = re.compile(r"(?<![\w$€£.:-])(\d{1,2}):(\d{2})(?!\d)(?:\s*(?:h\b|([ap])\.?\s?m\b\.?))?")
_HALF = re.compile(r"\b(\d{1,2})\s?([AaPp])\.?\s?[Mm]\b\.?(?=\s+[a-z]|[,;)]|\s+[A-Z]|$|\s*[-–])")
_ABBREVIATED = (
    "dr",
    "st",
    "mr",
    "mrs",
    "ms",
    "ave",
    "rd",
    "blvd",
    "no",
    "vs",
    "approx",
    "e.g",
    "i.e",
    "etc",
    "inc",
    "co",
    "ltd",
    "jr",
    "sr",
    "apt",
    "ste",
    "prof",
    "hwy",
    "ft",
)
_WRITTEN: tuple[tuple[str, str], ...] = (
    (r"!\[[^\]]*\]\([^)]*\)", ""),
    (r"\[([^\]]+)\]\([^)]*\)", r"\1"),
    (r"https?://(?:www\.)?", ""),
    (r"<[^<>]{1,40}>", ""),
    (r"\*\*|__|~~|`+|(?<!\w)[*_](?=\w)|(?<=[\w.!?])[*_](?!\w)", ""),
    (r"^\s*[>#|]+\s*", ""),
    (r"\b24\s?/\s?7\b", "24 hours a day, 7 days a week"),
    (r"\s&\s", " and "),
    (r"\be\.g\.,?", "for example"),
    (r"\bi\.e\.,?", "that is"),
    (r"\betc\.?(?=$|[\s,)])", "and so on"),
    (r"\bapprox\.", "about"),
    (r"(?<!\w)~\s?(?=\d)", "about "),
    (r"\bw/(?=\s|\w)", "with "),
    (r"\bmins?\b\.?(?=$|[\s,;)])", "minutes"),
    (r"\bhrs?\b\.?(?=$|[\s,;)])", "hours"),
    (r"\b[Aa]ppts?\b\.?", "appointment"),
    (r"(?<=[$€£\d])\s?/\s?(hour|night|person|month|year|week|day|user|seat)\b", r" per \1"),
    (r"\bWi-?[Ff]i\b", "wifi"),
)
_PATTERNS = tuple((re.compile(pattern, re.M), to) for pattern, to in _WRITTEN)
_EMAIL = re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)\b")
_DOMAIN = re.compile(
    r"\b((?:[a-z0-9-]+\.)+(?:com|org|net|io|co|example|dev|app|us|uk|de|eu|info))\b"
)


def sentences(text: str) -> list[str]:
    """Cut at sentence ends; 'Dr. Lee', '9 a.m. to 5', 'St. Mary' and '$9.50' stay whole."""
    found: list[str] = []
    start = 0
    for end in re.finditer(r"[.!?]+[\"')\]”]*(?=\s|$)", text):
        word = text[start : end.start()].rsplit(None, 1)[-1:] or [""]
        last = word[0].lower().strip("(\"'")
        following = text[end.end() :].lstrip()
        if end[0][0] == ".":
            if last in _ABBREVIATED and following:
                continue
            if (
                last in ("a.m", "p.m")
                or (len(last) == 1 and last.isalpha() and last != "i")
                or (last[:3] in _DAY_STARTS and len(last) < 6)
            ) and (following[:1].islower() or following[:1].isdigit()):
                continue
            if last.isdigit() and len(last) < 3 and not text[start : end.start()].strip(last + " "):
                continue  # the number of a list item
        piece = text[start : end.end()].strip()
        if piece:
            found.append(piece)
        start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


@lru_cache(maxsize=4096)
def spoken(text: str, day_clock: bool | None = None) -> str:
    """``text`` without markup and with times, days and ranges as one says them.

    ``day_clock``: times are on the 24-hour clock; None finds out from the text.
    """
    for pattern, to in _PATTERNS:
        text = pattern.sub(to, text)
    text = _SMALL_DAY.sub(lambda m: DAYS[_DAY_PLACE[m[0][:3]]].title(), text)
    text = _SHORT_DAY.sub(lambda m: _SHORT_DAYS[m[1]], text)
    text = re.sub(rf"\b({_DAY_NAME})(s?){_DASH}({_DAY_NAME})\b", r"\1\2 to \3", text)
    text = re.sub(
        rf"(\d\s?(?:[ap]\.?m\.?)?){_DASH}(noon|midnight)\b", r"\1 to \2", text, flags=re.I
    )
    full = on_day_clock(text) if day_clock is None else day_clock
    text = _RANGE.sub(lambda m: _said_range(m, full), text)
    text = _SINGLE.sub(lambda m: _said_single(m, full), text)
    text = _HALF.sub(lambda m: f"{m[1]} {m[2].lower()}m", text)
    text = re.sub(r"([$€£])(\d[\d.,]*)\s?(?:-|–|—)\s?[$€£]?(\d)", r"\1\2 to \1\3", text)
    text = re.sub(r"(?<![\d-])(\d{1,4})\s?[–-]\s?(\d{1,4})(?=\s+[a-z]|%)", r"\1 to \2", text)
    text = re.sub(r"\s+[–—-]{1,2}\s+|—", ", ", text)
    text = re.sub(r"\s*\(([$€£]\d[\d.,]*)\)", r" for \1", text)
    text = re.sub(r"\s*\(([^()]*)\)\s*([.,;:]?)", _unbracketed, text)
    text = re.sub(r"\+(\d)[ .-]?(\d{3})[ .-]?(\d{3})[ .-]?(\d{4})\b", r"+\1 \2-\3-\4", text)
    text = _EMAIL.sub(lambda m: f"{m[1].replace('.', ' dot ')} at {_dotted(m[2])}", text)
    text = _DOMAIN.sub(lambda m: _dotted(m[1]), text)
    text = re.sub(r"\s+([.,;:!?])", r"\1", re.sub(r"\s+", " ", text))
    return re.sub(r",(?=[.,;:!?])", "", text).strip()


def on_day_clock(text: str) -> bool:
    """Whether the clock times of ``text`` are written on the 24-hour clock."""
    if re.search(r"\d\s?[ap]\.?m\b", text, re.I):
        return False
    hours = [int(hour) for hour in re.findall(r"(?<![\d$€£.:])([012]?\d):\d\d\b", text)]
    ends = [int(hour) for hour in re.findall(r"[-–—]\s*([12]\d)(?![\d:$%])", text)]
    return bool(re.search(r"\b0\d:\d\d\b", text)) or any(12 < hour < 24 for hour in [*hours, *ends])


def _unbracketed(match: re.Match[str]) -> str:
    inner, mark = match[1].strip(" ."), match[2]
    if not inner:
        return f"{mark} " if mark else " "
    return f", {inner}{mark} " if mark else f", {inner}, "


def _minutes(hour: str, minute: str | None, half: str | None) -> int | None:
    value, past = int(hour), int(minute or 0)
    if value > 24 or past > 59 or (half and not 0 < value < 13):
        return None
    if half:
        value = value % 12 + (12 if half.lower() == "p" else 0)
    return value * 60 + past


def _said(hour: str, minute: str | None) -> str:
    return f"{int(hour)}:{minute}" if minute and minute != "00" else f"{int(hour)}"


def _said_range(match: re.Match[str], full: bool) -> str:
    hour, minute, half, to_hour, to_minute, to_half = match.groups()
    start = _minutes(hour, minute, half)
    end = _minutes(to_hour, to_minute, to_half)
    before = match.string[max(0, match.start() - 24) : match.start()]
    after = match.string[match.end() : match.end() + 12]
    timely = minute or half or to_minute or to_half
    if not timely and (
        not re.search(
            rf"(?:{_DAY_NAME})s?[,:]?\s*(?:from|,)?\s*$|(?:open|hours|from|to|and|days?|weekends?)"
            r"[:,]?\s*(?:from)?\s*$|\d[,;&]?\s*(?:and)?\s*$",
            before,
            re.I,
        )
        or re.match(r"\s*(?:minutes|days|weeks|hours|people|guests|years|%|months)", after)
    ):
        return match[0]
    if start is None or end is None:
        return match[0]
    if half or to_half:
        if to_half and not half and _minutes(hour, minute, to_half) is not None:
            start = _minutes(hour, minute, to_half) or 0
            if start >= end:  # "9-5pm" starts in the morning
                start = (start + 720) % 1440
        if half and not to_half:
            end = end if end > start else end + 720
        return f"{said_time(start)} to {said_time(end)}"
    if full or int(to_hour) > 12:  # 9-18 says by itself which clock it means
        return f"{said_time(start)} to {said_time(end)}"
    return f"{_said(hour, minute)} to {_said(to_hour, to_minute)}"


def _said_single(match: re.Match[str], full: bool) -> str:
    minutes = _minutes(match[1], match[2], match[3])
    if minutes is None:
        return match[0]
    return said_time(minutes) if full or match[3] else _said(match[1], match[2])


def _dotted(domain: str) -> str:
    return domain.replace(".", " dot ")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(text: str) -> str:
    """A capital in front, a mark at the end."""
    text = text.strip(" ,;:-")
    return capital(text) if text.endswith((".", "!", "?")) or not text else capital(text) + "."


def lower_first(text: str) -> str:
    """For the middle of a sentence; names, abbreviations and 'I' keep their capital."""
    first = text.split(None, 1)[0] if text.split() else ""
    if first[1:].lower() != first[1:] or first.rstrip("'m,.") == "I" or first.endswith("'s"):
        return text
    known = first.strip(".,:").lower()
    if known in COMMON_FIRST or known.endswith(("ing", "ly")):
        return text[:1].lower() + text[1:]
    return text


COMMON_FIRST = bag(
    """
    a an the we our you your it its they there this that these those i in on at by for
    from with and or but if when yes no not all any each every free open closed both most
    some please hello cash card cards parking opening new walk breakfast delivery pickup
    check late early children pets smoking
    """
)

_PLURAL = {
    "is": "are",
    "was": "were",
    "has": "have",
    "does": "do",
    "isn't": "aren't",
    "hasn't": "haven't",
    "doesn't": "don't",
    "wasn't": "weren't",
}
_KIND = (
    "clinic|practice|office|shop|store|restaurant|hotel|salon|company|business|gym|library|school|"
    "bakery|cafe|café|pizzeria|bar|garage|agency|studio|team|centre|center|firm|spa|pharmacy|inn|"
    "hostel|museum|theatre|theater|cinema|club|laundry|bookstore|bookshop|market|dealership|"
    "surgery|front desk|support team|reception|service desk|help desk|kitchen team|house"
)


def verb_for_we(verb: str) -> str:
    """'opens' -> 'open', 'is' -> 'are', 'carries' -> 'carry'; others as they are."""
    if verb in _PLURAL:
        return _PLURAL[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith(("sses", "shes", "ches", "xes", "zes", "goes")):
        return verb[:-2]
    return verb[:-1] if verb.endswith("s") and not verb.endswith("ss") else verb


def as_we(text: str, names: Sequence[str] = ()) -> str:
    """A statement about the business as the business says it: 'The clinic opens' -> 'We open'."""
    named = "|".join(re.escape(name) for name in names if name)
    subject = rf"(?:(?:[Tt]he|[Tt]his|[Oo]ur) (?:{_KIND})|(?:[Tt]he )?(?:{named}))"
    if not named:
        subject = rf"(?:[Tt]he|[Tt]his|[Oo]ur) (?:{_KIND})"
    verb = r"(?:(also|only|always|usually|currently|never|still|now|just) )?([a-z]+(?:n't)?)\b"
    start = re.compile(
        rf"(^|[,;] (?:and |but |so |because )?|\b(?:and|but|that) )({subject}) {verb}"
    )

    def replaced(match: re.Match[str]) -> str:
        adverb = f"{match[3]} " if match[3] else ""
        return f"{match[1]}{'We' if not match[1] else 'we'} {adverb}{verb_for_we(match[4])}"

    # Further inside, only with a verb that cannot be part of a name and no preposition in front.
    inner = re.compile(
        rf"(?<!\bof)(?<!\bat)(?<!\bin)(?<!\bto)(?<!\bby)(?<!\bfrom)(?<!\bfor)(?<!\bnear)()\s("
        rf"{subject})"
        r" (?:(also|only|always|usually|never) )?(is|has|opens|closes|offers|accepts|serves|takes"
        r"|charges|does|delivers|provides|can|will|must|allows|ships)\b"
    )
    ours = start.sub(replaced, text)
    ours = inner.sub(lambda m: f" we {m[3] + ' ' if m[3] else ''}{verb_for_we(m[4])}", ours)
    ours = re.sub(rf"\b(?:the|this) (?:{_KIND})'s\b", "our", ours)
    if named:
        ours = re.sub(
            rf"^(?:{named})(?:'s|')? (?=(?:opening |office |business )?hours\b"
            r"|address\b|phone\b|website\b)",
            "Our ",
            ours,
        )
    if ours != text and re.match(r"We\b", ours):
        # The rest of the sentence speaks of the same subject.
        ours = re.sub(r"\bits\b", "our", ours)
        ours = re.sub(
            r"( and| but|,) (is|has|opens|closes|offers|accepts|serves|takes|charges|does"
            r"|delivers|provides|sells|ships|runs|welcomes|speaks|allows) ",
            lambda m: f"{m[1]} {verb_for_we(m[2])} ",
            ours,
        )
    return re.sub(
        r"\b(?:at|in) (?:the|our) (?:clinic|practice|office|shop|store|restaurant)'s\b",
        "at our",
        ours,
    )


_TO_CALLER: tuple[tuple[str, str], ...] = (
    # What the prompt says to the agent becomes the agent's own: marked first, so that the caller's
    # "you" that comes after it is not turned over again.
    (r"\byou are\b", "\0I am"),
    (r"\byou're\b", "\0I'm"),
    (r"\byourself\b", "\0myself"),
    (r"\byour\b", "\0our"),
    (r"\b(to|for|with|from|by) you\b", "\\1 \0me"),
    (r"\byou\b", "\0I"),
    (r"\b(?:the |that |this )?(?:caller|customer|user|guest|patient|client|person)'s\b", "your"),
    (r"\b(?:callers'|customers'|users'|guests'|patients'|clients'|his or her|their)\b", "your"),
    (
        r"\b(?:the |that |this )?(?:caller|customer|user|guest|patient|client) (?:is|was)\b",
        "you are",
    ),
    (r"\b(?:the |that |this )?(?:caller|customer|user|guest|patient|client) (?:has)\b", "you have"),
    (
        r"\bthe (?:caller|customer|user|guest|patient|client) (need|want|like|pay|get|ask|call)s\b",
        r"you \1",
    ),
    (r"\b(?:the |a )?(?:caller|customer|user|guest|patient|client)s?\b", "you"),
    (r"\bthemsel(?:ves|f)\b", "yourself"),
    # "we start them in May": of a thing with these verbs, of the caller with any other.
    (
        r"(?<!start )(?<!offer )(?<!have )(?<!sell )(?<!do )(?<!make )(?<!carry )"
        r"(?<!stock )(?<!provide )(?<!accept )(?<!take )(?<!hold )(?<!allow )(?<!serve )\bthem\b",
        "you",
    ),
    (r"\b(?:they|he or she|him or her)\b", "you"),
    (r"\btheirs\b", "yours"),
)
_CALLER = tuple((re.compile(pattern, re.I), to) for pattern, to in _TO_CALLER)


def to_caller(text: str) -> str:
    """What a rule says of 'the caller' (or 'they') and of 'you', turned to the caller's ear."""
    for pattern, to in _CALLER:
        text = pattern.sub(to, text)
    return text.replace("\0", "")
