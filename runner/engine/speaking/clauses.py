"""Text cut into pieces that can be spoken on their own, while it is still being written."""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The end of a clause, and whether it is that of a sentence (group "end"). Marks of East Asian
# scripts need no space behind them.
_MARK = re.compile(
    r"""(?P<end>[.!?…]+)["'”’)\]]*(?=\s)|(?P<wide>[。！？])|\n|(?:[,;:]["'”’)\]]*|\s[–—-])(?=\s)|[—；，]""",
    re.VERBOSE,
)
_NEVER = _set(
    "mr mrs ms mx dr prof rev hon gen col lt sgt capt st mt ft vs e.g i.e cf approx dept est"
)
_MAYBE = _set(
    "a.m p.m etc inc ltd co corp jr sr ave blvd rd u.s u.k u.s.a jan feb mar apr jun jul "
    "aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun ext tel"
)
_BEFORE_NUMBERS = _set("no nos fig p pp vol ch art sec")
_DATE_WORD = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tomorrow|tonight|"
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)\b|"
    r"[ECMP][SD]?T\b",
    re.IGNORECASE,
)


class ClauseSplitter:
    """Feed text as it comes, speak what comes out.

    A piece is a sentence, or of a long one a clause once the piece has ``limit`` characters; the
    first piece may end at a clause from ``first`` characters on, so that the caller hears
    something soon. Nothing is longer than ``hard_limit``. Joined, the pieces are the text, spaces
    included, and how the text was cut when it was fed makes no difference.
    """

    def __init__(self, limit: int = 60, hard_limit: int = 240, first: int = 20) -> None:
        self._limit = limit
        self._first_limit = first
        self._hard_limit = hard_limit
        self._text = ""
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Pieces that are complete now. The end of a sentence is known only by what follows."""
        self._text += text
        return self._pieces(final=False)

    def end(self) -> list[str]:
        """The rest, when no more text comes. The splitter is new again."""
        pieces = self._pieces(final=True)
        if self._text:
            pieces.append(self._text)
        self._text = ""
        self._first = True
        return pieces

    def _pieces(self, final: bool) -> list[str]:
        pieces = []
        while (at := self._cut(final)) is not None:
            pieces.append(self._text[:at])
            self._text = self._text[at:]
            self._first = False
        return pieces

    def _cut(self, final: bool) -> int | None:
        """Where the next piece ends, None when that is not known yet."""
        text = self._text
        for mark in _MARK.finditer(text):
            end = _over_spaces(text, mark.end())
            if end == len(text) and not final:
                break  # what follows decides
            if not text[:end].strip():
                continue
            if end > self._hard_limit:
                break
            if not final and self._open(mark, end):
                break
            if self._ends_piece(mark, end):
                return end
        if len(text) <= self._hard_limit:
            return None
        space = text.rfind(" ", 1, self._hard_limit)
        return space + 1 if space > 0 else self._hard_limit

    def _open(self, mark: re.Match[str], end: int) -> bool:
        """Whether the word behind an abbreviation has to be read whole first."""
        following = self._text[end : end + 12]
        return (
            mark["end"] == "."
            and _word_before(self._text, mark.start()) in _MAYBE
            and following.isalnum()
            and len(following) < 12
        )

    def _ends_piece(self, mark: re.Match[str], end: int) -> bool:
        text = self._text
        if mark["wide"] or mark[0] == "\n":
            return True
        if mark["end"]:
            return _ends_sentence(text, mark.start(), mark["end"], text[end : end + 12])
        return end >= (self._first_limit if self._first else self._limit)


def _over_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _word_before(text: str, at: int) -> str:
    return text[text.rfind(" ", 0, at) + 1 : at].lstrip("(\"'“‘").lower()


def _ends_sentence(text: str, at: int, marks: str, following: str) -> bool:
    """Whether ``marks`` at ``at`` end a sentence, before the text ``following`` (may be empty)."""
    if following[:1].islower():
        return False  # "9 a.m. sharp", "well... maybe"
    if marks != ".":
        return True
    word = _word_before(text, at)
    if word in _NEVER or (len(word) == 1 and word.isalpha() and word != "i"):
        return False  # a title or an initial
    if word in _BEFORE_NUMBERS:
        return not following[:1].isdigit()
    if word in _MAYBE:
        return not (following[:1].isdigit() or _DATE_WORD.match(following))
    # The number of a list's line belongs to what it counts.
    return not (word.isdigit() and not text[:at].strip()[: -len(word)])


__all__ = ["ClauseSplitter"]
