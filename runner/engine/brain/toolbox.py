"""The tools and handoffs that came over the wire: which one a caller means, and its arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.engine.brain import slots as kinds
from runner.engine.brain.lexicon import bag, row
from runner.engine.brain.recall import Query
from runner.engine.brain.slots import Slot, slots_of
from runner.engine.brain.words import (
    LIGHT,
    akin,
    aspects_of,
    content,
    is_stop,
    plain_words,
    stem,
)

# Verbs of names that say how a tool works rather than what it is about.
_READS = bag(
    "find get list check lookup look search fetch show query read available availability "
    "free status track see"
)
_PLAIN = bag(
    """
    find get list check lookup look search fetch show query read do make create set update
    run call tool function perform execute handle process retrieve return use user caller
    customer new add submit by for to of the a an and from in on with api my
    """
)
_ACTS = (
    bag("book reserve schedule create make appoint arrang"),
    bag("cancel delet remov"),
    bag("move change reschedul updat modif"),
    bag("order buy purchas plac"),
)
WORDY = (
    kinds.PERSON,
    kinds.PLACE,
    kinds.THING,
    kinds.WHOLE,
    kinds.CODE,
    kinds.LIST,
    kinds.ADDRESS,
    kinds.CHOICE,
)
_END_NAMES = re.compile(
    r"^(?:end|hang|hangup|finish|terminate)_?(?:the_?)?(?:call|up|conversation|session)?$"
)
# What the SDK writes in front of every handoff's description.
TEMPLATE = re.compile(r"^Handoff to the .*? agent to handle the request\.?\s*", re.I)
# A tool's words for time say when, not what: "open" slots are no opening hours.
_WHENS = frozenset(
    stem(word)
    for word in row("open opening close hour hours time times date dates day days today week")
)
_BOOKS = re.compile(
    r"\b(?:availab\w+|slots?|openings?|free|appointments?|reservations?|bookings?|calendar)\b"
)
USUAL = frozenset(
    content(
        "use this tool function when caller customer user asks wants request needs call "
        "returns return given "
        "handoff transfer agent handle department team specialist person related question "
        "about"
    )
)


@dataclass(frozen=True, slots=True)
class Tool:
    """A function tool. ``handoff``: it hands the call on. ``core`` are the stems of its
    name that say what it is about, ``more`` those of its description."""

    name: str
    description: str
    slots: tuple[Slot, ...]
    core: frozenset[str]
    verbs: frozenset[str]
    more: frozenset[str]
    values: frozenset[str]
    handoff: bool
    ends: bool

    @property
    def reads(self) -> bool:
        """It looks something up and changes nothing, by its name."""
        words = plain_words(self.name)
        return bool(words) and (words[0] in _READS or words[-1] in _READS) and not self.handoff

    @property
    def required(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.required]

    @property
    def generic(self) -> frozenset[str]:
        """Words that only name the tool: a value has more in it than these."""
        return (
            self.stems
            | frozenset(content(f"{' '.join(plain_words(self.name))} {self.description}"))
            | _WHENS
        )

    @property
    def stems(self) -> frozenset[str]:
        return self.core | self.verbs | self.more


def tools_of(wire: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The function tools of a session; anything else (an MCP server) is not the brain's."""
    found: dict[str, Tool] = {}
    for one in wire:
        if not isinstance(one, Mapping):
            continue
        inner = one.get("function")
        if isinstance(inner, Mapping):
            one = {**inner, "type": "function"}
        name = one.get("name")
        if one.get("type", "function") != "function" or not isinstance(name, str) or not name:
            continue
        found.setdefault(
            name, _tool(name, str(one.get("description") or ""), one.get("parameters"))
        )
    return list(found.values())


def _tool(name: str, description: str, parameters: Any) -> Tool:
    handoff = bool(
        re.match(
            r"(?:transfer|handoff|hand_off|escalate|connect|forward)(?:_call|_caller)?_?(?:to|$)",
            name,
        )
    )
    about = TEMPLATE.sub("", description)
    words = plain_words(name)
    if handoff:
        words = [
            word
            for word in words
            if word
            not in (
                "transfer",
                "to",
                "handoff",
                "hand",
                "off",
                "agent",
                "escalate",
                "connect",
                "forward",
            )
        ]
    stems = [stem(word) for word in words if word not in _PLAIN and not is_stop(word)]
    verbs = {one for one in stems if any(one in act for act in _ACTS)}
    if words and words[0] in _LOOKS:
        verbs.discard("book")  # the book of find_book is a thing
    core = (
        frozenset(one for one in stems if one not in verbs and one not in _WHENS)
        or frozenset(verbs)
        or frozenset(stems)
    )
    # "Do not use for ..." says what it is not about.
    values = " ".join(
        str(choice) for slot in slots_of(parameters) for choice in slot.choices
    ).replace("_", " ")
    about = re.sub(r"\b(?:do not|don't|never|not)\b[^.;]*", " ", about, flags=re.I)
    return Tool(
        name,
        description,
        tuple(slots_of(parameters)),
        core,
        frozenset(verbs),
        frozenset(content(f"{about} {values}")) - USUAL - _WHENS - core,
        frozenset(content(values)),
        handoff,
        bool(_END_NAMES.match(name)),
    )


_LOOKS = ("find", "search", "get", "look", "lookup", "check", "list", "show")
TO_BOOK = re.compile(r"\bbook (?:a|an|the|my|me|us|for|one|it)\b")


def score(tool: Tool, asked: Query, itself: frozenset[str] = frozenset()) -> float:
    """How surely ``asked`` calls for ``tool``, 0 to 1. ``itself``: words for the business."""
    if tool.ends:
        return 0.0
    terms = [
        one
        for one in (*asked.stems, *asked.inherited, *asked.carried)
        if one not in itself and (one not in LIGHT or one in tool.core)
    ]
    if "book" not in tool.verbs and TO_BOOK.search(asked.text):
        terms = [one for one in terms if one != "book"]  # find_book books no room
    if not terms and not asked.aspects:
        return 0.0
    takes_words = tool.handoff or any(slot.kind in WORDY for slot in tool.slots)
    hit = weight = 0.0
    touched = named = False
    for one in terms:
        fit = _fit(tool, one)
        touched = touched or fit >= 0.6
        named = (
            named
            or one in tool.values
            or any(akin(one, other) >= 0.7 for other in tool.core | tool.verbs)
        )
        hit += fit
        # Words that no tool knows may be values for a parameter; they weigh little.
        weight += 1.0 if fit else (0.35 if takes_words and not aspects_of(one) else 0.7)
    tool_aspects = _aspects(tool)
    spoken_aspects = {aspect for one in terms for aspect in aspects_of(one)}
    for aspect in asked.aspects - spoken_aspects:
        met = aspect in tool_aspects
        named = named or met
        touched = touched or (met and aspect in ("booking", "cancel", "refund", "delivery"))
        hit += 0.8 * met
        weight += 0.8
    if not touched or not weight:
        return 0.0
    found = hit / weight
    if tool.core and any(one in terms for one in tool.core | tool.verbs):
        found += 0.15
    if (asked.days or asked.times) and any(
        slot.kind in (kinds.DATE, kinds.TIME, kinds.MOMENT) for slot in tool.slots
    ):
        found += 0.1
    if (
        not tool.reads
        and not tool.handoff
        and not asked.request
        and re.match(r"(?:and |so )?(?:where|what|when|who|how|which|why)\b", asked.text)
    ):
        found -= 0.25
    acts = [act for act in _ACTS if act & set(terms)]
    own = [act for act in _ACTS if act & tool.verbs]
    if acts and own and not any(act in own for act in acts):
        found -= 0.5  # "cancel my booking" is not book_table
    elif not acts and "cancel" in asked.aspects and own and own[0] is _ACTS[0]:
        found -= 0.5
    things = [
        one for one in terms if one not in tool.verbs and not any(one in act for act in _ACTS)
    ]
    about = tool.core - tool.verbs
    if (
        about
        and things
        and not tool.handoff
        and not (asked.aspects & tool_aspects)
        and not any(_fit(tool, one) >= 0.6 for one in things)
    ):
        found = min(found, 0.35)  # the verb alone: a pizza is not ordered by order_taxi
    dated = bool(asked.days or asked.times) and any(
        slot.kind in (kinds.DATE, kinds.TIME, kinds.MOMENT) for slot in tool.slots
    )
    if not (named or dated or tool.handoff):
        # Only its description has the word: enough for a request, not for a question.
        found = min(found, 0.5) if asked.request and not asked.terms else min(found, 0.3)
    return max(0.0, min(1.0, found))


def does(tool: Tool, asked: Query) -> bool:
    """Whether ``asked`` speaks of what the tool does, not only of a value that it takes."""
    return bool(asked.aspects & _aspects(tool)) or any(
        akin(one, other) >= 0.7 for one in asked.stems for other in tool.core | tool.verbs
    )


def _fit(tool: Tool, one: str) -> float:
    if one in tool.core or one in tool.verbs:
        return 1.0
    best = max((akin(one, other) for other in tool.core | tool.verbs), default=0.0)
    if one in tool.more:
        best = max(best, 0.85)
    elif best < 0.7:
        best = max(best, 0.8 * max((akin(one, other) for other in tool.more), default=0.0))
    if best < 0.6 and aspects_of(one) & _aspects(tool):
        best = 0.6
    return best


def _aspects(tool: Tool) -> frozenset[str]:
    # The book of find_book is a thing, not a booking.
    words = tool.core | tool.verbs if "book" in tool.verbs else tool.core - {"book"} | tool.verbs
    found = {aspect for one in words for aspect in aspects_of(one)}
    # A description names other things beside what the tool does; only its booking words count.
    found |= {
        a
        for one in tool.more
        for a in aspects_of(one)
        if a in ("booking", "cancel", "refund", "delivery", "price", "payment", "menu")
    }
    if _BOOKS.search(" ".join(plain_words(tool.name))):
        found.add("booking")
    if tool.handoff:
        found.discard("staff")  # asking who works there is not asking to be put through
    return frozenset(found)


def best(
    tools: Sequence[Tool],
    asked: Query,
    itself: frozenset[str] = frozenset(),
    look_first: bool = False,
) -> tuple[Tool | None, float]:
    """The tool that ``asked`` most likely calls for; the first among equals. ``look_first``: what
    is free is not known yet, so a tool that tells it goes before the one that books."""
    ranked = sorted(
        ((score(tool, asked, itself), -place, tool) for place, tool in enumerate(tools)),
        key=lambda one: one[:2],
        reverse=True,
    )
    if not ranked or ranked[0][0] <= 0:
        return None, 0.0
    top, _, tool = ranked[0]
    if tool.reads or tool.handoff:
        return tool, top
    # To book without knowing what is free, look first.
    timed = [slot for slot in tool.slots if slot.kind in (kinds.TIME, kinds.MOMENT)]
    if timed and tool.verbs & _ACTS[0] and look_first:
        for value, _, other in ranked[1:]:
            if (
                other.reads
                and value >= 0.3
                and _aspects(other) & _aspects(tool) & {"booking", "services"}
            ):
                return other, top
    return tool, top


def nested(values: Sequence[tuple[Slot, Any]]) -> dict[str, Any]:
    """Slot values as the arguments object of the schema."""
    arguments: dict[str, Any] = {}
    for slot, value in values:
        place = arguments
        for key in slot.path[:-1]:
            place = place.setdefault(key, {})
        place[slot.name] = value
    return arguments
