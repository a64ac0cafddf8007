"""What no front desk is asked for, and gets an answer all the same."""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.engine.brain.words import number_at, tokens

_SMALL: tuple[tuple[str, str], ...] = (
    (r"\b(?:joke|something funny|make me laugh)\b", "I am afraid jokes are not my strong side."),
    (
        r"\b(?:sing|song|poem|rap)\b.*|\btell (?:me )?(?:a|us a) (?:\w+ )?story\b",
        "I would rather not put you through that.",
    ),
    (
        r"\b(?:weather|forecast|rain|raining|snow|snowing|temperature outside|sunny)\b",
        "I cannot see the weather from here, I am sorry.",
    ),
    (
        r"\b(?:football|soccer|baseball|basketball|match|politics|president|election|the news|"
        r"stock market|world cup|super bowl)\b",
        "I do not follow that from here, I am sorry.",
    ),
    (
        r"\bi love you\b|\bmarry me\b|\bgo out with me\b|\bare you (?:single|married)\b|"
        r"\bdate me\b",
        "That is kind of you, but I am only here to answer the phone.",
    ),
    (
        r"\bhow old are you\b|\bwhen were you (?:born|made)\b|\bwho (?:made|built|created|"
        r"programmed) you\b|\bwhere (?:are you from|do you live|were you (?:born|made))\b|"
        r"\bdo you (?:sleep|eat|dream|feel|have (?:feelings|a family|kids|friends))\b|"
        r"\bfavou?rite (?:color|colour|food|movie|song|team|animal|book)\b",
        "I am a computer voice, so there is not much to tell about me.",
    ),
    (r"\bmeaning of life\b|\bdo you believe in\b", "That one is beyond me, I am afraid."),
    (
        r"\b(?:merry christmas|happy (?:new year|birthday|easter|holidays|thanksgiving))\b",
        "Thank you, the same to you!",
    ),
    (
        r"^(?:i am|i feel|feeling) (?:so |very |really |a bit |just )*(?:bored|lonely|tired|"
        r"sad|happy|excited|fine|good|great|okay|ok|well)(?: today)?(?: and you|"
        r" how about you| thanks| thank you)*$",
        "Thank you for telling me.",
    ),
    (r"\bwrong number\b", "No problem at all."),
)
_SMALL_COMPILED = tuple((re.compile(pattern), reply) for pattern, reply in _SMALL)


def small_talk(low: str) -> str:
    """A polite word on a topic no front desk has anything to say about; '' for other topics."""
    return next((reply for pattern, reply in _SMALL_COMPILED if pattern.search(low)), "")


def done_here(low: str) -> str:
    """The answer to what any machine can do: count, add, say a word; '' for anything else."""
    count = re.fullmatch(
        r"(?:please |can you |could you )*count (?:from (\w+) )?(?:up |"
        r"down )?to (\w+)(?: please| for me)*",
        low,
    )
    if count:
        start = number_at([count[1]], 0) if count[1] else (1, 1)
        end = number_at([count[2]], 0)
        if start and end and abs(end[0] - start[0]) <= 100:
            step = 1 if end[0] >= start[0] else -1
            return ", ".join(str(number) for number in range(start[0], end[0] + step, step)) + "."
    echo = re.fullmatch(
        r"(?:please |can you |could you )*(?:say|repeat after me|repeat the words?|"
        r"say the words?)[ :]+((?:\w+ ?){1,12})",
        low,
    )
    if echo and not re.match(r"(?:that|it|this|what|again|something|anything|slow)", echo[1]):
        return echo[1].strip().capitalize() + "."
    return _sum(low)


def _sum(low: str) -> str:
    words = tokens(
        re.sub(
            r"^(?:what is|how much is|calculate|compute|what does|and)+ ",
            "",
            low.replace("+", " plus ").replace("*", " times "),
        )
    )
    first = number_at(words, 0)
    if first is None or first[1] >= len(words):
        return ""
    rest = words[first[1] :]
    for phrase, work in _WORK.items():
        size = len(phrase.split())
        if " ".join(rest[:size]) == phrase:
            second = number_at(rest, size)
            if second is None or size + second[1] < len(rest) - 1:
                return ""
            return work(first[0], second[0])
    return ""


def _whole(value: float) -> str:
    return f"That is {int(value) if value == int(value) else round(value, 2)}."


def _over(a: int, b: int) -> str:
    return _whole(a / b) if b else "That one has no answer."


_WORK: dict[str, Callable[[int, int], str]] = {
    "plus": lambda a, b: _whole(a + b),
    "minus": lambda a, b: _whole(a - b),
    "times": lambda a, b: _whole(a * b),
    "multiplied by": lambda a, b: _whole(a * b),
    "divided by": _over,
}
