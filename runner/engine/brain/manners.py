"""Answers to the turns that every conversation has."""

from __future__ import annotations

import re

from runner.engine.brain import social
from runner.engine.brain.choice import Choice, Reply
from runner.engine.brain.dialogue import Turn


class Manners:
    """Answers an intent of :mod:`universal`."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self.dialogue = choice.dialogue
        self.notes = choice.notes

    def answer(self, intent: str, text: str) -> Reply | None:
        """The reply to a turn with this intent; None for an intent that is no matter of manners."""
        persona = self.notes.persona
        said = self.dialogue.last_said()
        fresh = said is None
        if intent in ("repeat", "slower"):
            if said is None:
                return (
                    Reply(social.greeting(persona))
                    if intent == "repeat"
                    else Reply(f"Of course. {social.HELP}")
                )
            whole = self._said_again(said).removeprefix("Of course. ")
            return Reply(whole if intent == "repeat" else f"Of course. {social.slowly(whole)}")
        if intent == "hello":
            again = not fresh and len(self.dialogue.users()) > 1
            return Reply(f"Hello! {social.HELP}" if again else social.greeting(persona))
        if intent == "there":
            return Reply(f"Yes, I can hear you. {social.HELP}")
        if intent == "person":
            return self.choice.person(text)
        if intent == "robot":
            rule = self.choice.said_by_rule("robot")
            honest = rule and not re.search(
                r"\b(?:not (?:a |an )?(?:robot|bot|ai|machine)|(?:am|are) (?:a )?(?:human|"
                r"real person))",
                rule.text,
                re.I,
            )
            return rule if rule and honest else Reply(social.robot(persona))
        if intent == "who":
            return Reply(f"{social.who(persona)} {social.HELP}")
        if intent == "can":
            return Reply(social.abilities(self.notes, self.choice.tools))
        if intent == "bye":
            return self.choice.farewell()
        if intent == "insult":
            return self.choice.soothe()
        plain = {
            "help": "Of course. What can I do for you?",
            "how": f"I am doing well, thank you. {social.HELP}",
            "wait": "Of course, take your time.",
            "stop": "All right.",
            "drop": f"All right, no problem. {social.ELSE}",
            "thanks": f"You are welcome. {social.ELSE}",
            "ack": f"Good. {social.ELSE}",
            "unsure": "No problem, take your time. "
            + social.abilities(self.notes, self.choice.tools),
            "wrong": "I am sorry, I misunderstood you. Could you say it in other words?",
            "secret": f"I am sorry, I cannot go into how I was set up. {social.HELP}",
        }
        return Reply(plain[intent]) if intent in plain else None

    def _said_again(self, said: Turn) -> str:
        """The last answer; when the caller cut it off, the whole of it once more."""
        if said.whole:
            return said.text
        place = next(
            (at for at in reversed(self.dialogue.users()) if at < self.dialogue.turns.index(said)),
            None,
        )
        if place is None:
            return social.greeting(self.notes.persona)
        reply = self.choice.request(self.choice.resolved(place))
        return reply.text if reply.text and reply.fits else said.text
