"""`records: { redact: [...] }`: what is taken out of texts before they are shown or kept.

A :class:`Redactor` is a function from text to text; the same for JSON values, and for a text that
comes in pieces. The model and the tools never meet it: they need the real values. Card numbers are
13 to 19 digits that pass Luhn's check (ISO/IEC 7812-1), however they are grouped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

#: What can be named; everything else in `redact:` is a regular expression.
KINDS = ("card_number", "phone_number", "email")
#: Stands where a regular expression matched; a kind stands under its own name.
REDACTED = "[redacted]"

_WORDS = {
    "zero": 0, "oh": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
#: A digit, or a word that recognition writes for one.
_DIGIT = rf"(?:\d|\b(?:{'|'.join(_WORDS)})\b)"
_GAP = r"[\s.,/_\-\u2010-\u2015\u2212]*"
_DIGITS = re.compile(_DIGIT, re.IGNORECASE)
_RUN = re.compile(rf"{_DIGIT}(?:{_GAP}{_DIGIT}){{12,}}", re.IGNORECASE)
_PHONE_GAP = r"[\s().\-/\u2010-\u2015\u2212]*"
#: A date of ISO 8601 has as many digits as a short number, and is none.
_PHONE = re.compile(
    rf"(?:19|20)\d\d-\d\d-\d\d(?!\d)|(?P<run>(?P<plus>\+{_PHONE_GAP})?\(?"
    rf"{_DIGIT}(?:{_PHONE_GAP}{_DIGIT}){{6,}})",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"\d{3}[-.]\d{4}")
#: The look behind keeps a long word from being tried at each of its letters.
_EMAIL = re.compile(r"(?<![\w.+%'-])[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")
_SHORTEST, _LONGEST = 13, 19
#: Digits from which a number without a + counts as one of a telephone.
_NATIONAL = 10
_WHOLE_WORD = re.compile(r"\S+\s+")
_LETTER = re.compile(r"[^\W\d_]")


class Redactor:
    """``redactor(text)`` has each match replaced. ``patterns`` are kinds and regular expressions
    (re.error); without any, every text stays as it is."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._kinds = [kind for kind in KINDS if kind in patterns]
        self._own = [re.compile(pattern) for pattern in patterns if pattern not in KINDS]

    def __bool__(self) -> bool:
        return bool(self.patterns)

    @property
    def digits(self) -> bool:
        """Is a number looked for that may come key by key?"""
        return any(kind != "email" for kind in self._kinds) or bool(self._own)

    @property
    def piecewise(self) -> bool:
        """Can it be told of a beginning that nothing after it changes it? Of a regular expression
        it cannot."""
        return not self._own

    def __call__(self, text: str) -> str:
        for kind in self._kinds:
            text = _TAKE_OUT[kind](text)
        for pattern in self._own:
            text = pattern.sub(REDACTED, text)
        return text

    def json(self, text: str) -> str:
        """A text that may be JSON, as arguments and outputs of tools are, and stays JSON."""
        if not self.patterns:
            return text
        if text.lstrip()[:1] in ("{", "["):
            try:
                parsed = json.loads(text)
                clean = self.value(parsed, numbers=True)
                if clean != parsed:
                    text = json.dumps(clean, ensure_ascii=False)
            except (ValueError, RecursionError):
                pass
        return self(text)

    def value(self, value: Any, numbers: bool = False) -> Any:
        """Every text in a JSON value, of a tool's ``numbers`` too; names, ids and types of things
        stay."""
        if not self.patterns:
            return value
        if isinstance(value, str):
            return self.json(value)
        if isinstance(value, Mapping):
            return {
                self._key(k): v if fixed(k) else self.value(v, numbers) for k, v in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item, numbers) for item in value]
        if numbers and isinstance(value, (int, float)) and not isinstance(value, bool):
            text = str(value)
            clean = self(text)
            return value if clean == text else clean
        return value

    def _key(self, key: Any) -> Any:
        return self(key) if isinstance(key, str) else key


class Stream:
    """A text that comes in pieces: ``feed`` gives on what is safe to show by now, ``rest`` what is
    left at its end. A number that is spread over pieces is held back until it has ended."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = ""

    def feed(self, piece: str) -> str:
        if not self._redactor:
            return piece
        self._held += piece
        end = _settled(self._held) if self._redactor.piecewise else 0
        safe, self._held = self._held[:end], self._held[end:]
        return self._redactor(safe)

    def rest(self) -> str:
        held, self._held = self._held, ""
        return self._redactor(held)


@cache
def redactor(patterns: tuple[str, ...]) -> Redactor:
    """One for each list: what it is made of is compiled once."""
    return Redactor(patterns)


def _settled(text: str) -> int:
    """Where the last word ends that no number reaches across."""
    for word in reversed(list(_WHOLE_WORD.finditer(text))):
        if _LETTER.search(word[0]) and not _DIGITS.search(word[0]):
            return word.end()
    return 0


def fixed(key: Any) -> bool:
    """Does a field of this name hold no words: an id, a kind, a sound?"""
    return isinstance(key, str) and (key in ("id", "type", "audio") or key.endswith("_id"))


def _cards(text: str) -> str:
    return _RUN.sub(_without_card, text)


def _without_card(run: re.Match[str]) -> str:
    """The whole run: what follows on a card's number is when it ends, and its code."""
    digits = [_digit(sign) for sign in _DIGITS.findall(run[0])]
    found = any(
        _luhn(digits[begin : begin + length])
        for length in range(_SHORTEST, _LONGEST + 1)
        for begin in range(len(digits) - length + 1)
    )
    return "[card_number]" if found else run[0]


def _luhn(digits: Sequence[int]) -> bool:
    doubled = (digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _digit(sign: str) -> int:
    return int(sign) if len(sign) == 1 else _WORDS[sign.lower()]


def _phones(text: str) -> str:
    return _PHONE.sub(_without_phone, text)


def _without_phone(match: re.Match[str]) -> str:
    run = match["run"]
    if run is None:
        return match[0]
    long = len(_DIGITS.findall(run)) >= _NATIONAL
    return "[phone_number]" if long or match["plus"] or _LOCAL.fullmatch(run) else run


def _emails(text: str) -> str:
    return _EMAIL.sub("[email]", text)


_TAKE_OUT = {"card_number": _cards, "phone_number": _phones, "email": _emails}
