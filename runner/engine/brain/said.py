"""One turn of the caller as a source of values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from runner.engine.brain.times import Day, Time, find_days, find_times
from runner.engine.brain.words import tokens


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the caller. ``direct``: it answers the question for the slot.
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
    r"^(?:(?:um+|uh+|er+|oh|ah|well|so|ok|okay|yes|yeah|yep|sure|right|please|hi|hello|"
    r"hey|thanks|thank you|great|perfect|alright|"
    r"it is|it's|that is|that's|that would be|that will be|it would be|make it|let us say|"
    r"let's say|i think|i guess|maybe|probably|"
    r"i would like|i'd like|i want|i need|i will take|i'll take|i would prefer|i'd prefer|"
    r"i will have|i'll have|give me|we would like|"
    r"actually|no|just|only|for|the one|how about|what about|say)[ ,.!]+)+",
    re.I,
)
_TAIL = re.compile(
    r"[ ,.!?]*\b(?:please|thanks|thank you|thank you very much|if possible|"
    r"would be (?:great|good|fine|nice)|works?(?: for me)?|is fine)[.!]*$",
    re.I,
)


def cleaned(text: str) -> str:
    """An answer without the words around it."""
    before = None
    while before != text:
        before, text = text, _TAIL.sub("", _LEAD.sub("", text.strip())).strip(" .,!?;:")
    return text


def without_tail(text: str) -> str:
    """Without 'please' and its like at the end."""
    return _TAIL.sub("", text).strip(" .,!?")


def titled(text: str) -> str:
    return text if text != text.lower() else text.title()


def undated(said: Said) -> str:
    """The text without the days and times in it, if it can be matched word by word."""
    text = re.sub(r"['’]s\b", " is", said.text)
    spans: list[Day | Time] = [*said.days(), *find_times(said.words)]
    for one in spans:
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
