"""Choosing between everything that could be said or done: rules, tools, facts, honest words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from runner.engine.brain import smalltalk, social, steps, universal
from runner.engine.brain.answers import Found, answer, named_thing
from runner.engine.brain.dialogue import Dialogue
from runner.engine.brain.directives import leaks
from runner.engine.brain.lexicon import bag
from runner.engine.brain.notes import Notes
from runner.engine.brain.planner import Plan, Planner
from runner.engine.brain.recall import Query, follow, query, rank
from runner.engine.brain.rules import FAILED, Rule
from runner.engine.brain.slots import DATE, MOMENT, TIME
from runner.engine.brain.toolbox import TO_BOOK, WORDY, Tool, best, does
from runner.engine.brain.toolnames import named_in, person_tool, target
from runner.engine.brain.words import LIGHT, akin, aspects_of, content
from runner.engine.ports import Call

_MIXED = bag("diet payment language staff services access menu checkin contact")
#: A thing by its name: "do you have a pool" asks for no name.
_SEEKS = re.compile(
    r"^(?:(?:do|have) you (?:have|got)|is there|are there|i am looking for|have you got|"
    r"can you (?:find|look up)|search for|look up) (?!an?\b|any|the\b|some|my\b|enough|it\b|that)"
)
_COMPARED = frozenset(
    content("more than over larger bigger greater least fewer less under smaller exceeding")
) | frozenset(map(str, range(100)))


@dataclass(frozen=True, slots=True)
class Reply:
    """``fits`` is False for the honest words that nothing was found."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    fits: bool = True
    verbatim: bool = False


def planned(plan: Plan) -> Reply:
    """A plan's question, or its call, as the reply."""
    return Reply(plan.question, [plan.call] if plan.call else [])


class Choice:
    """Answers one request of the caller. ``tools`` are those that may be used now."""

    def __init__(
        self, dialogue: Dialogue, notes: Notes, tools: Sequence[Tool], planner: Planner
    ) -> None:
        self.dialogue = dialogue
        self.notes = notes
        self.tools = tools
        self.planner = planner

    def query_of(self, text: str) -> Query:
        return query(universal.stripped(text))

    def resolved(self, place: int, text: str = "") -> Query:
        """The caller's question at ``place``, with what it leaves out taken from those before."""
        before: Query | None = None
        for at in self.dialogue.users():
            last = at >= place
            words = text if last and text else self.dialogue.turns[at].text
            now = follow(self.query_of(words), before)
            if not last and self.planner.answered(at) and not now.terms:
                continue  # an answer to a question of ours, not a question
            if last:
                return now
            if not (now.empty and not now.days) and not universal.intent_of(words):
                before = now
        return self.query_of(text)

    def request(self, asked: Query) -> Reply:
        reached = re.match(
            r"(?:is this|have i reached|did i reach|am i at) (?:the |a )?", asked.text
        )
        if reached and set(asked.stems) and set(asked.stems) <= self.notes.itself:
            return Reply(f"Yes, this is {social.introduction(self.notes.persona)}. {social.HELP}")
        if re.search(FAILED, asked.text) and (said := self.said_by_rule("failed")):
            return said
        small = smalltalk.small_talk(asked.text)
        tool, fits = best(
            self.tools, asked, self.notes.itself, look_first=not self.planner.looked_up()
        )
        found = answer(asked, self.notes)
        known = found.score if found else 0.0
        refused = self._refused(asked, found)
        if refused:
            return Reply(refused)
        # What a caller tells, rather than asks, is for a rule before it is for a fact.
        telling = not (asked.polar or asked.terms or asked.request or asked.inherited)
        rule, held = self._rule(asked, 0.5 if telling else 0.6)
        # "There is a charge I did not make" has the shape of a question and is none.
        tells = telling or (asked.personal and asked.text.startswith(("there is", "it is")))
        if tells and tool is not None and tool.handoff and fits >= max(0.6, held):
            return planned(self.planner.plan(tool))
        if (
            rule is not None
            and held >= (0.45 if telling else 0.55)
            and (held >= known - 0.2 or telling)
            and (telling or not (found and found.own and known > held))
        ):
            said = self.perform(rule)
            acts = tool is not None and fits >= 0.6 and asked.request and not (said and said.calls)
            if said is not None and not (acts and not asked.terms):
                return said
        if (
            small
            and (known < 0.7 or (found and not found.own) or "favo" in asked.text)
            and (fits < 0.4 or "favo" in asked.text)
        ):
            return Reply(f"{small} {social.HELP}")
        if tool is not None and self._acts(tool, fits, asked, found):
            return planned(self.planner.plan(tool))
        if found is not None:
            return Reply(found.text)
        weak, half = self._rule(asked, 0.5)
        if tool is not None and fits >= 0.4 and not asked.inherited and not (weak and half > fits):
            return planned(self.planner.plan(tool))
        sought = self._finder(asked)
        if sought is not None:
            return planned(self.planner.plan(sought))
        near = rank(asked, self.notes)
        if asked.request and near and near[0].own and near[0].score >= 0.45:
            return Reply(
                f"I cannot arrange that from here, I am sorry. What I can tell you: "
                f"{near[0].fact.said}"
            )
        said = self.perform(weak) if weak else None
        if said is not None:
            return said
        if any(akin(one, "upset") >= 0.75 for one in asked.stems):
            return self.soothe()
        rule = self.tagged("unknown")
        said = self.perform(rule) if rule else None
        if said is not None:
            return Reply(said.text, said.calls, fits=bool(said.calls))
        return Reply(
            social.fallback(
                self.notes, self.tools, self.dialogue, named_thing(asked, self.notes), asked.polar
            ),
            fits=False,
        )

    def _finder(self, asked: Query) -> Tool | None:
        """'Do you have Harry Potter': a name that no fact has, and a tool that looks things up."""
        if not _SEEKS.match(asked.text) or asked.inherited or not asked.topic:
            return None
        return next(
            (
                tool
                for tool in self.tools
                if tool.reads
                and not tool.handoff
                and len(tool.required) == 1
                and tool.required[0].kind in WORDY
            ),
            None,
        )

    def _acts(self, tool: Tool, fits: float, asked: Query, found: Found | None) -> bool:
        """Whether to use the tool rather than to tell a fact."""
        known = found.score if found else 0.0
        if (
            found
            and found.own
            and known >= 0.6
            and not (asked.request or asked.personal or asked.days or asked.times)
        ):
            return False
        if (
            found
            and found.own
            and not (asked.days or asked.times or tool.handoff or does(tool, asked))
        ):
            return False
        if (
            found
            and found.own
            and "hours" in asked.aspects
            and not asked.aspects & {"booking", "cancel"}
        ):
            return False
        dated = any(slot.kind in (DATE, TIME, MOMENT) for slot in tool.slots) and bool(
            asked.days or asked.times
        )
        if dated and tool.reads and not asked.aspects & {"price", "hours", "duration", "location"}:
            return fits >= 0.4 and fits >= known - 0.5
        if asked.terms and not asked.request and not tool.reads and not tool.handoff:
            return False
        if asked.terms and not (asked.days or asked.times) and known >= 0.5 and fits < known + 0.15:
            return False
        if tool.handoff:
            return fits >= 0.45 and (known < 0.8 or (asked.request and not asked.terms))
        if asked.terms:
            return fits >= 0.4 and fits > known - 0.05
        if asked.days or asked.times:
            return fits >= 0.4 and fits >= known - 0.35
        if asked.request:
            return fits >= 0.4 and fits >= known - 0.2
        if not tool.reads and not any(one in tool.core | tool.verbs for one in asked.stems):
            return False  # nothing was asked to be done
        return fits >= 0.45 and fits >= known - 0.1

    def _refused(self, asked: Query, found: Found | None) -> str:
        if found and found.own and found.score > 0.85:
            return ""
        for refusal in self.notes.refusals:
            if re.search(r"\bothers?\b", refusal.what) and "other" not in asked.text:
                continue  # other shops, not this one
            met = [
                one
                for one in refusal.stems
                if any(akin(one, other) >= 0.75 for other in asked.stems)
            ]
            if len(met) == len(refusal.stems) or (
                len(refusal.stems) > 1 and len(met) >= 0.66 * len(refusal.stems)
            ):
                return f"I am sorry, I cannot help with {refusal.what}. {social.ELSE}"
        return ""

    def _rule(self, asked: Query, least: float = 0.6) -> tuple[Rule | None, float]:
        """The rule whose condition the caller's words meet best."""
        top: tuple[Rule | None, float] = (None, 0.0)
        words = (*asked.stems, *asked.inherited)
        if TO_BOOK.search(asked.text):
            words = tuple(one for one in words if one != "book") or words
        meaning = [one for one in words if one not in LIGHT] or list(words)
        for rule in self.notes.rules:
            if not rule.steps:
                continue
            if not rule.admits(asked.numbers):
                continue
            if (
                rule.wish
                and asked.terms
                and not asked.days
                and re.match(r"(?:what|when|where|who|how|which|why|do|does|is|are)\b", asked.text)
            ):
                continue  # "wants to book" is not asked by "how do I prepare for my booking"
            if "upset" in rule.tags and any(akin(one, "upset") >= 0.75 for one in words):
                top = (rule, 0.8) if top[1] < 0.8 else top
            for stems in rule.when:
                if stems == {"book"} and TO_BOOK.search(asked.text):
                    continue  # "asks for a book" is not "can I book a room"
                stems = stems - _COMPARED if rule.limit else stems
                if not stems:
                    continue
                fits = {
                    one: max((_fit(one, other) for other in words), default=0.0) for one in stems
                }
                loose = max(
                    (
                        0.7 * (aspect in aspects_of(one))
                        for one in stems
                        for aspect in asked.aspects
                    ),
                    default=0.0,
                )
                met = sum(
                    max(fit, loose if aspects_of(one) else 0.0) for one, fit in fits.items()
                ) / len(stems)
                spoken = sum(
                    any(_fit(one, other) >= 0.6 for one in stems) for other in meaning
                ) / max(1, len(meaning))
                value = 0.8 * met + 0.2 * spoken + 0.15 * (rule.limit is not None)
                if met >= least and value > top[1]:
                    top = (rule, value)
        return top

    def tagged(self, tag: str) -> Rule | None:
        return next((rule for rule in self.notes.rules if tag in rule.tags and rule.steps), None)

    def farewell(self) -> Reply:
        """Goodbye in the rule's words or our own; a tool that ends the call is called with it."""
        said = self.said_by_rule("bye") or Reply(social.goodbye(self.notes.persona))
        plain = (tool for tool in self.tools if not any(slot.required for slot in tool.slots))
        ending = next((tool for tool in plain if tool.ends), None)
        if ending is None or said.calls:
            return said
        return replace(said, calls=[Call(ending.name, "{}")])

    def said_by_rule(self, tag: str) -> Reply | None:
        rule = self.tagged(tag)
        return self.perform(rule) if rule else None

    def perform(self, rule: Rule) -> Reply | None:
        """A rule's steps as speech and at most one call; None when nothing of it can be done."""
        said: list[str] = []
        for step in rule.steps:
            if step.kind == steps.SAY:
                if not leaks(step.text):
                    said.append(step.text)
            elif step.kind == steps.DO:
                tool = named_in(step.text, self.tools)
                if tool is not None:
                    plan = self.planner.plan(tool)
                    # The plan asks for what is missing; a rule's own "ask for the dates" is that.
                    said = [one for one in said if not one.endswith("?")]
                    said += [plan.question] if plan.question else []
                    return Reply(" ".join(said), [plan.call] if plan.call else [])
                known = answer(query(step.text), self.notes)
                if known is not None and known.own:
                    said.append(known.text)
            elif step.kind == steps.REFUSE and not said:
                said.append("I am sorry, that is something I cannot help with.")
        return Reply(" ".join(dict.fromkeys(said[:3]))) if said else None

    def person(self, text: str | None) -> Reply:
        rule = self.said_by_rule("person")
        tool = person_tool(self.tools)
        if tool is None and text is not None:
            asked = best([one for one in self.tools if one.handoff], self.query_of(text))
            tool = asked[0] if asked[1] >= 0.3 else None
        if rule is not None and (rule.calls or tool is None):
            return rule
        if tool is not None:
            return planned(self.planner.plan(tool))
        contact = answer(query("what is your phone number"), self.notes)
        known = f" {contact.text}" if contact and contact.own else ""
        return Reply(
            f"I am sorry, I cannot put you through to a person from here.{known} {social.HELP}"
        )

    def accepted(self, offer: str) -> Reply:
        """The caller wants what the agent offered to do."""
        if re.search(r"\b(?:connect|transfer|put)\b|\bperson\b|\bcolleague\b", offer):
            tool = named_in(f"transfer {offer}", self.tools) or person_tool(self.tools)
            if tool is not None:
                return planned(self.planner.plan(tool))
            return self.person(None)
        tool = named_in(offer, self.tools) or best(self.tools, self.query_of(offer))[0]
        if tool is not None:
            return planned(self.planner.plan(tool))
        return Reply(
            "Very well. I have no way to arrange that from here, so please tell us when you come "
            "in or call again."
        )

    def soothe(self) -> Reply:
        """For a caller who is upset."""
        person = person_tool(self.tools)
        if person is None:
            return Reply("I am sorry that this is frustrating. What can I do to help?")
        return Reply(
            f"I am sorry that this is frustrating. Would you like me to connect you with "
            f"{target(person)}?"
        )


def _fit(one: str, other: str) -> float:
    alike = aspects_of(one) & aspects_of(other) - _MIXED
    return max(akin(one, other), 0.7 * bool(alike))
