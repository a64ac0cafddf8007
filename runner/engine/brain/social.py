"""The agent's own words: greetings, thanks, who it is, what it can do and what not."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runner.engine.brain.answers import topics
from runner.engine.brain.dialogue import Dialogue
from runner.engine.brain.notes import Notes
from runner.engine.brain.persona import Persona
from runner.engine.brain.speech import capital, sentence, sentences
from runner.engine.brain.toolbox import Tool
from runner.engine.brain.toolnames import deed, person_tool, target
from runner.engine.brain.words import joined

ELSE = "Is there anything else I can help you with?"
HELP = "How can I help you?"
NOT_HEARD = (
    "Sorry, I did not catch that. Could you say it again?",
    "I am sorry, I still could not hear you. Please say it once more.",
)


def introduction(persona: Persona) -> str:
    """'Ada from Northwind Dental', or as much of that as the prompt tells."""
    if persona.name and persona.business:
        return f"{persona.name} from {persona.business}"
    return persona.name or persona.business


def greeting(persona: Persona) -> str:
    if persona.greeting:
        return persona.greeting
    who = introduction(persona)
    return f"Hello, this is {who}. {HELP}" if who else f"Hello! {HELP}"


def who(persona: Persona) -> str:
    article = "the" if persona.business else "a"
    role = re.sub(r"^(?:an?|the) ", "", persona.role)
    if role and not persona.business and re.match(r"[aeiou]", role, re.I):
        article = "an"
    at = f" of {persona.business}" if persona.business else ""
    if persona.name:
        return (
            f"I am {persona.name}, {article} {role}{at}."
            if role
            else f"My name is {persona.name}{', from' + at[3:] if at else ''}."
        )
    if role:
        return f"I am {article} {role}{at}."
    return (
        f"You have reached {persona.business}. I am the assistant on the phone."
        if persona.business
        else "I am the assistant on this line."
    )


def robot(persona: Persona) -> str:
    return (
        f"I am a computer voice, not a person"
        f"{f', and I answer for {persona.business}' if persona.business else ''}. {HELP}"
    )


def abilities(notes: Notes, tools: Sequence[Tool]) -> str:
    """What the agent can help with, from the facts, the tools and the handoffs."""
    known = topics(notes)
    deeds = list(dict.fromkeys(deed(tool) for tool in tools if not tool.ends and not tool.handoff))[
        :3
    ]
    person = person_tool(tools)
    handed = [target(tool) for tool in tools if tool.handoff and tool is not person][:2]
    parts: list[str] = []
    if known:
        parts.append(f"I can tell you about {joined(known)}")
    doing = list(deeds)
    if not doing and not known:
        doing += list(notes.abilities[:2])
    if handed:
        doing.append(f"connect you with {joined(handed, 'or')}")
    elif person:
        doing.append(f"connect you with {target(person)}")
    if doing:
        parts.append(f"I can {joined(doing)}")
    if not parts:
        about = f" about {notes.persona.business}" if notes.persona.business else ""
        return f"I can answer simple questions{about}."
    return sentence(
        ", and ".join(
            [
                parts[0],
                *[
                    part[:1].lower() + part[1:] if not part.startswith("I ") else part
                    for part in parts[1:]
                ],
            ]
        )
    )


def fallback(
    notes: Notes, tools: Sequence[Tool], dialogue: Dialogue, thing: str, polar: bool
) -> str:
    """Honest words when nothing fits; not the same twice running."""
    known = topics(notes)
    offers = [deed(tool) for tool in tools if not tool.ends and not tool.handoff][:2]
    helps = [*[f"tell you about {joined(known)}"] * bool(known), *offers]
    if not helps:
        helps = list(notes.abilities[:2]) or [
            "answer simple questions"
            + (f" about {notes.persona.business}" if notes.persona.business else "")
        ]
    can = joined(helps)
    person = person_tool(tools)
    about = f" about {thing}" if thing else " about that"
    forms = [
        f"I am sorry, I do not have any information{about}. I can {can}.",
        f"That is something I cannot answer{f', {thing} is not in what I know' if thing else ''}. "
        + (
            f"Would you like me to connect you with {target(person)}?"
            if person
            else f"What I can do is {can}."
        ),
        f"I am afraid I cannot help{f' with {thing}' if thing else ' with that'}. Perhaps you "
        f"would like to ask something else? I can {can}.",
    ]
    turn = sum(
        dialogue.count_said(form.split(",")[0][:24])
        for form in (
            "I am sorry, I do not have",
            "That is something I cannot",
            "I am afraid I cannot help",
        )
    )
    return forms[turn % len(forms)]


def slowly(text: str) -> str:
    """The same words in shorter sentences."""
    pieces: list[str] = []
    for one in sentences(text):
        mark = "?" if one.endswith("?") else "."
        parts: list[str] = []
        for part in re.split(
            r",\s+|;\s+|:\s+|\s+(?=and (?:on|from|the|we|you|it|I)\b)", one.rstrip(".!?")
        ):
            part = re.sub(r"^(?:and|but) (?=\w+ \w+ \w+)", "", part.strip())
            if parts and (len(part.split()) < 3 or len(parts[-1].split()) < 2):
                parts[-1] += f", {part}"  # a list's short members stay together
            elif part:
                parts.append(part)
        pieces += (
            [sentence(part) for part in parts[:-1]] + [capital(parts[-1].strip()) + mark]
            if parts
            else []
        )
    return " ".join(pieces)


def goodbye(persona: Persona) -> str:
    return f"Thank you for calling{f' {persona.business}' if persona.business else ''}. Goodbye!"
