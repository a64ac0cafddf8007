"""Finding the fact that answers a question: words, what they mean, and what was asked before."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from runner.engine.brain.lexicon import PHRASES
from runner.engine.brain.notes import Fact, Notes
from runner.engine.brain.times import Day, Time, find_days, find_times, places
from runner.engine.brain.words import (
    LIGHT,
    akin,
    aspects_of,
    content,
    is_stop,
    normal,
    number_at,
    stem,
    tokens,
)

_ADVERBS = re.compile(
    r"\b(?:exactly|actually|really|guys|just|currently|also|even|usually|normally|please|"
    r"still|ever) "
)
_PHRASES = tuple((re.compile(pattern), aspect) for pattern, aspect in PHRASES)
_POLAR = re.compile(
    r"^(?:and |but |so |or )?(?:is|are|was|do|does|did|can|could|will|would|may|have|has|"
    r"am|should|must)\b"
)
_FOLLOWS = re.compile(
    r"^(?:and|but|or|no|what about|how about|what if|also|then|same|ok and|or maybe|"
    r"what of|i meant?|actually|sorry i meant?|make (?:it|that))\b"
)
_STREET = re.compile(
    r"^(?:we are|our (?:address|office|shop|clinic|store))\b.*\b\d+ [A-Z]\w+|"
    r"\b\d+ (?:[A-Z]\w+ )+(?:St|Street|Ave|Avenue|Rd|Road|Lane|Drive|Blvd|Square)\b"
)
_BACK = re.compile(r"\b(?:it|that|this|they|them|those|these|one|ones|he|she|both|either)\b")
_REQUEST = re.compile(
    r"\b(?:i would (?:like|love|prefer)|i (?:want|need) to|i want|i need|"
    r"i am looking|can i|could i|may i|can we|"
    r"could we|can you|could you|would you|will you|let me|let us|please|help me|"
    r"we (?:want|need|would like)|"
    r"(?<!do )i have to|i am trying|i was hoping|i wish|is it possible|is there any way|"
    r"i am calling to)\b"
)
_IMPERATIVE = re.compile(
    r"^(?:please |just |so |then )*(?:book|cancel|order|check|find|track|reserve|schedule|"
    r"reschedule|change|move|get|give|show|"
    r"set|turn|send|add|make|look|search|play|remind|update|create|start|stop|put|transfer|connect|"
    r"register|sign|buy|bring|deliver|tell|switch|reset|report|open|remove|delete|pay|"
    r"calculate|convert|file|confirm)\b"
)
_ABOUT_TERMS = re.compile(
    r"\b(?:policy|policies|how much|how many|how long|what happens|"
    r"what (?:should|do) i (?:need to )?(?:bring|need|wear|pay|expect)|penalty|rules?|fee|"
    r"cost|costs|price|prices|"
    r"do you (?:have|offer|take|accept|allow|charge|do|deliver|sell|serve|open|close|"
    r"provide)|what (?:is|are) (?:your|the)|"
    r"where|when (?:do|are|is)|what time|are you|is there|are there|am i allowed|"
    r"do i (?:need|have))\b"
)


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller's turn asks: ``stems`` carry its topic, ``aspects`` what is wanted of it.

    ``inherited`` stems come from the turn before and weigh half.
    """

    text: str
    stems: tuple[str, ...] = ()
    aspects: frozenset[str] = frozenset()
    days: tuple[Day, ...] = ()
    times: tuple[Time, ...] = ()
    inherited: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()  # of the turn before, for tools only
    faint: frozenset[str] = frozenset()  # stems that only helped to say an aspect
    numbers: tuple[int, ...] = ()
    personal: bool = False
    polar: bool = False
    request: bool = False
    terms: bool = False

    @property
    def topic(self) -> tuple[str, ...]:
        """The stems that name a thing rather than an aspect."""
        return tuple(one for one in self.stems if not aspects_of(one) and one not in LIGHT)

    @property
    def empty(self) -> bool:
        return not (self.stems or self.aspects)


@lru_cache(maxsize=512)
def query(text: str) -> Query:
    low = normal(text)
    words = tokens(text)
    days, times = tuple(find_days(words)), tuple(find_times(words))
    dated = places(days, times)
    stems = dict.fromkeys(
        stem(word)
        for place, word in enumerate(words)
        if place not in dated and not is_stop(word) and number_at([word], 0) is None
    )
    plain = _ADVERBS.sub("", low)
    hits = [(match, aspect) for pattern, aspect in _PHRASES if (match := pattern.search(plain))]
    aspects = {aspect for _, aspect in hits}
    faint = frozenset(stem(word) for match, _ in hits for word in match[0].split())
    for one in stems:
        aspects |= aspects_of(one)
    if re.search(r"\bopen(?:ing)? (?:a|an|my|up|it|this|new)\b", low):
        aspects -= {"hours"}  # an account, not a shop
    if "booking" in aspects and re.search(
        r"\b(?:anything|something|slots?|times?|free (?:on|at|slot|for))\b", low
    ):
        aspects -= {"price"}
        stems.pop("fre", None)
        stems.pop("free", None)
    return Query(
        low,
        tuple(stems),
        frozenset(aspects),
        days,
        times,
        faint=faint,
        numbers=_numbers(words, dated),
        personal=bool(re.search(r"\b(?:my|me|i|we|us|our|mine)\b", low)),
        polar=bool(
            _POLAR.match(low)
            or re.match(r"(?:so )?(?:you are|you do|you have|there is|it is)\b", low)
        ),
        request=bool(_REQUEST.search(low) or _IMPERATIVE.match(low)),
        terms=bool(_ABOUT_TERMS.search(low)),
    )


def _numbers(words: list[str], dated: set[int]) -> tuple[int, ...]:
    found, at = [], 0
    while at < len(words):
        number = None if at in dated else number_at(words, at)
        if number is not None:
            found.append(number[0])
        at += number[1] if number else 1
    return tuple(found)


def follow(now: Query, before: Query | None) -> Query:
    """``now`` with what it leaves out taken from the question ``before``."""
    if before is None or (before.empty and not before.days):
        return now
    leads, back = bool(_FOLLOWS.match(now.text)), bool(_BACK.search(now.text))
    only_when = now.empty and bool(now.days or now.times)
    light_only = all(one in LIGHT for one in now.stems)
    if only_when and len(now.text.split()) <= 9:
        return replace(
            before,
            text=now.text,
            days=now.days or before.days,
            times=now.times,
            polar=before.polar or now.polar,
            request=now.request or before.request,
        )
    if not (leads or back or (light_only and now.aspects)) or len(now.text.split()) > 12:
        return now
    if now.topic and not now.aspects and leads:
        return replace(
            now,
            aspects=before.aspects,
            terms=before.terms,
            days=now.days or before.days,
            carried=tuple(one for one in before.stems if one not in now.stems),
        )
    if not now.topic and (now.aspects or back):
        topic = before.topic or before.inherited or (before.stems if not now.aspects else ())
        return replace(
            now,
            inherited=tuple(one for one in topic if one not in now.stems),
            aspects=now.aspects or before.aspects,
            days=now.days,
        )
    return now


# Aspects whose words only say what is wanted of a thing.
_ASKED_FOR = frozenset({"price", "hours", "duration", "location", "contact"})


@dataclass(frozen=True, slots=True)
class Match:
    """``score`` 0 to 1: the share of the question that ``fact`` speaks of. ``missing``: things
    it does not. ``own``: some named thing stands in the fact itself."""

    score: float
    fact: Fact
    missing: tuple[str, ...]
    own: bool


def rank(asked: Query, notes: Notes) -> list[Match]:
    """The facts that have to do with ``asked``, best first, earlier ones first among equals."""
    count = max(1, len(notes.facts))

    def weight(one: str) -> float:
        if one in LIGHT or one in notes.itself:
            return 0.2
        known = notes.vocabulary.get(one, 0)
        if one in asked.faint:
            return 0.2 if known else 0.1
        if not known:
            return 0.7 if not aspects_of(one) else 0.6
        return 0.5 + 0.5 * math.log(1 + count / known) / math.log(1 + count)

    terms = [(one, weight(one)) for one in asked.stems]
    terms += [(one, weight(one) * 0.5) for one in asked.inherited if one not in asked.stems]
    loose = [
        aspect
        for aspect in sorted(asked.aspects)
        if not any(aspect in aspects_of(one) for one, _ in terms)
    ]
    day_names = {day for one in asked.days for day in one.weekdays}
    total = sum(value for _, value in terms) + 0.7 * len(loose)
    if not total and not day_names:
        return []
    of_day = not asked.aspects - {"hours"}
    found = []
    for fact in notes.facts:
        score, missing, own = 0.0, [], False
        for one, value in terms:
            fit = _fit(one, fact, one in notes.vocabulary)
            score += value * fit
            if fit < 0.5 and one not in LIGHT and not aspects_of(one):
                missing.append(one)
            exact = fit == 1.0 and one not in LIGHT and not aspects_of(one) & _ASKED_FOR
            own = own or exact or (fit >= 0.7 and one in asked.topic)
        for aspect in loose:
            score += 0.7 * (
                1.0 if aspect in fact.aspects else 0.7 * (aspect in fact.context_aspects)
            )
        score /= total or 1.0
        if "location" in asked.aspects and _STREET.search(fact.said) and score > 0:
            score += 0.15  # an address says where; a town alone hardly does
        if day_names and day_names & _days_of(fact.said):
            # The day itself is what is asked for, unless it is the price or the length of a thing.
            score = max(score, 0.3) + 0.6 if of_day else score + 0.25
        elif day_names and of_day:
            score *= 0.8
        if score > 0.15:
            found.append(Match(score, fact, tuple(missing), own))
    return sorted(found, key=lambda match: (-round(match.score, 3), match.fact.place))


def _fit(one: str, fact: Fact, elsewhere: bool) -> float:
    """``elsewhere``: some other fact has the very word, so a word of the same kind counts less."""
    if one in fact.stems:
        return 1.0
    best = max((akin(one, other) for other in fact.stems), default=0.0) if one not in LIGHT else 0.0
    if one in fact.context:
        # A heading of its own words, "Insurance", speaks for every line under it.
        best = max(best, 1.0 if one in fact.named else 0.85)
    elif best < 0.6 and one not in LIGHT:
        best = max(best, 0.75 * max((akin(one, other) for other in fact.context), default=0.0))
    meant = aspects_of(one)
    if meant & fact.aspects:
        best = max(best, 0.4 if elsewhere else 0.65)
    elif meant & fact.context_aspects:
        best = max(best, 0.35 if elsewhere else 0.55)
    if best < 0.5:
        # "check up" where the prompt writes "checkup"
        best = max(best, 0.6 * any(len(one) > 4 and one in other for other in fact.stems))
    return best


def _days_of(said: str) -> set[int]:
    return {day for one in find_days(tokens(said)) for day in one.weekdays}


_NEGATION = re.compile(
    r"\b(?:no|not|never|n't|without|closed|except|cannot|can't|don't|doesn't|isn't|aren't|"
    r"sorry|unavailable|only)\b",
    re.I,
)


def verdict(asked: Query, match: Match) -> str:
    """'Yes', 'No' or '' when a yes-or-no question is not surely answered by ``match``."""
    if not asked.polar or match.missing:
        return ""
    named = [one for one in asked.stems if one not in LIGHT]
    clauses = re.split(r"[,;]\s|\bbut\b|\bexcept\b", match.fact.said)
    exact = [
        one
        for one in named
        if one in match.fact.stems or any(akin(one, other) >= 0.75 for other in match.fact.stems)
    ]
    if not named or len(exact) < len(named):
        return ""
    for clause in clauses:
        stems = set(content(clause))
        if any(one in stems or any(akin(one, other) >= 0.75 for other in stems) for one in named):
            negated = _NEGATION.search(clause)
            if negated is None:
                return "Yes"
            return "" if negated[0].lower() == "only" else "No"
    return ""
