"""Words: normal form, tokens, stems, numbers, and which words mean the same."""

from __future__ import annotations

import re
from functools import lru_cache

from runner.engine.brain.heard import CONTRACTIONS, HEARD
from runner.engine.brain.lexicon import (
    ASPECTS,
    LIGHT_WORDS,
    ORDINALS,
    STOP,
    SYNONYMS,
    TENS,
    UNITS,
)

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " "})
_HEARD = tuple((re.compile(pattern), to) for pattern, to in HEARD)
_CONTRACTIONS = tuple((re.compile(pattern), to) for pattern, to in CONTRACTIONS)
_TOKEN = re.compile(r"\d+(?:[.:,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?")
_WORD = re.compile(r"[a-z]+")


@lru_cache(maxsize=4096)
def normal(text: str) -> str:
    """Lower case, contractions written out, misheard words put right, punctuation gone.

    Digits keep their inner points and colons; a comma or full stop becomes nothing.
    """
    text = text.translate(_QUOTES).lower()
    for pattern, to in _CONTRACTIONS:
        text = pattern.sub(to, text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"[?!;\"]|[,.:](?!\d)|(?<!\d)[,.:]", " ", text)
    text = re.sub(r"\s+", " ", text).strip()
    for pattern, to in _HEARD:
        text = pattern.sub(to, text)
    return re.sub(r"\s+", " ", text).strip()


def tokens(text: str) -> list[str]:
    """The words of ``text`` in normal form; hyphens part words."""
    return _TOKEN.findall(normal(text))


_IRREGULAR = {
    "teeth": "tooth",
    "feet": "foot",
    "men": "man",
    "women": "woman",
    "children": "child",
    "books": "bookz",
    "people": "person",
    "persons": "person",
    "paid": "pay",
    "bought": "buy",
    "took": "take",
    "brought": "bring",
    "hours": "hour",
    "ate": "eat",
    "bus": "bus",
    "gas": "gas",
    "news": "news",
    "address": "address",
    "addresses": "address",
    "business": "business",
    "during": "during",
    "wednesday": "wednesday",
    "evening": "evening",
    "morning": "morning",
    "building": "building",
    "wedding": "wedding",
    "ceiling": "ceiling",
    "king": "king",
    "string": "string",
    "visa": "visa",
    "pasta": "pasta",
    "pine": "pine",
    "access": "access",
    "express": "express",
    "fitness": "fitness",
    "process": "process",
    "pass": "pass",
}


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A light English stem: equal for a word's everyday forms, not for look-alikes."""
    word = word.removesuffix("'s").replace("'", "")
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isalpha() or len(word) < 4:
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix, least in (
        ("ations", 4),
        ("ation", 4),
        ("ments", 3),
        ("ment", 3),
        ("ings", 3),
        ("ing", 3),
        ("ed", 3),
        ("ly", 4),
        ("ance", 5),
    ):
        root = word[: -len(suffix)]
        if word.endswith(suffix) and len(root) >= least and re.search("[aeiouy]", root):
            word = root
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lseoz":
        word = word[:-1]
    if len(word) > 4 and word.endswith("ll"):
        word = word[:-1]
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1]
    return word


def _stems(words: str) -> frozenset[str]:
    return frozenset(stem(word) for word in words.split())


_ASPECT_OF: dict[str, set[str]] = {}
for _name, (_, _words) in ASPECTS.items():
    for _stem in _stems(_words):
        _ASPECT_OF.setdefault(_stem, set()).add(_name)
_SYNONYM_OF: dict[str, set[int]] = {}
for _number, _words in enumerate(SYNONYMS):
    for _stem in _stems(_words):
        _SYNONYM_OF.setdefault(_stem, set()).add(_number)
LIGHT = LIGHT_WORDS | frozenset(stem(word) for word in LIGHT_WORDS)
"""Stems that say little on their own about what is asked."""
_STOP_STEMS = frozenset(stem(word) for word in STOP) | STOP


def aspects_of(stemmed: str) -> frozenset[str]:
    return frozenset(_ASPECT_OF.get(stemmed, ()))


def is_stop(word: str) -> bool:
    return word in STOP or (stem(word) in _STOP_STEMS and word not in _ASPECT_OF)


def content(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, once each."""
    seen: dict[str, None] = {}
    for word in tokens(text):
        if not is_stop(word):
            seen.setdefault(stem(digits_of(word)), None)
    return list(seen)


def akin(one: str, other: str) -> float:
    """How much two stems mean the same, 0 to 1."""
    if one == other:
        return 1.0
    if _SYNONYM_OF.get(one, set()) & _SYNONYM_OF.get(other, set()):
        return 0.75
    short, long = sorted((one, other), key=len)
    if len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 3:
        return 0.75
    if len(short) >= 5 and abs(len(one) - len(other)) <= 1 and _one_edit(one, other):
        return 0.7
    return 0.0


def _one_edit(one: str, other: str) -> bool:
    """At most one letter is added, lost, changed, or two neighbours swapped."""
    if not (one.isalpha() and other.isalpha()) or one[0] != other[0]:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    a, b = one[start:], other[start:]
    swapped = a[:2] == b[:2][::-1] and a[2:] == b[2:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or swapped


_NUMBER = {word: value for value, word in enumerate(UNITS)}
_NUMBER |= {word: 20 + 10 * place for place, word in enumerate(TENS)}
_ORDINAL = {word: value for value, word in enumerate(ORDINALS)} | {"thirtieth": 30}


def digits_of(word: str) -> str:
    """'twelve' -> '12'; any other word as it is."""
    return str(_NUMBER[word]) if word in _NUMBER else word


def number_at(words: list[str], at: int) -> tuple[int, int] | None:
    """The whole number spoken from ``words[at]`` on, as (value, how many words), or None.

    Takes 'twenty five', 'a hundred and ten', '25', 'a dozen', 'a couple'.
    """
    word = words[at] if at < len(words) else ""
    if word.isdecimal() and word.isascii() and len(word) < 16:
        return int(word), 1
    following = words[at + 1] if at + 1 < len(words) else ""
    if word in ("a", "half") and following in ("dozen", "couple"):
        return (2 if following == "couple" else 6 if word == "half" else 12), 2
    if word == "a" and following in ("hundred", "thousand"):
        rest = number_at(["one", *words[at + 1 :]], 0)
        return rest
    if word == "dozen":
        return 12, 1
    total, part, used, seen = 0, 0, 0, False
    while at + used < len(words):
        word = words[at + used]
        if word in _NUMBER:
            value = _NUMBER[word]
            if seen and part % 100 and not (part % 100 >= 20 and part % 10 == 0 and value < 10):
                break
            part += value
        elif word == "hundred" and part:
            part *= 100
        elif word == "thousand" and part:
            total, part = total + part * 1000, 0
        elif (
            word == "and"
            and part >= 100
            and part % 100 == 0
            and at + used + 1 < len(words)
            and words[at + used + 1] in _NUMBER
        ):
            pass
        else:
            break
        seen, used = True, used + 1
    return (total + part, used) if seen else None


def ordinal_at(words: list[str], at: int) -> tuple[int, int] | None:
    """'third' -> 3, 'twenty first' -> 21, '3rd' -> 3, with how many words were used."""
    if at >= len(words):
        return None
    word = words[at]
    if word in _ORDINAL:
        return _ORDINAL[word], 1
    if word in ("twenty", "thirty") and at + 1 < len(words) and words[at + 1] in _ORDINAL:
        value = _ORDINAL[words[at + 1]]
        if 0 < value < 10:
            return _NUMBER[word] + value, 2
    # normal() parts "3rd" into "3" and "rd".
    if word.isdecimal() and at + 1 < len(words) and words[at + 1] in ("st", "nd", "rd", "th"):
        return int(word) if len(word) < 4 else 0, 2
    return None


def joined(items: list[str], last: str = "and") -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def plain_words(text: str) -> list[str]:
    """Letters only, lower case: for comparing names such as ``find_slots`` with speech."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return _WORD.findall(spaced.lower())
