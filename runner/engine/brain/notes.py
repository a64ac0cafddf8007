"""What a prompt says, sorted: who the agent is, facts, rules, and what it must not do.

Only facts and the speech of rules are ever spoken; sentences that instruct the agent are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from runner.engine.brain.directives import (
    ABILITY,
    BEHAVIOUR,
    DIRECTIVE,
    FACTUAL,
    MILD,
    OF_CALLER,
    OF_WORK,
    REFUSED,
    REMIND,
    TOLD,
    aspects_in,
    leaks,
)
from runner.engine.brain.outline import Line, outline
from runner.engine.brain.persona import Persona, is_persona, persona_in
from runner.engine.brain.phrasing import price_items, said_item, said_pair, said_statement
from runner.engine.brain.rules import Rule, rule_in
from runner.engine.brain.speech import on_day_clock, sentence, sentences, spoken, to_caller
from runner.engine.brain.times import Now, now_in
from runner.engine.brain.words import aspects_of, content, normal, stem, tokens


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that may be told. ``stems`` are its own words, ``context`` those around it."""

    said: str
    stems: frozenset[str]
    context: frozenset[str]
    aspects: frozenset[str]
    context_aspects: frozenset[str]
    section: str
    place: int
    item: bool = False
    needs_previous: bool = False
    source: str = ""
    named: frozenset[str] = frozenset()  # the stems of a heading of one or two words


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something the agent was told not to do: what it is, and the words that ask for it."""

    what: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class Notes:
    persona: Persona
    facts: tuple[Fact, ...] = ()
    rules: tuple[Rule, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    abilities: tuple[str, ...] = ()
    now: Now | None = None
    vocabulary: dict[str, int] = field(default_factory=dict)  # stem -> number of facts with it
    itself: frozenset[str] = frozenset()  # words for the business as such


_SAYS_ALL = re.compile(
    r"^(?:if|when|whenever)\b[^:]{4,200}\b(?:say|tell them|answer|reply|respond)(?: this|"
    r" the following)?:\s+[^\"“]",
    re.I,
)
_ENDS_SPEECH = re.compile(
    r"^(?:if the|if a|if some|if they|when the|when a|when some|whenever|never|always|"
    r"do not|then)\b",
    re.I,
)


@lru_cache(maxsize=64)
def read(instructions: str) -> Notes:
    """Sort ``instructions``. Any text will do; what is not understood is left out."""
    lines = outline(instructions[:60_000])
    now = now_in(instructions)
    reader = _Reader(persona_in(lines), on_day_clock(_without_now(instructions, now)), now)
    for line in lines:
        reader.line(line)
    vocabulary: dict[str, int] = {}
    for fact in reader.facts:
        for one in fact.stems | fact.context:
            vocabulary[one] = vocabulary.get(one, 0) + 1
    return Notes(
        reader.persona,
        tuple(reader.facts),
        tuple(reader.rules),
        tuple(reader.refusals),
        tuple(reader.abilities),
        now,
        vocabulary,
        frozenset(
            content(
                f"{reader.persona.business} {_trade(reader.persona)} shop store place office "
                "business "
                f"company guys"
            )
        ),
    )


def _trade(persona: Persona) -> str:
    """'an online lamp shop' of 'an online lamp shop in Porto'."""
    return " ".join(re.split(r"\b(?:in|at|on|near|located)\b", about)[0] for about in persona.about)


def _without_now(text: str, now: Now | None) -> str:
    return text.replace(now.line, "") if now else text


class _Reader:
    """Goes through the lines once, remembering what a pronoun may point back to."""

    def __init__(self, persona: Persona, clock: bool, now: Now | None) -> None:
        self.persona = persona
        self.clock = clock
        self.now = now
        self.facts: list[Fact] = []
        self.rules: list[Rule] = []
        self.refusals: list[Refusal] = []
        self.abilities: list[str] = []
        self._names = persona.own_names
        self._previous: Fact | None = None
        self._headings: tuple[str, ...] = ()

    def line(self, line: Line) -> None:
        headings = " / ".join(line.headings[-2:])
        behaving = bool(BEHAVIOUR.search(headings)) and not FACTUAL.search(headings)
        if line.key:
            self._pair(line, behaving)
            return
        if line.headings != self._headings:
            self._previous, self._headings = None, line.headings
        if any(head.endswith("?") for head in line.headings[-1:]):
            self._answer(line)
            return
        texts = sentences(line.text)
        while texts:
            text = texts.pop(0)
            if _SAYS_ALL.match(text):
                # What follows "say:" is all to be said, up to the next condition or order.
                while texts and not _ENDS_SPEECH.match(texts[0]):
                    text += f" {texts.pop(0)}"
            self._sentence(text, line, behaving)

    def _answer(self, line: Line) -> None:
        said = " ".join(
            said_statement(one, self._names, self.clock) for one in sentences(line.text)
        )
        self._add(said, line.text + " " + line.headings[-1], line, item=False)

    def _pair(self, line: Line, behaving: bool) -> None:
        key = line.key
        rule = rule_in(f"{key}: {line.text}")
        if rule is not None:
            self.rules.append(rule)
            return
        plain = normal(key)
        if plain in (
            "name",
            "agent name",
            "assistant name",
            "business",
            "company",
            "agent",
            "assistant",
            "restaurant",
            "hotel",
            "clinic",
            "shop",
            "business name",
            "company name",
        ):
            return
        own = BEHAVIOUR.search(key) and not FACTUAL.search(key)
        if own or plain in (
            "note",
            "important",
            "example",
            "job",
            "who you are",
            "greeting",
            "character",
        ):
            for one in sentences(line.text):
                self._sentence(one, line, bool(own) or behaving)
            return
        if behaving and not re.search(r"\d|\bwe\b|\bour\b", line.text):
            return
        if DIRECTIVE.match(line.text) and OF_CALLER.search(line.text):
            return
        if price_items(line.text):
            for part in price_items(line.text):
                self._add(
                    said_item(part, self._names, self.clock), f"{part} {key}", line, item=True
                )
            return
        first, *more = sentences(line.text) or [line.text]
        if re.search(r"[;]| \d", line.text) and len(more) and not re.search(r"[a-z]{3}", first):
            first, more = line.text, []
        self._previous = None
        known = any(aspects_of(stem(word)) for word in tokens(key)) and not behaving
        if len(first.split()) < 3 or known or not DIRECTIVE.match(first) or MILD.match(first):
            self._add(
                said_pair(key, first, self._names, self.clock),
                f"{key} {first}",
                line,
                item=line.item,
            )
        for one in more:
            self._sentence(one, line, behaving)

    def _sentence(self, text: str, line: Line, behaving: bool) -> None:
        plain = spoken(text, self.clock)
        if (self.now and self.now.line[:20] in text) or len(plain) < 4 or is_persona(plain):
            self._from_persona(plain, line)
            return
        rule = rule_in(text)
        if rule is not None:
            self.rules.append(rule)
            return
        if self._told(text, line) or self._refused(plain):
            return
        near = f"{line.key} {line.headings[-1] if line.headings else ''}"
        factual = not behaving and bool(
            FACTUAL.search(near) or any(aspects_of(stem(word)) for word in tokens(near))
        )
        # "You can" is the agent where the prompt speaks of the agent, elsewhere the customer.
        if (
            behaving or is_persona(spoken(line.text, self.clock)) or (not line.item and not factual)
        ) and self._ability(plain):
            return
        mild = factual and MILD.match(plain) and not OF_CALLER.search(plain)
        if DIRECTIVE.match(plain) and not mild:
            return
        if OF_WORK.match(plain):
            return
        if behaving and not re.search(r"\d|\b(?:we|our|us)\b", plain, re.I):
            return
        if re.search(r"\byou(?:r)?\b", plain, re.I) and re.match(
            r"you\b(?! can| may| must| need| get| will| find| pay)", plain, re.I
        ):
            return
        if mild and re.match(r"(?:do not|don't)\b", plain, re.I):
            plain = f"Please {plain[:1].lower()}{plain[1:]}"
        led = re.match(
            r"^(?:we (?:have|offer|serve|sell)|(?:our|the) ([\w -]{3,40}?)(?: prices)? (?:are|"
            r"include|includes))[:,]?\s+(.+)$",
            plain,
            re.I,
        )
        items = price_items(led[2]) if led else []
        if items and led:
            line = replace(line, headings=(*line.headings, led[1] or "menu"))
        items = items or price_items(plain)
        for part in items:
            self._add(said_item(part, self._names, self.clock), part, line, item=True)
        if not items:
            self._add(
                said_statement(text if not mild else plain, self._names, self.clock),
                plain,
                line,
                line.item,
            )

    def _from_persona(self, plain: str, line: Line) -> None:
        """'You are the desk of X, a dental clinic in Y' also says what X is."""
        if self.now and self.now.line[:20] in plain:
            return
        self._ability(plain)
        for tail in self.persona.about:
            if tail and tail in plain:
                self._add(sentence(f"we are {spoken(tail, self.clock)}"), tail, line, item=False)

    def _told(self, text: str, line: Line) -> bool:
        """'Tell callers that we are closed in July' is a fact in a rule's clothes."""
        told = TOLD.match(text)
        if told and told[1] and not re.search(r"\b(?:if|when|unless)\b", told[2]):
            self._add(
                said_statement(to_caller(told[2]), self._names, self.clock),
                told[2],
                line,
                item=False,
            )
            return True
        remind = REMIND.match(text)
        if remind and not re.search(
            r"\b(?:if|when|unless|hold|wait|spell|repeat|confirm|speak)\b", remind[1]
        ):
            said = sentence("please " + spoken(to_caller(remind[1]), self.clock))
            self._add(said, remind[1], line, item=False)
            return True
        return False

    def _refused(self, plain: str) -> bool:
        refused = REFUSED.match(plain)
        if refused is None:
            return False
        what = re.split(
            r"\b(?:unless|until|without|before|if|when|except|aloud|out loud|to (?:the|a|any)|"
            r"over)\b|[,.;]",
            refused[1],
        )[0]
        what = re.sub(r"^(?:any|a|an|the|specific|about)\s+", "", what.strip(), flags=re.I)
        stems = frozenset(content(what))
        if (
            what
            and stems
            and len(what.split()) <= 6
            and not re.search(r"\b(?:your|you|these|this|it|more than|up|sure)\b", what, re.I)
        ) and not re.search(
            r"_|\b(?:instruction|prompt|slots?|times?|questions?|lists?|answers?|bookings?|"
            r"assumptions?|details|information)s?\b",
            what,
        ):
            self.refusals.append(Refusal(to_caller(what), stems))
        return True

    def _ability(self, plain: str) -> bool:
        match = ABILITY.match(plain.rstrip("."))
        if match is None:
            return False
        if match[2]:
            gerund = re.match(
                r"(?:book|order|find|choose|get|make|track|cancel|plan|buy|learn|solve|reset)\b",
                match[2],
            )
            ability = f"help you {'' if gerund else 'with '}{to_caller(match[2])}"
        else:
            ability = to_caller(match[3] or match[4])
        ability = re.sub(r"\bby \w+ing .*|\busing .*|\bwith the \w+ tool.*", "", ability).strip(
            " ,."
        )
        if 0 < len(ability) < 140 and not leaks(ability):
            self.abilities.append(ability)
        return True

    def _add(self, said: str, source: str, line: Line, item: bool) -> None:
        if not said or leaks(said) or len(said) > 600:
            return
        heads = [head for head in line.headings if not head.endswith("?")][-2:]
        around = " ".join([*heads, line.key])
        refers = bool(
            re.match(r"(?:It|They|This|These|That|Both|He|She|The price|The fee)\b", said)
        )
        previous = self._previous
        own = frozenset(content(source)) | frozenset(content(said))
        context = frozenset(content(around)) - own
        if refers and previous is not None:
            context |= previous.stems | (
                previous.context if previous.needs_previous else frozenset()
            )
        self.facts.append(
            Fact(
                said=said,
                stems=own,
                context=context,
                aspects=aspects_in(f"{source} {said}"),
                context_aspects=aspects_in(around),
                section=heads[-1] if heads else "",
                place=len(self.facts),
                item=item,
                needs_previous=refers and previous is not None,
                source=spoken(source, self.clock),
                named=frozenset(content(heads[-1]))
                if heads and len(content(heads[-1])) == 1
                else frozenset(),
            )
        )
        self._previous = self.facts[-1]
