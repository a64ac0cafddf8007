"""Composing what is said from facts: one or two sentences, with yes or no when that is sure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.engine.brain import hours
from runner.engine.brain.lexicon import ASPECTS, bag
from runner.engine.brain.notes import Fact, Notes
from runner.engine.brain.recall import Match, Query, rank, verdict
from runner.engine.brain.speech import lower_first
from runner.engine.brain.times import said_date, said_time
from runner.engine.brain.words import (
    LIGHT,
    akin,
    aspects_of,
    content,
    is_stop,
    joined,
    normal,
    stem,
)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer and how surely it is one, 0 to 1; ``own``: it is about the very thing asked."""

    text: str
    score: float
    own: bool = False


ENOUGH = 0.5
#: Aspects that are a thing of their own, not a quality (a price, a place) that many things have.
_THINGS = frozenset(
    {"pets", "wifi", "parking", "insurance", "diet", "delivery", "pickup", "refund", "access"}
)


def answer(asked: Query, notes: Notes) -> Found | None:
    """The best answer that the facts give, None when they give none."""
    now = _about_now(asked, notes)
    if now:
        return Found(now, 1.0, True)
    if asked.inherited:
        bare = answer(replace(asked, inherited=()), notes) if asked.stems or asked.aspects else None
        found = _answer(asked, notes)
        if found is None or (bare is not None and bare.own and bare.score > found.score):
            return bare
        return found
    return _answer(asked, notes)


def _answer(asked: Query, notes: Notes) -> Found | None:
    matches = rank(asked, notes)
    if _is_hours(asked, matches, notes):
        said = hours.answer(asked, notes)
        if said:
            return Found(said, 0.95, True)
    offered = _section(asked, notes) if _OFFERED.search(asked.text) else []
    if offered:
        return Found(_listed(offered), 0.9, True)
    if _OFFERED.search(asked.text) and (not matches or matches[0].score < ENOUGH):
        priced = [fact for fact in notes.facts if fact.item and "price" in fact.aspects]
        if len(priced) > 1:
            return Found(_listed(priced), 0.6)
    if asked.topic and matches and not matches[0].own:
        # A fact about the very thing before one that only shares what is asked of it.
        own = [match for match in matches[:3] if match.own]
        if own and own[0].score >= matches[0].score - 0.25:
            matches = [own[0], *(match for match in matches if match is not own[0])]
    if not matches or not _enough(asked, matches):
        return None
    top = matches[0]
    return Found(_compose(asked, matches, notes), min(1.0, top.score), top.own)


def _enough(asked: Query, matches: Sequence[Match]) -> bool:
    """Whether the best fact is an answer, and not only shares a word with the question."""
    top = matches[0]
    others = [match.score for match in matches[1:2]]
    if (
        asked.topic
        and not top.own
        and not asked.inherited
        and asked.aspects & {"price", "duration"}
    ):
        return top.score >= 0.75  # the price of something else
    if top.score >= ENOUGH:
        return True
    if asked.aspects & top.fact.aspects & _THINGS and top.score >= 0.4:
        return True  # "can I bring my dog" where pets are spoken of
    return top.own and top.score >= 0.4 and all(top.score >= 1.3 * score for score in others)


_OFFERED = re.compile(
    r"^(?:so |and |ok )*what (?:kinds? of |sorts? of |types? of |other |else |"
    r"\w+ )?(?:\w+ )?(?:do you (?:have|sell|offer|serve|do)|can i (?:order|get|have|buy)|"
    r"is on (?:the|your) menu)\b|\bon the menu\b"
)


def _section(asked: Query, notes: Notes) -> list[Fact]:
    """The items under the heading that a question such as 'what rooms do you have' names."""
    found: dict[str, list[Fact]] = {}
    for fact in notes.facts:
        if fact.section and any(
            akin(one, other) >= 0.75 for one in asked.topic for other in content(fact.section)
        ):
            found.setdefault(fact.section, []).append(fact)
    best = max(found.values(), key=len, default=[])
    return best if len(best) > 1 else []


def _about_now(asked: Query, notes: Notes) -> str:
    date_asked = re.search(
        r"\bwhat(?: is)?(?: the)? (?:day|date|days date)\b(?: is it| it is| today)|"
        r"what is todays date|what is the date|\bwhat day is (?:it|today)",
        asked.text,
    )
    time_asked = re.search(
        r"\bwhat time is it\b|\bwhat is the (?:current )?time\b|\bhave you got the time\b|"
        r"\bwhat time do you have\b",
        asked.text,
    )
    if not (date_asked or time_asked) or re.search(r"\b(?:open|close|there)\b", asked.text):
        return ""
    if notes.now is None:
        return "I am sorry, I cannot see the clock or the calendar from here."
    if time_asked and notes.now.minutes is not None:
        return f"It was {said_time(notes.now.minutes)} when this call began."
    return f"Today is {said_date(notes.now.today)}."


_HOURS_STEMS = bag("open clos hour time tim business offic daily")


def _is_hours(asked: Query, matches: Sequence[Match], notes: Notes) -> bool:
    if "hours" not in asked.aspects:
        return False
    if "booking" in asked.aspects and not {"open", "clos", "hour"} & set(asked.stems):
        return False
    other = [
        one
        for one in (*asked.topic, *asked.inherited)
        if one not in _HOURS_STEMS and not _names_business(one, notes)
    ]
    if not other:
        # Aspects of something else ("when does parking open") leave the field to the ranking.
        return not any(aspects_of(one) - {"hours"} and _known(one, matches) for one in asked.stems)
    # A named thing that some fact knows is what the question is about.
    return not any(match.own for match in matches)


def _known(one: str, matches: Sequence[Match]) -> bool:
    return any(one in match.fact.stems for match in matches)


def _names_business(one: str, notes: Notes) -> bool:
    return one in notes.itself


def _compose(asked: Query, matches: Sequence[Match], notes: Notes) -> str:
    top = matches[0]
    near = [match for match in matches if match.score >= 0.93 * top.score]
    items = [
        match
        for match in matches
        if match.fact.item and match.fact.section and match.score >= 0.85 * top.score
    ]
    sections: dict[str, list[Match]] = {}
    for match in items:
        sections.setdefault(match.fact.section, []).append(match)
    group = max(sections.values(), key=len, default=[])
    if len(group) > 2 or (len(group) == 2 and all(match in near for match in group)):
        narrow = (
            any(one in match.fact.stems for match in group[:1] for one in asked.topic)
            and len({m.score for m in group}) > 1
        )
        if not narrow:
            return _listed([match.fact for match in sorted(group, key=lambda m: m.fact.place)])
    chosen = [top]
    # Two facts that fit alike belong together when the question is a general one.
    if (
        len(near) > 1
        and not top.fact.item
        and len(top.fact.said) + len(near[1].fact.said) < 220
        and near[1].fact.section == top.fact.section
        and (near[1].fact.aspects & top.fact.aspects or (top.own and near[1].own))
    ):
        chosen = sorted(near[:2], key=lambda match: match.fact.place)
    said = [_whole(match.fact, notes) for match in chosen]
    yes = verdict(asked, top)
    if yes and not re.match(r"(?:yes|no|sorry)\b|[^.,]{2,30}: ", said[0], re.I):
        said[0] = f"{yes}, {_inside(said[0], asked)}"
    return " ".join(dict.fromkeys(said))


def _inside(said: str, asked: Query) -> str:
    first = said.split()[0]
    if first in (
        "We",
        "Our",
        "You",
        "Your",
        "There",
        "It",
        "They",
        "The",
        "A",
        "An",
        "Please",
        "On",
        "In",
        "At",
        "For",
        "All",
        "Some",
        "Every",
        "If",
        "We're",
    ):
        return said[:1].lower() + said[1:]
    if (
        stem(first.lower()) in asked.stems
        and not first[1:].isupper()
        and " " in said
        and not said.split()[1][:1].isupper()
    ):
        return said[:1].lower() + said[1:]
    return lower_first(said)


def _whole(fact: Fact, notes: Notes) -> str:
    """A fact that begins with 'It' needs the sentence before."""
    if fact.needs_previous and fact.place > 0:
        before = notes.facts[fact.place - 1]
        return f"{before.said} {fact.said}"
    return fact.said


def _listed(facts: Sequence[Fact], most: int = 6) -> str:
    """Items of one section as one sentence."""
    said = [fact.said.rstrip(".") for fact in facts]
    if all(len(one.split()) <= 16 for one in said):
        shown = [
            said[0],
            *[
                lower_first(one) if one.split()[0] in ("We", "Our", "On", "The", "A") else one
                for one in said[1:most]
            ],
        ]
        more = len(said) - len(shown)
        return f"{joined(shown)}{', among others' if more > 0 else ''}."
    return " ".join(fact.said for fact in facts[:2])


def topics(notes: Notes) -> list[str]:
    """What the facts are about, in the agent's own words, most telling first."""
    found: dict[str, int] = {}
    for fact in notes.facts:
        for aspect in fact.aspects | fact.context_aspects:
            if aspect not in (
                "duration",
                "services",
                "booking",
                "staff",
                "contact",
                "access",
                "language",
                "status",
            ):
                found[aspect] = found.get(aspect, 0) + 1
    order = sorted(found, key=lambda aspect: (_RANK.get(aspect, 50), -found[aspect]))
    said = [ASPECTS[aspect][0] for aspect in order]
    if not said:
        said = list(
            dict.fromkeys(
                fact.section.lower()
                for fact in notes.facts
                if fact.section and len(fact.section.split()) < 4
            )
        )
    return said[:4]


_RANK = {
    aspect: place
    for place, aspect in enumerate(
        (
            "hours",
            "price",
            "menu",
            "delivery",
            "location",
            "parking",
            "payment",
            "insurance",
            "checkin",
            "cancel",
            "refund",
            "wifi",
            "pets",
            "diet",
        )
    )
}


_DEEDS = bag(
    "order book reserve buy get make take speak talk change cancel pay use eat drink "
    "sell offer carry stock bring"
)


def named_thing(asked: Query, notes: Notes) -> str:
    """The words of a question that no fact knows, as the caller said them: 'root canal'."""
    unknown = {
        one
        for one in asked.stems
        if one not in LIGHT
        and one not in notes.vocabulary
        and not aspects_of(one)
        and not any(akin(one, known) >= 0.7 for known in notes.vocabulary)
    }
    if not (asked.polar or asked.terms):
        return ""
    words = [word for word in normal(asked.text).split() if word not in _DEEDS]
    run: list[str] = []
    for word in words:
        if stem(word) in unknown and not is_stop(word) and word.isalpha():
            run.append(word)
        elif run:
            break
    return " ".join(run) if 0 < len(run) <= 3 else ""
