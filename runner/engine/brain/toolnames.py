"""Tools as people speak of them: the one a rule names, the way to a person, what each one does."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.engine.brain.speech import to_caller
from runner.engine.brain.toolbox import TEMPLATE, USUAL, Tool
from runner.engine.brain.words import akin, content, normal, plain_words

_PERSON_WORDS = re.compile(
    r"\b(?:person|human|operator|representative|rep|receptionist|staff|manager|supervisor|"
    r"someone|somebody|live|real|agent|"
    r"upset|angry|attendant|colleague|front[ _]desk|reception|support)\b",
    re.I,
)


def person_tool(tools: Sequence[Tool]) -> Tool | None:
    """The handoff that reaches a person, None when there is none that says so."""
    handoffs = [tool for tool in tools if tool.handoff]
    for one in handoffs:
        about = TEMPLATE.sub("", one.description)
        if _PERSON_WORDS.search(about) or _PERSON_WORDS.search(" ".join(plain_words(one.name)[1:])):
            return one
    for one in tools:
        if re.search(r"human|operator|person\b|escalate", one.name):
            return one
    return None


def named_in(text: str, tools: Sequence[Tool]) -> Tool | None:
    """The tool that a rule's words name ('use find_slots', 'transfer them to billing')."""
    low = normal(text)
    for tool in tools:
        if tool.name.lower() in text.lower():
            return tool
    if re.match(
        r"(?:immediately |politely )?(?:transfer|hand|route|escalate|connect|forward|put|"
        r"redirect|pass|switch)",
        low,
    ):
        for tool in tools:
            if tool.handoff and any(one in content(low) for one in tool.core):
                return tool
        if re.search(
            r"person|human|manager|staff|colleague|someone|operator|representative|team|agent|desk",
            low,
        ):
            return person_tool(tools)
        return None
    named = [one for one in content(low) if one not in USUAL]
    for tool in tools:
        if (
            tool.core
            and not tool.ends
            and all(any(akin(one, other) >= 0.75 for other in named) for one in tool.core)
        ):
            return tool
    return None


def deed(tool: Tool) -> str:
    """What the tool does, to stand after 'I can': 'find free slots'."""
    about = TEMPLATE.sub("", tool.description).strip()
    if tool.handoff:
        return f"connect you with {target(tool)}"
    first = to_caller(re.split(r"[.;\n(]", about)[0].strip())
    first = re.sub(
        r"^(?:use this (?:tool|function)? ?to|this (?:tool|function)|call this (?:tool )?to|"
        r"used to|allows? (?:you )?to)\s+",
        "",
        first,
        flags=re.I,
    )
    words = first.split()
    if len(words) > 4:
        # "find the free times of one day": what it does, without its terms
        words = re.split(
            r" (?:of (?:one|a|the)|at an?|on an?|on the|for an?|for the|that|by|which|using|from) ",
            first,
        )[0].split()
        first = " ".join(words)
    verb = words[0].lower() if words else ""
    if not (2 <= len(words) <= 9) or re.search(
        r"\b(?:the (?:caller|user)|when|tool|function|returns?|json|api|must|only)\b", first, re.I
    ):
        return " ".join(plain_words(tool.name))
    if verb.endswith("s") and not verb.endswith("ss"):
        words[0] = verb[:-2] if verb.endswith(("ches", "shes", "sses")) else verb[:-1]
    if verb in ("free", "the", "a", "an", "current", "list", "available", "all"):
        return f"look up {first[:1].lower()}{first[1:]}"
    return " ".join([words[0].lower(), *words[1:]])


def target(tool: Tool) -> str:
    """Whom a handoff reaches, as words."""
    words = [
        word
        for word in plain_words(tool.name)
        if word
        not in (
            "transfer",
            "to",
            "handoff",
            "hand",
            "off",
            "escalate",
            "connect",
            "forward",
            "call",
            "agent",
        )
    ]
    if not words:
        return "a colleague"
    name = " ".join(words)
    if name in (
        "human",
        "person",
        "operator",
        "manager",
        "supervisor",
        "representative",
        "specialist",
        "receptionist",
        "colleague",
    ):
        return f"a {name}"
    return name
