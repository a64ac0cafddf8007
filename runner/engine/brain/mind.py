"""One answer: what the newest item of the conversation asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.engine.brain import consent, smalltalk, social, steps, universal
from runner.engine.brain.answers import answer
from runner.engine.brain.choice import Choice, Reply, planned
from runner.engine.brain.dialogue import USER, Dialogue, Turn
from runner.engine.brain.directives import leaks
from runner.engine.brain.manners import Manners
from runner.engine.brain.notes import read
from runner.engine.brain.planner import ANOTHER, Planner, answers, question_in
from runner.engine.brain.recall import query
from runner.engine.brain.results import THAT, WHICH, result
from runner.engine.brain.slots import PERSON, THING, WHOLE, ask_for
from runner.engine.brain.speech import sentences
from runner.engine.brain.toolbox import Tool, best, tools_of
from runner.engine.brain.words import content, normal, plain_words
from runner.engine.ports import Prompt

_EXACT = re.compile(r"^\s*(?:please )?say exactly\b", re.I)
_WORDS_ONLY = re.compile(
    r"^\s*(?:please |always |only |just )*(?:say|reply|respond|answer|output|"
    r"speak)(?: only| just| exactly| simply| always)*(?: with)?(?: the (?:word|words|"
    r"phrase|sentence))?\s*:?\s*[\"“']([^\"”]{1,400})[\"”'][.!]?"
    r"(?:\s+(?:and|,) nothing (?:else|more)\.?)?\s*$",
    re.I,
)
_ANSWERABLE_SLOTS = (PERSON, THING, WHOLE)


def verbatim(instructions: str) -> str | None:
    """The words that the instructions order to be said exactly, None for other instructions."""
    if _EXACT.match(instructions):
        _, blank, words = instructions.partition("\n\n")
        if not blank:
            _, colon, words = instructions.partition(":")
            if not colon:
                return None
        return words.strip() or None
    only = _WORDS_ONLY.match(instructions)
    return only[1] if only else None


class Mind:
    """Thinks once about one prompt."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.dialogue = Dialogue(prompt.items)
        text = prompt.instructions or ""
        self.notes = read(f"{text}\n\n{self.dialogue.system}" if self.dialogue.system else text)
        choice = prompt.tool_choice
        self.tools = [] if choice == "none" else tools_of(prompt.tools)
        self.forced: Tool | None = None
        if isinstance(choice, Mapping):
            inner = choice.get("function")
            name = choice.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
            self.forced = next((tool for tool in self.tools if tool.name == name), None)
        self.must = choice == "required"
        self.planner = Planner(self.dialogue, self.notes, self.tools)
        self.choice = Choice(self.dialogue, self.notes, self.tools, self.planner)
        self.manners = Manners(self.choice)

    def reply(self) -> Reply:
        exact = verbatim(self.prompt.instructions or "")
        if exact is not None:
            return Reply(exact, verbatim=True)
        outputs = self.dialogue.outputs()
        if outputs:
            return self._after(outputs)
        last = self.dialogue.last
        if (self.forced or (self.must and self.tools)) and self.dialogue.pending:
            tool = self.forced or best(self.tools, query(self.dialogue.pending))[0] or self.tools[0]
            plan = self.planner.plan(tool, must_call=True)
            return Reply(calls=[plan.call] if plan.call else [])
        if last is None or last.who != USER:
            return self._opening()
        pending = self.dialogue.pending
        if not re.search(r"\w", pending):
            rule = self.choice.tagged("silence") or self.choice.tagged("unclear")
            said = self.choice.perform(rule) if rule else None
            return said or Reply(
                social.NOT_HEARD[min(1, self.dialogue.count_said(social.NOT_HEARD[0]))]
            )
        return self._turn(pending)

    def _opening(self) -> Reply:
        if self.dialogue.last_said() and self.dialogue.users():
            return Reply(social.ELSE)
        if self.notes.persona.greeting:
            return Reply(self.notes.persona.greeting)
        rule = self.choice.tagged("start")
        said = self.choice.perform(rule) if rule else None
        if said:
            return said
        if not self.notes.facts and not self.notes.persona.business:
            # Instructions for this one answer: "Ask the caller for their name."
            done = [
                step.text
                for one in sentences(self.prompt.instructions[:600])
                for step in steps.steps(one)
                if step.kind == steps.SAY
            ]
            done = [one for one in done if not leaks(one)]
            if done:
                hello = (
                    "Hello! "
                    if re.match(r"\s*(?:greet|welcome|say h)", self.prompt.instructions, re.I)
                    else ""
                )
                return Reply(hello + " ".join(done[:3]))
        return Reply(social.greeting(self.notes.persona))

    def _after(self, outputs: list[Turn]) -> Reply:
        handed = [
            turn
            for turn in outputs
            if '"assistant"' in turn.text and turn.text.strip().startswith("{")
        ]
        if handed and len(handed) == len(outputs):
            return self._taken_over(handed[-1])
        said: list[str] = []
        for turn in outputs:
            if (
                any(tool.handoff and tool.name == turn.name for tool in self.tools)
                and len(turn.text) < 40
            ):
                said.append("I am putting you through now.")
                continue
            tool = next((one for one in self.tools if one.name == turn.name), None)
            if asks := consent.told(turn, tool):
                said.append(asks)
                continue
            said.append(result(turn.text, turn.name, turn.arguments, _offers(turn.name, tool)))
        return Reply(" ".join(dict.fromkeys(said)))

    def _taken_over(self, turn: Turn) -> Reply:
        """The call was handed to this agent: a short hello, and the request that brought it."""
        named = re.search(r'"assistant"\s*:\s*"([^"]+)"', turn.text)
        label = " ".join(plain_words(named[1])) if named else ""
        hello = social.introduction(self.notes.persona)
        if label and label.split()[0] not in hello.lower():
            hello = (
                f"{label} at {hello}" if hello and not self.notes.persona.name else hello or label
            )
        hello = f"Hello, this is {hello}." if hello else "Hello."
        self.choice.tools = [tool for tool in self.tools if not tool.handoff]
        users = self.dialogue.users()
        if users:
            request = self.choice.resolved(users[-1])
            if not universal.intent_of(self.dialogue.turns[users[-1]].text):
                reply = self.choice.request(request)
                if reply.fits:
                    return Reply(f"{hello} {reply.text}".strip(), reply.calls)
        return Reply(f"{hello} {social.HELP}")

    def _turn(self, text: str) -> Reply:
        simple = smalltalk.done_here(normal(text))
        intent = universal.intent_of(text)
        asked = self.planner.asked()
        if asked and intent not in ("person", "secret"):
            framed = self._framed(text, intent)
            if framed is not None:
                return framed
        agreed = consent.answered(self.dialogue, text)
        if agreed is not None:
            return agreed
        if simple:
            return Reply(simple)
        settled = self._settled(text)
        if settled is not None:
            return settled
        if intent:
            said = self.manners.answer(intent, text)
            if said is not None:
                return said
        bare = universal.stripped(text)
        if bare != normal(text):
            intent = universal.intent_of(bare)
            said = (
                self.manners.answer(intent, bare)
                if intent and intent != "ack" and (intent != "repeat" or " " in bare)
                else None
            )
            if said is not None:
                return said
        return self.choice.request(self.choice.resolved(self.dialogue.users()[-1], text))

    def _framed(self, text: str, intent: str) -> Reply | None:
        """The caller was asked for a parameter."""
        candidates = self.planner.asked()
        tool, slot = candidates[0]
        if len({one.name for one, _ in candidates}) > 1:
            started = best(
                [one for one, _ in candidates], self.choice.query_of(self.planner.started_with())
            )[0]
            tool, slot = next((pair for pair in candidates if pair[0] is started), (tool, slot))
        question = ask_for(slot)
        if intent == "drop" or re.match(
            r"(?:no )?(?:i )?(?:do not want to|changed my mind)", normal(text)
        ):
            return Reply(f"All right, I leave it at that. {social.ELSE}")
        if intent in ("repeat", "slower"):
            return Reply(question)
        if intent in ("wait", "unsure") and slot.kind not in (WHOLE,):
            return Reply(f"Take your time. {question}")
        if intent == "bye" and not re.match(r"(?:no|yes|ok|okay|great|alright)\b", normal(text)):
            return None
        direct = answers(slot, text)
        bare = self.choice.query_of(text)
        if bare.terms and not bare.request and not bare.times:
            known = answer(bare, self.notes)
            if known is not None and (known.own or known.score >= 0.7):
                return Reply(f"{known.text} {question}")
        plan = self.planner.plan(tool)
        got_on = plan.call is not None or plan.question != question
        if got_on and (direct or slot.kind not in _ANSWERABLE_SLOTS):
            return planned(plan)
        if not direct or bare.polar or bare.terms:
            other = self.choice.request(bare)
            if other.fits and not other.calls and other.text != question:
                return Reply(
                    f"{other.text} {question}" if not other.text.endswith("?") else other.text
                )
            if other.calls and other.calls[0].name != tool.name:
                return other
        if intent in ("robot", "who", "can", "help", "how", "hello", "there", "thanks"):
            said = self.manners.answer(intent, text)
            if said is not None:
                first = [one for one in sentences(said.text) if not one.endswith("?")]
                return Reply(" ".join([*first, question]))
        if (
            re.match(r"(?:no|i do not|i have no|none)\b", normal(text))
            and len(normal(text).split()) < 8
        ):
            return Reply(f"I am sorry, I need that to go on. {question}")
        if len(bare.stems) > 1 or bare.request:
            other = self.choice.request(bare)  # the caller has moved on
            if other.fits and other.text != question:
                return other
        agent = self.dialogue.last_said()
        if agent and agent.text.startswith("Sorry, I did not get that."):
            return None
        return Reply(f"Sorry, I did not get that. {question}")

    def _settled(self, text: str) -> Reply | None:
        """Yes, no, or a choice, after a question of the agent."""
        low = normal(text)
        place = self.dialogue.users()[-1]
        agent = self.dialogue.agent_before(place)
        question = question_in(agent.text) if agent else ""
        yes, no = bool(universal.YES.fullmatch(low)), bool(universal.NO.fullmatch(low))
        bare = query(text)
        if question in (WHICH, THAT) and not no:
            tool = self._taker()
            picks = (
                bare.times
                or yes
                or re.search(r"\b(?:first|second|third|last|earliest|latest|one|\d+|oclock)\b", low)
                or self._names_offer(low)
            )
            if picks and not bare.polar and not (bare.days and not bare.times):
                if tool is not None:
                    return planned(self.planner.plan(tool))
                return Reply(f"Very well. I cannot book it from here. {social.ELSE}")
        if not (yes or no):
            return None
        if re.match(r"(?:thanks|thank you)", low) and no and not question:
            return None
        if not question:
            if yes and not re.match(r"(?:yes|yeah|yep|sure|please|go ahead)", low):
                return None  # "great" is no answer to a statement
            if no and not re.match(r"(?:no|nope|nah)", low):
                return None
            if not yes and agent and "no" in low.split() and "thank" in low:
                return self.choice.farewell()
            return Reply(f"All right. {social.ELSE}")
        if re.search(r"anything else|else i can (?:help|do)|can i help", question, re.I):
            if no:
                return self.choice.farewell()
            return (
                Reply("Of course. What would you like to know?")
                if re.match(r"(?:yes|yeah|yep|sure)", low)
                else self.choice.farewell()
            )
        if question == ANOTHER:
            return Reply(f"All right. {social.ELSE}" if no else "Which day would suit you?")
        if no:
            return Reply(f"All right. {social.ELSE}")
        offer = re.match(
            r"(?:would you like|shall i|should i|do you want|may i)(?: me)?(?: to)?\s+(.+)\?",
            question,
            re.I,
        )
        if offer and not re.match(r"(?:that|this)\b", offer[1], re.I):
            return self.choice.accepted(offer[1])
        if question == THAT:
            said = sentences(agent.text) if agent else []
            return self.choice.accepted(said[-2]) if len(said) > 1 else Reply(social.HELP)
        if re.search(r"how can i help|what can i do|help you", question, re.I):
            return Reply("Of course. What can I do for you?")
        if re.search(r"another day", question):
            return Reply("Which day would suit you?")
        return None

    def _names_offer(self, low: str) -> bool:
        offered = self.planner.offered(len(self.dialogue.turns))
        said = set(content(low))
        return any(said & set(content(one)) for one in offered)

    def _taker(self) -> Tool | None:
        """The tool that books what another one found."""
        writers = [tool for tool in self.tools if not (tool.reads or tool.handoff or tool.ends)]
        asked = self.choice.query_of(f"{self.planner.started_with()} book appointment")
        return best(writers, asked)[0]


def _offers(name: str, tool: Tool | None) -> bool:
    """Whether a list that the tool gives is of what is free."""
    if tool is not None and not tool.reads:
        return False
    about = f"{' '.join(plain_words(name))} {tool.description if tool else ''}".lower()
    return bool(
        re.search(r"\b(?:slots?|free|availab\w+|openings?|times?|appointments?|tables?)\b", about)
    ) and not re.search(r"\b(?:track|order|menu|invoice)", name)
