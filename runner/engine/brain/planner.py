"""Filling a tool over several turns: what is known, what to ask next, when to call.

Nothing is kept between turns. What was asked is read back from the agent's own last question,
which for a given parameter is always the same sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runner.codec import dumps, loads
from runner.engine.brain import slots as kinds
from runner.engine.brain.dialogue import CALL, OUTPUT, USER, Dialogue
from runner.engine.brain.fill import clock, moment, value_of
from runner.engine.brain.hours import hours_facts
from runner.engine.brain.notes import Notes
from runner.engine.brain.recall import query
from runner.engine.brain.results import THAT, WHICH
from runner.engine.brain.said import Said
from runner.engine.brain.schedule import schedule
from runner.engine.brain.slots import Slot, ask_for
from runner.engine.brain.speech import sentences
from runner.engine.brain.times import find_times, said_time
from runner.engine.brain.toolbox import Tool, nested
from runner.engine.brain.words import normal, ordinal_at, tokens
from runner.engine.ports import Call

ANOTHER = "Would another day suit you?"
_OURS = (WHICH, THAT, ANOTHER)
# What these take is told by its place in a sentence, not by its shape.
_LOOSE = (kinds.THING, kinds.WHOLE, kinds.PLACE, kinds.LIST, kinds.CODE, kinds.ADDRESS)
_CORRECTS = re.compile(
    r"(?:ok |oh |um |sorry )*(?:no|actually|wait|i mean|i meant|make (?:it|that)|"
    r"change (?:it|that)|rather|can we make|can you make|could we make)\b|.*\binstead$"
)
# Digits said for these are no times and no counts.
_DIGITS = (kinds.CODE, kinds.PHONE, kinds.COUNT)
_LASTING = (kinds.PERSON, kinds.PHONE, kinds.EMAIL)


@dataclass(frozen=True, slots=True)
class Plan:
    """Either a question for the first missing slot, or the call."""

    question: str = ""
    call: Call | None = None


def question_in(text: str) -> str:
    """The last question of what the agent said, '' when it did not end with one."""
    said = sentences(text)
    return said[-1] if said and said[-1].endswith("?") else ""


class Planner:
    def __init__(self, dialogue: Dialogue, notes: Notes, tools: Sequence[Tool]) -> None:
        self.dialogue = dialogue
        self.tools = tools
        self.today = notes.now.today if notes.now else None
        week = schedule(fact.said for fact in hours_facts(notes))
        spans = [span for day in week.values() for span in day]
        self.opens = min((opens for opens, _ in spans), default=6 * 60)
        self._questions = {ask_for(slot) for tool in tools for slot in tool.slots}

    def asked(self) -> list[tuple[Tool, Slot]]:
        """The slots that the agent's last question may have been for."""
        places = self.dialogue.users()
        agent = self.dialogue.agent_before(places[-1]) if places else None
        question = question_in(agent.text) if agent else ""
        if not question:
            return []
        return [
            (tool, slot) for tool in self.tools for slot in tool.slots if ask_for(slot) == question
        ]

    @property
    def correcting(self) -> bool:
        """The caller's turn changes what was just arranged: 'no, make that Friday'."""
        return bool(_CORRECTS.match(normal(self.dialogue.pending)))

    def answered(self, place: int) -> bool:
        """Whether the turn at ``place`` came as the answer to a question for a parameter."""
        agent = self.dialogue.agent_before(place)
        return bool(agent) and question_in(agent.text) in self._questions if agent else False

    def chain(self) -> list[int]:
        """The caller's turns that belong to the request now under way, latest first."""
        places = self.dialogue.users()
        found: list[int] = []
        for place in reversed(places):
            found.append(place)
            agent = self.dialogue.agent_before(place)
            question = question_in(agent.text) if agent else ""
            if agent is None and place and self.dialogue.turns[place - 1].who == USER:
                continue  # two turns in a row are one request
            if question not in self._questions and question not in _OURS:
                break
        return found[:12]

    def started_with(self) -> str:
        """The words that began the request under way."""
        chain = self.chain()
        return self.dialogue.turns[chain[-1]].text if chain else ""

    def plan(self, tool: Tool, must_call: bool = False) -> Plan:
        values: list[tuple[Slot, Any]] = []
        missing: Slot | None = None
        for slot in tool.slots:
            value = self._value(tool, slot)
            if value is None and slot.required and must_call:
                value = _any(slot, self.dialogue.pending)
            if value is not None:
                values.append((slot, value))
            elif slot.required and missing is None:
                missing = slot
        if missing is not None:
            return Plan(question=ask_for(missing))
        return Plan(call=Call(tool.name, dumps(nested(values))))

    def _value(self, tool: Tool, slot: Slot) -> Any:
        chain = self.chain()
        timed = any(one.kind in (kinds.TIME, kinds.MOMENT) for one in tool.slots)
        numbers = sum(one.kind == kinds.COUNT for one in tool.slots)
        everyone = self.dialogue.users()[::-1] if slot.kind in _LASTING else chain
        for place in everyone:
            other = self._other_asked(place, slot)
            if other and (slot.kind in _LOOSE or other in _DIGITS):
                continue
            if place != chain[-1] and place != chain[0] and self._aside(place):
                continue
            said = self._said(place, slot, tool, numbers == 1 and not (self.correcting and timed))
            value = self._picked(slot, place) if slot.kind in (kinds.TIME, kinds.MOMENT) else None
            if value is None:
                value = value_of(slot, said)
            if value is not None:
                return value
        if slot.kind == kinds.MOMENT:
            value = self._moment(slot, chain)
            if value is not None:
                return value
        return self._before(tool, slot, chain)

    def _other_asked(self, place: int, slot: Slot) -> str:
        """The kind of another parameter whose question the turn answers, '' for none."""
        agent = self.dialogue.agent_before(place)
        question = question_in(agent.text) if agent else ""
        if not question or question == ask_for(slot):
            return ""
        slots = (one for tool in self.tools for one in tool.slots)
        return next((one.kind for one in slots if ask_for(one) == question), "")

    def _aside(self, place: int) -> bool:
        """A question in between, answered from the facts."""
        asked = query(self.dialogue.turns[place].text)
        return asked.terms and not asked.request

    def _said(self, place: int, slot: Slot, tool: Tool, alone: bool) -> Said:
        agent = self.dialogue.agent_before(place)
        question = question_in(agent.text) if agent else ""
        text = self.dialogue.turns[place].text
        direct = question == ask_for(slot) and answers(slot, text)
        picks = question in _OURS or (self.correcting and place == self.dialogue.users()[-1])
        if picks and slot.kind in (kinds.TIME, kinds.MOMENT):
            direct = True
        return Said(text, direct, self.today, self.opens, tool.generic, alone)

    def _moment(self, slot: Slot, chain: list[int]) -> Any:
        """A day from one turn and a time from another."""
        day = time = None
        words: list[str] = []
        said = Said("")
        for place in chain:
            said = self._said(place, slot, self.tools[0], False)
            if day is None and said.days():
                day = said.days()[0]
                words = said.words[day.start : day.end]
            if time is None and said.times():
                time = said.times()[0]
        return moment(slot, day, time, words, said)

    def _picked(self, slot: Slot, place: int) -> Any:
        """'the second one' out of the list that the last tool output offered."""
        offered = self.offered(place)
        agent = self.dialogue.agent_before(place)
        if not offered or agent is None or question_in(agent.text) not in (WHICH, THAT):
            return None
        low = normal(self.dialogue.turns[place].text)
        words = tokens(low)
        item = None
        if (
            len(offered) == 1
            and re.match(
                r"(?:yes|yeah|yep|sure|ok|okay|please|that|perfect|great|book|fine|good)\b", low
            )
        ) or re.search(r"\b(?:earliest|first|soonest)\b", low):
            item = offered[0]
        elif re.search(r"\b(?:last|latest)\b", low):
            item = offered[-1]
        else:
            for at in range(len(words)):
                number = ordinal_at(words, at)
                if number and 1 <= number[0] <= len(offered):
                    item = offered[number[0] - 1]
        if item is None:
            return None
        if slot.kind == kinds.MOMENT:
            return item
        times = find_times(tokens(item), bare=True)
        return clock(times[0], self.opens, slot) if times else item

    def looked_up(self) -> bool:
        """Whether a tool has told what is free since the last thing that was booked."""
        readers = {tool.name for tool in self.tools if tool.reads}
        last = next((turn for turn in reversed(self.dialogue.turns) if turn.who == CALL), None)
        return last is not None and last.name in readers

    def offered(self, place: int) -> list[str]:
        for turn in reversed(self.dialogue.turns[:place]):
            if turn.who == OUTPUT:
                try:
                    value = loads(turn.text)
                except ValueError:
                    value = [said_time(one.minutes) for one in find_times(tokens(turn.text))]
                if isinstance(value, dict):
                    value = next((one for one in value.values() if isinstance(one, list)), [])
                if not isinstance(value, list):
                    return []
                return [
                    one
                    if isinstance(one, str)
                    else str(
                        next((one[key] for key in ("time", "start", "slot") if key in one), "")
                    )
                    if isinstance(one, dict)
                    else ""
                    for one in value
                ]
        return []

    def _before(self, tool: Tool, slot: Slot, chain: list[int]) -> Any:
        """A value that an earlier call had: the day that was looked up is the day to book."""
        since = min(chain, default=0)
        for place in range(len(self.dialogue.turns) - 1, -1, -1):
            turn = self.dialogue.turns[place]
            if turn.who != CALL:
                continue
            value = turn.arguments.get(slot.name)
            if value is None or (slot.choices and value not in slot.choices):
                continue
            lasting = slot.kind in _LASTING or (self.correcting and turn.name == tool.name)
            if (
                lasting
                or place > since
                or (not tool.reads and turn.name != tool.name and slot.kind != kinds.TIME)
            ):
                return value
        return None


def answers(slot: Slot, text: str) -> bool:
    """Whether ``text`` may answer the question for ``slot``, and is none of its own."""
    low = normal(text)
    if re.match(
        r"(?:what|when|where|who|why|how|which|do|does|are|is|can|could|would|will|wait|hold)\b",
        low,
    ) and not re.match(r"(?:is it|is that) (?:ok|okay)", low):
        return slot.kind in (kinds.DATE, kinds.TIME, kinds.MOMENT, kinds.COUNT) and bool(
            re.match(r"(?:how about|can|could|would|do you have|what about|is)\b", low)
        )
    if slot.kind in (kinds.PERSON, kinds.THING, kinds.PLACE, kinds.CODE):
        if re.match(r"(?:no|not|i do not|i have no|never mind|nothing|none|actually|sorry)\b", low):
            return False
        return not (slot.kind == kinds.PERSON and find_times(tokens(low)))
    return True


def _any(slot: Slot, text: str) -> Any:
    """Something of the right type for a call that must be made."""
    if slot.choices:
        return slot.choices[0]
    return {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}.get(
        str(slot.schema.get("type")), text
    )
