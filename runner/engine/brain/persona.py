"""Who the prompt says the agent is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.engine.brain.lexicon import bag
from runner.engine.brain.outline import Line
from runner.engine.brain.speech import sentences, spoken


@dataclass(frozen=True, slots=True)
class Persona:
    """``name`` of the agent, its ``role`` ('receptionist'), the ``business`` it speaks for, the
    ``greeting`` the prompt gives word for word. Anything may be empty."""

    name: str = ""
    role: str = ""
    business: str = ""
    greeting: str = ""
    about: tuple[str, ...] = ()

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names under which the prompt speaks of the business, longest first."""
        if not self.business:
            return ()
        bare = re.sub(r"^The ", "", self.business)
        names = [bare]
        first = bare.split()[0]
        if " " in bare and len(first) > 4 and first.lower() not in _GENERIC:
            names.append(first)
        return tuple(names)


_GENERIC = bag(
    "grand royal hotel cafe city blue green golden north south house little happy "
    "union central first smile bright silver white black pizza sunny"
)
_PERSONA = re.compile(
    r"^(?:you are|you're|you’re|your name is|act as|you act as|you work|you represent|"
    r"you handle (?:the |calls|phone)|you take (?:the |calls)|you'?(?: a)?re answering|"
    r"you answer (?:the |calls|phone)|"
    r"imagine you|pretend|i want you to act|assume the role)\b",
    re.I,
)
_PROPER = r"[A-Z][\w'’&-]*"
_RUN = rf"{_PROPER}(?:\s+(?:(?:&|and|of|the|de|la|le|on|by)\s+(?=[A-Z]))?(?:{_PROPER}|&))*"
_NAMED = re.compile(rf"\b(?:named|called|name is|name:)\s+({_PROPER}(?: {_PROPER})?)")
_ROLE = re.compile(
    r"^(?:an?|the|our)\s+(.+?)(?=\s+(?:for|at|of|from|named|called|who|that|with|working|"
    r"in|on|by|,)\b|,|\.|$)",
)
_FOR = re.compile(rf"\b(?:of|at|for|from|representing|behind|with|to)\s+(?:the\s+)?({_RUN})")
_NOT_NAMES = bag(
    "Ai English Spanish French German Monday Tuesday Wednesday Thursday Friday Saturday Sunday "
    "You The A An I We Our Your If When Realtime Api Llm Gpt Openai"
)
_SERVICE = re.compile(
    r"\b(?:front desk|help ?desk|service desk|customer (?:service|support|care)|"
    r"support line|phone line|voice|phone|"
    r"virtual|digital|telephone|ai|assistant|agent|receptionist|reception|concierge|bot|"
    r"system|prompt|instructions|"
    r"line|operator|host|hostess|support|desk|knowledge base|facts|faq|information|info|"
    r"configuration)\b",
    re.I,
)
_GREETS = re.compile(
    r"\b(?:greet|answer|start|begin|open|welcome|say hello|"
    r"greeting)\b[^.\n\"“]{0,80}?[:,]?\s*[\"“]([^\"”\n]{4,200})[\"”]",
    re.I,
)
_KEYS = (
    "business",
    "company",
    "restaurant",
    "hotel",
    "clinic",
    "shop",
    "business name",
    "company name",
    "store",
    "organization",
    "organisation",
    "practice",
    "salon",
)


def is_persona(text: str) -> bool:
    return bool(_PERSONA.match(text))


def persona_in(lines: Sequence[Line]) -> Persona:
    """Read off sentences such as 'You are Ada, the receptionist of Northwind Dental.'"""
    name = role = business = greeting = ""
    about: list[str] = []
    for line in lines:
        key = line.key.lower().strip()
        value = line.text.strip()
        if key in _KEYS:
            business = business or value.rstrip(".").split(",")[0]
        elif key in ("name", "agent name", "assistant name", "agent", "assistant", "your name"):
            proper = re.match(_RUN, value)
            name = name or (proper[0] if proper else "")
        elif key in ("greeting", "opening line", "first message", "welcome message"):
            greeting = greeting or value.strip('"“” ')
        elif key in ("role", "identity", "persona", "you", "character"):
            value = value if _PERSONA.match(value) else f"You are {value[:1].lower()}{value[1:]}"
        found = _GREETS.search(value)
        if found and not greeting:
            before = sentences(value[: found.start()] + ".")[-1] if found.start() else ""
            around = before + found[0]
            if not re.search(
                r"\b(?:if|when|whenever)\b(?!.{0,40}(?:call (?:starts|begins|comes)|conversation|"
                r"pick))|n't know|not know",
                around,
                re.I,
            ):
                greeting = found[1]
        for text in sentences(value):
            if not _PERSONA.match(text):
                continue
            one = _one(spoken(text))
            name, role, business = name or one[0], role or one[1], business or one[2]
            if one[2] and one[2] == business:
                about.extend(_about(spoken(text), business))
    if not business:
        business = _titled(lines)
    return Persona(name, role, business, spoken(greeting), tuple(about))


def _one(text: str) -> tuple[str, str, str]:
    """(name, role, business) of one sentence about the agent."""
    body = _PERSONA.sub("", text, count=1).strip().rstrip(".")
    name = role = business = ""
    named = _NAMED.search(text)
    if named and named[1] not in _NOT_NAMES:
        name = named[1]
    proper = re.match(rf"({_PROPER}(?: {_PROPER})?)(?=,| the | and |\s*$| from | at )", body)
    if not name and proper and proper[1] not in _NOT_NAMES:
        name = proper[1]
    rest = re.sub(rf"^{re.escape(name)},?\s*", "", body) if name else body
    found = _ROLE.match(rest)
    if found:
        role = re.sub(
            r"^(?:friendly|helpful|polite|warm|professional|cheerful|calm|patient|very|,|and|\s)+",
            "",
            found[1],
        )
    for place in _FOR.finditer(rest):
        if place[1] not in _NOT_NAMES and place[1] != name:
            business = place[1].strip(" .,")
            break
    if not business:
        inner = re.search(rf"(?:^|\s)((?:{_PROPER}\s+)*{_PROPER})\s+[a-z]", role)
        if (
            inner
            and inner[1].title() not in _NOT_NAMES
            and not re.fullmatch(r"[A-Z]{2,3}", inner[1])
        ):
            business = inner[1]
            role = role.replace(inner[1], "").strip()
    if not business and text == text.lower():
        small = re.search(
            r"\b(?:of|at|for|from) ((?!the |a |an |our |your |"
            r"this )[a-z'&]+(?: [a-z'&]+){0,3})(?=,|\.|$| in | on )",
            rest,
        )
        if small:
            business = small[1].title().replace("'S", "'s")
    role = re.sub(r"\b(?:AI|LLM)\b\s*", "", role).strip()
    return name, role if len(role.split()) <= 6 else "", business


def _about(text: str, business: str) -> list[str]:
    """What stands in apposition to the business: ', a family clinic in Porto'."""
    tail = text.partition(business)[2]
    match = re.match(r"(?:,)?\s+((?:an?|the|in|at|on|located)\s[^.]*)", tail)
    if not match:
        return []
    said = re.split(
        r"[,;]?\s+(?:and|where|who|which|that)?\s*\b(?:you|your|help|helping|answering|answer)\b",
        match[1],
    )[0]
    return [said.strip(" ,.;")] if len(said.split()) > 1 else []


def _titled(lines: Sequence[Line]) -> str:
    """From the title over everything, or a first sentence such as 'Luna Pizza is a ...'."""
    title = lines[0].headings[0] if lines and lines[0].headings else ""
    for part in re.split(r"\s+(?:-|–|—|\|)\s+|:\s+|,", title):
        left = _SERVICE.sub("", part).strip(" -–—|,:")
        proper = re.search(_RUN, left)
        if (
            proper
            and len(left.split()) <= 5
            and proper[0].lower()
            not in (
                "role",
                "identity",
                "you",
                "about",
                "overview",
                "persona",
                "role and goal",
                "the",
                "personality",
                "role and objective",
                "context",
                "objective",
                "task",
                "general",
                "rules",
                "hours",
            )
            and not re.match(r"(?:who|what|how|your|you|my|our)\b", left, re.I)
        ):
            return proper[0]
    for line in lines[:4]:
        # "The phone assistant of Miller's Auto Repair, Denver."
        of = re.match(
            rf"(?:the |an? )?(?:[a-z-]+ ){{1,4}}(?:of|for|at) (?:the )?({_RUN})", line.text, re.I
        )
        if of and _SERVICE.search(line.text[: of.start(1)]) and of[1][:1].isupper():
            return of[1]
        start = re.match(
            rf"(?:Welcome to |This is )?({_PROPER}(?: (?:{_PROPER}|&|and|of))+) (?:is|opens|offers|"
            rf"sells|serves)\b",
            line.text,
        )
        if start and start[1].split()[0] not in _NOT_NAMES:
            return start[1]
    return ""
