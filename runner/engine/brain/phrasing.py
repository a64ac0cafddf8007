"""Facts of a prompt as sentences that the business itself would say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.engine.brain.lexicon import bag
from runner.engine.brain.speech import as_we, capital, lower_first, sentence, spoken
from runner.engine.brain.times import weekday_of

_FINITE = re.compile(
    r"\b(?:is|are|was|were|isn't|aren't|has|have|can|can't|cannot|may|must|will|won't|do|"
    r"does|don't|"
    r"doesn't|offers?|opens?|closes?|costs?|takes?|accepts?|starts?|begins?|ends?|includes?|"
    r"requires?|serves?|needs?|charges?|runs?|gets?|comes?|goes|delivers?|provides?|sells?|speaks?|"
    r"allows?|apply|applies|arrives?|covers?|ships?|lasts?|lies|leaves?|works?|earns?|expires?|"
    r"receives?|pays?|book|contact|call|bring|please|use|park|email|visit|there's|it's|we're|"
    r"depends?|varies|vary|stays?|sits?|stands?|holds?|welcomes?|recommends?|sees?|treats?|"
    r"contains?|feeds?|replaces?|lets?|makes?|helps?|supports?|stores?|travels?|flies|fly|eats?|enters?|should|would|know)\b",
    re.I,
)
_MONEY = (
    r"(?:from |about |around |up to |only )?(?:[$€£]\s?\d|\d[\d.,]*\s?(?:dollars|euros|"
    r"pounds|USD|EUR)\b|free\b)"
)
_PRICED = re.compile(rf"^(.{{2,60}}?)\s*(?:[,:=–-]|\bat\b|\bfor\b)?\s*\(?({_MONEY}.*?)\)?$", re.I)
_HOUR_WORDS = bag(
    "hours hour open opening times time business office working store shop clinic restaurant "
    "reception schedule visiting operation of our we are desk"
)


def has_verb(text: str) -> bool:
    return bool(_FINITE.search(text))


def is_plural(noun: str) -> bool:
    last = noun.split()[-1].lower() if noun.split() else ""
    return last.endswith("s") and not last.endswith(("ss", "us", "is", "address"))


def price_items(value: str) -> list[str]:
    """The single offers of 'cleaning $80, whitening $250'; [] when it is not such a list."""
    cut = re.split(
        r",\s+(?:and )?|;\s+|\s+and\s+(?=(?:an? |the )?[\w-]+(?: [\w-]+){0,2} (?:is |are |"
        r"costs? |for |at )?(?:[$€£]|\d+ dollars))",
        value,
    )
    parts = [part.strip(" .") for part in cut]
    priced = [part for part in parts if re.search(_MONEY, part, re.I)]
    plain = len(parts) > 1 and len(priced) == len(parts)
    loose = re.compile(
        r"^(?:it|they|otherwise|plus|then|or|but|with|extra|after|over|under|above|below|free|"
        r"that|this|each|\W|\d)",
        re.I,
    )
    whole = [re.sub(r"\b(?:is|are|costs?)\b", "", part) for part in parts]
    return parts if plain and not any(has_verb(part) or loose.match(part) for part in whole) else []


def said_item(text: str, names: Sequence[str], clock: bool) -> str:
    """A list item or fragment without a key, as a sentence."""
    text = spoken(text, clock).rstrip(".")
    opened = re.match(r"(open|closed)\b", text, re.I)
    if opened:
        rest = re.sub(r"^(closed)\s+(?=[A-Z])", r"\1 on ", text[:1].lower() + text[1:])
        return sentence(f"we are {rest}")
    if has_verb(text):
        return sentence(as_we(text, names))
    priced = _PRICED.match(text)
    if priced and not re.search(r"[$€£]", priced[1]) and len(priced[1].split()) < 8:
        name = priced[1].strip(" ,:")
        return sentence(f"{capital(name)} {'are' if is_plural(name) else 'is'} {priced[2]}")
    if re.match(
        r"(?:free|complimentary|on-?site|private|same-day|24-hour|outdoor|indoor)\b", text, re.I
    ):
        return sentence(f"we have {lower_first(text)}")
    if re.match(r"no [a-z]", text, re.I) and len(text.split()) < 12:
        return sentence(f"sorry, {lower_first(text)}")
    return sentence(text)


def said_statement(text: str, names: Sequence[str], clock: bool) -> str:
    """A prose sentence about the business."""
    text = spoken(text, clock)
    text = re.sub(
        r"^(?:note|important|please note|n\.?b\.?|fact|info)(?: that)?[:,]?\s+",
        "",
        text,
        flags=re.I,
    )
    text = re.sub(
        r"^(?:the )?(?:callers?|users?|customers)(?= (?:can|may|must|should|need|have|get|pay|"
        r"are|will)\b(?! (?:be|ask|say|want|sound|speak|not|try|call|mention|feel)\b))",
        "You",
        text,
        flags=re.I,
    )
    text = re.sub(
        r"\b(?:the )?(?:callers?|users?)(?= (?:can|may|must|should|need|have|get|pay|are|"
        r"will)\b(?! (?:be|ask|say|want|sound|speak|not|try|call|mention|feel)\b))",
        "you",
        text,
    )
    if not has_verb(text) or re.match(r"(?:open|closed)\b", text, re.I):
        return said_item(text, names, clock)
    text = re.sub(
        r"^(?:opening |office |business )?hours (?:are|is)\b",
        lambda m: "our " + lower_first(m[0]).lower(),
        text,
        flags=re.I,
    )
    return sentence(as_we(text, names))


def said_pair(key: str, value: str, names: Sequence[str], clock: bool) -> str:
    """``key: value`` as a sentence."""
    key = spoken(key, clock).strip(" .")
    value = spoken(value, clock).strip()
    bare = value.rstrip(".")
    words = re.findall(r"[a-z0-9'&]+", key.lower())
    low = " ".join(words)
    whole = has_verb(value) and (
        value[:1].isupper() or bool(re.match(r"(?:we|you|it|there|they|our)\b", value, re.I))
    )
    days = [
        word
        for word in words
        if weekday_of(word) is not None
        or word.startswith(("weekday", "weekend", "daily", "holiday"))
    ]
    if days and len(words) <= 6:
        named = key if weekday_of(words[0]) is not None or "holiday" in low else key.lower()
        lead = "" if low.startswith(("daily", "every")) else "on "
        if re.match(r"closed\b", bare, re.I):
            return sentence(f"{lead}{named} we are {lower_first(bare)}")
        if re.match(r"(?:from |noon|\d)", bare, re.I):
            return sentence(f"{lead}{named} we are open {_from(bare)}")
    if set(words) <= _HOUR_WORDS and not whole:
        return sentence(
            f"we are open {lower_first(bare)}"
            if not re.match(r"(?:open|closed)\b", bare, re.I)
            else f"we are {lower_first(bare)}"
        )
    if whole:
        spoken_value = re.sub(
            r"^(?:It|They) (?=is|are|has|have|costs?|takes?)", f"{capital(key)} ", value
        )
        return sentence(as_we(spoken_value, names))
    fit = re.match(
        r"([a-z][^,]{2,40}?) (allowed|welcome|permitted|accepted|available|required)\b", bare, re.I
    )
    if fit and not has_verb(fit[1]) and not re.search(r"\b(?:not|no)\b", fit[1], re.I):
        return sentence(f"{fit[1]} {_be(_head(fit[1]), '')} {bare[len(fit[1]) + 1 :]}")
    if re.match(
        r"(?:open|closed|from|until|till|by|after|before|daily|every|at|starts?|between)\b",
        bare,
        re.I,
    ):
        article = "the " if low in _PLACES else ""
        return sentence(
            f"{article}{key if not article else low} {_be(key, bare)} {lower_first(bare)}"
        )
    if low in ("phone", "telephone"):
        low = "phone number"
    template = _template(low, bare)
    if template:
        return sentence(template.format(key=low, value=lower_first(bare), is_=_be(key, bare)))
    if re.match(r"(?:yes|no)\b[,.]?", bare, re.I):
        return sentence(bare)
    if re.match(
        rf"(?:{_MONEY}|\d+\s?(?:to \d+ )?(?:minutes|hours|days|weeks|years|%|am\b|pm\b)|\d:|"
        rf"free|included|complimentary|available|not |allowed|by )",
        bare,
        re.I,
    ):
        return sentence(f"{capital(key)} {_be(key, bare)} {lower_first(bare)}")
    if re.match(r"(?:is|are|costs?|takes?|has|have|must|can|opens?|starts?) ", bare):
        return sentence(f"{capital(key)} {bare}")
    if has_verb(bare) or len(words) > 3:
        return sentence(f"{capital(key)}: {as_we(bare, names)}")
    if (re.match(r"[A-Z][\w .'-]+$", bare) and len(bare.split()) < 6) or is_plural(key):
        return sentence(f"our {low} {_be(key, bare)} {bare}")
    return sentence(f"{capital(key)}: {bare}")


_PLACES = bag(
    "pool gym spa restaurant bar kitchen lobby reception garage sauna shop cafe "
    "terrace showroom workshop pharmacy lounge rooftop playground"
)


def _from(hours: str) -> str:
    return hours if hours.lower().startswith("from") else f"from {hours}"


def _head(phrase: str) -> str:
    """'dogs' of 'dogs under 10 kg'."""
    return re.split(r" (?:under|over|with|of|in|for|up|at|on|from) ", phrase)[0]


def _be(key: str, value: str) -> str:
    return "are" if is_plural(key) else "is"


_TEMPLATES: tuple[tuple[str, str, str], ...] = (
    # (the key, what the value begins with, the sentence)
    (r"(?:our |street |business )?(?:address|location|where)", r"\d", "we are at {value}"),
    (
        r"(?:our |street |business )?(?:address|location|where)",
        r"(?:in|at|on|near|next|behind|opposite|corner|just|between|across)\b",
        "we are {value}",
    ),
    (r"(?:our |street |business )?(?:address|location)", r"", "our address is {value}"),
    (
        r"(?:phone|telephone|number|phone number|email|e mail|website|web|site|fax|url|hotline)",
        r"",
        "our {key} is {value}",
    ),
    (
        r"(?:we accept|accepted.*|.*payments?(?: methods| options)?|.*ways to pay|pay(?:ing)?)",
        r"(?!no\b|not\b|due|required|at\b|by\b)",
        "you can pay by {value}",
    ),
    (
        r"(?:accepted )?insurances?(?: accepted| plans| networks)?|.*insurance",
        r"(?!no\b|not\b|yes)[a-z ]*",
        "for insurance we accept {value}",
    ),
    (r"languages?(?: spoken)?", r"", "we speak {value}"),
    (
        r"(?:street )?parking",
        r"(?:available|free|paid|on|in|behind|at|limited|next|near|under|\$)",
        "parking is {value}",
    ),
    (
        r"(?:cuisine|services|treatments|products|amenities|facilities|we offer|we sell)",
        r"",
        "we offer {value}",
    ),
)


def _template(key: str, value: str) -> str:
    for pattern, begins, template in _TEMPLATES:
        if re.fullmatch(pattern, key) and re.match(begins, value, re.I):
            return template
    return ""
