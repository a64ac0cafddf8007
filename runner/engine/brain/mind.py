"""One answer: which of everything that could be said or done the caller means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runner.engine.brain import rules, social, universal
from runner.engine.brain.answers import Found, answer, named_thing
from runner.engine.brain.dialogue import USER, Dialogue, Turn
from runner.engine.brain.notes import leaks, read
from runner.engine.brain.planner import ANOTHER, THAT, Planner, answers, question_in
from runner.engine.brain.recall import Query, follow, query, rank
from runner.engine.brain.results import WHICH, result
from runner.engine.brain.rules import Rule
from runner.engine.brain.slots import DATE, MOMENT, PERSON, THING, TIME, WHOLE, ask_for
from runner.engine.brain.speech import sentence, sentences
from runner.engine.brain.toolbox import Tool, best, named_in, person_tool, target, tools_of
from runner.engine.brain.words import LIGHT, akin, aspects_of, content, normal, plain_words
from runner.engine.ports import Call, Prompt


@dataclass(frozen=True, slots=True)
class Reply:
    """``fits`` is False for the honest words that nothing was found."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    fits: bool = True
    verbatim: bool = False


_EXACT = re.compile(r"^\s*(?:please )?say exactly\b", re.I)
_WORDS_ONLY = re.compile(
    r"^\s*(?:please |always |only |just )*(?:say|reply|respond|answer|output|speak)(?: only| just| exactly| simply| always)*(?: with)?(?: the (?:word|words|phrase|sentence))?\s*:?\s*[\"“']([^\"”]{1,400})[\"”'][.!]?"
    r"(?:\s+(?:and|,) nothing (?:else|more)\.?)?\s*$",
    re.I,
)
# Aspects whose words are kinds of a thing, not names of one thing: gluten is not an allergy.
_MIXED = frozenset("diet payment language staff services access menu checkin contact".split())
_COMPARED = frozenset(
    content("more than over larger bigger greater least fewer less under smaller exceeding")
) | frozenset(map(str, range(100)))
_ANSWERABLE_SLOTS = (PERSON, THING, WHOLE)


def verbatim(instructions: str) -> str | None:
    """The words that the instructions order to be said exactly, None for other instructions."""
    if _EXACT.match(instructions):
        head, blank, words = instructions.partition("\n\n")
        if not blank:
            head, colon, words = instructions.partition(":")
            if not colon:
                return None
        return words.strip() or None
    only = _WORDS_ONLY.match(instructions)
    return only[1] if only else None


class Mind:
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
            rule = self._tagged("silence") or self._tagged("unclear")
            said = self._perform(rule) if rule else None
            return said or Reply(
                social.NOT_HEARD[min(1, self.dialogue.count_said(social.NOT_HEARD[0]))]
            )
        return self._turn(pending)

    # What is said when nobody asked anything.

    def _opening(self) -> Reply:
        if self.dialogue.last_said() and self.dialogue.users():
            return Reply(social.ELSE)
        if self.notes.persona.greeting:
            return Reply(self.notes.persona.greeting)
        rule = self._tagged("start")
        said = self._perform(rule) if rule else None
        if said:
            return said
        if not self.notes.facts and not self.notes.persona.business:
            # Instructions for this one answer: "Ask the caller for their name."
            done = [
                step.text
                for one in sentences(self.prompt.instructions[:600])
                for step in rules.steps(one)
                if step.kind == rules.SAY
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

    # After a tool.

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
            said.append(result(turn.text, turn.name, turn.arguments, _offers(turn.name, tool)))
        return Reply(" ".join(dict.fromkeys(said)))

    def _taken_over(self, turn: Turn) -> Reply:
        """The call was handed to this agent: a short hello, and the request that brought it here."""
        named = re.search(r'"assistant"\s*:\s*"([^"]+)"', turn.text)
        label = " ".join(plain_words(named[1])) if named else ""
        hello = social.introduction(self.notes.persona)
        if label and label.split()[0] not in hello.lower():
            hello = (
                f"{label} at {hello}" if hello and not self.notes.persona.name else hello or label
            )
        hello = f"Hello, this is {hello}." if hello else "Hello."
        self.tools = [tool for tool in self.tools if not tool.handoff]
        users = self.dialogue.users()
        if users:
            request = self._resolved(users[-1])
            if not universal.intent_of(self.dialogue.turns[users[-1]].text):
                reply = self._request(request)
                if reply.fits:
                    return Reply(f"{hello} {reply.text}".strip(), reply.calls)
        return Reply(f"{hello} {social.HELP}")

    # A turn of the caller.

    def _turn(self, text: str) -> Reply:
        simple = universal.done_here(normal(text))
        intent = universal.intent_of(text)
        asked = self.planner.asked()
        if asked and intent not in ("person", "secret"):
            framed = self._framed(text, intent)
            if framed is not None:
                return framed
        if simple:
            return Reply(simple)
        settled = self._settled(text)
        if settled is not None:
            return settled
        if intent:
            said = self._universal(intent, text)
            if said is not None:
                return said
        bare = universal.stripped(text)
        if bare != normal(text):
            intent = universal.intent_of(bare)
            said = (
                self._universal(intent, bare)
                if intent and intent != "ack" and (intent != "repeat" or " " in bare)
                else None
            )
            if said is not None:
                return said
        return self._request(self._resolved(self.dialogue.users()[-1], text))

    def _framed(self, text: str, intent: str) -> Reply | None:
        """The caller was asked for a parameter."""
        candidates = self.planner.asked()
        tool, slot = candidates[0]
        if len({one.name for one, _ in candidates}) > 1:
            started = best(
                [one for one, _ in candidates], self._query_of(self.planner.started_with())
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
        bare = self._query_of(text)
        if bare.terms and not bare.request and not bare.times:
            known = answer(bare, self.notes)
            if known is not None and (known.own or known.score >= 0.7):
                return Reply(f"{known.text} {question}")
        plan = self.planner.plan(tool)
        if plan.call or plan.question != question:
            if not (slot.kind in _ANSWERABLE_SLOTS and not direct):
                return _planned(plan)
        if not direct or bare.polar or bare.terms:
            other = self._request(bare)
            if other.fits and not other.calls and other.text != question:
                return Reply(
                    f"{other.text} {question}" if not other.text.endswith("?") else other.text
                )
            if other.calls and other.calls[0].name != tool.name:
                return other
        if intent in ("robot", "who", "can", "help", "how", "hello", "there", "thanks"):
            said = self._universal(intent, text)
            if said is not None:
                first = [one for one in sentences(said.text) if not one.endswith("?")]
                return Reply(" ".join([*first, question]))
        if (
            re.match(r"(?:no|i do not|i have no|none)\b", normal(text))
            and len(normal(text).split()) < 8
        ):
            return Reply(f"I am sorry, I need that to go on. {question}")
        if len(bare.stems) > 1 or bare.request:
            other = self._request(bare)  # the caller has moved on
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
                    return _planned(self.planner.plan(tool))
                return Reply(
                    f"Very well. I can only tell you what there is, not book it from here. {social.ELSE}"
                )
        if not (yes or no):
            return None
        if re.match(r"(?:thanks|thank you)", low) and no and not question:
            return None
        if not question:
            if yes and not re.match(r"(?:yes|yeah|yep|sure|please|go ahead)", low):
                return None  # "great" is no answer to a statement
            if no and not re.match(r"(?:no|nope|nah)", low):
                return None
            return Reply(
                f"All right. {social.ELSE}"
                if yes
                else social.goodbye(self.notes.persona)
                if agent and "no" in low.split() and "thank" in low
                else f"All right. {social.ELSE}"
            )
        if re.search(r"anything else|else i can (?:help|do)", question, re.I):
            if no:
                return self._said_by_rule("bye") or Reply(social.goodbye(self.notes.persona))
            return (
                Reply("Of course. What would you like to know?")
                if re.match(r"(?:yes|yeah|yep|sure)", low)
                else Reply(social.goodbye(self.notes.persona))
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
            return self._accepted(offer[1])
        if question == THAT:
            said = sentences(agent.text) if agent else []
            return self._accepted(said[-2]) if len(said) > 1 else Reply(social.HELP)
        if re.search(r"how can i help|what can i do|help you", question, re.I):
            return Reply("Of course. What can I do for you?")
        if re.search(r"another day", question):
            return Reply("Which day would suit you?")
        return None

    def _accepted(self, offer: str) -> Reply:
        """The caller wants what the agent offered to do."""
        if re.search(r"\b(?:connect|transfer|put)\b|\bperson\b|\bcolleague\b", offer):
            tool = named_in(f"transfer {offer}", self.tools) or person_tool(self.tools)
            if tool is not None:
                return _planned(self.planner.plan(tool))
            return self._person(None)
        tool = named_in(offer, self.tools) or best(self.tools, self._query_of(offer))[0]
        if tool is not None:
            return _planned(self.planner.plan(tool))
        return Reply(
            "Very well. I have no way to arrange that from here, so please tell us when you come in or call again."
        )

    def _names_offer(self, low: str) -> bool:
        offered = self.planner._offered(len(self.dialogue.turns))
        said = set(content(low))
        return any(said & set(content(one)) for one in offered)

    def _taker(self) -> Tool | None:
        """The tool that books what another one found."""
        writers = [tool for tool in self.tools if not (tool.reads or tool.handoff or tool.ends)]
        asked = self._query_of(f"{self.planner.started_with()} book appointment")
        return best(writers, asked)[0]

    # The turns of every conversation.

    def _universal(self, intent: str, text: str) -> Reply | None:
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
            return self._person(text)
        if intent == "robot":
            rule = self._said_by_rule("robot")
            honest = rule and not re.search(
                r"\b(?:not (?:a |an )?(?:robot|bot|ai|machine)|(?:am|are) (?:a )?(?:human|real person))",
                rule.text,
                re.I,
            )
            return rule if rule and honest else Reply(social.robot(persona))
        if intent == "who":
            return Reply(f"{social.who(persona)} {social.HELP}")
        if intent == "can":
            return Reply(social.abilities(self.notes, self.tools))
        if intent == "bye":
            return self._said_by_rule("bye") or Reply(social.goodbye(persona))
        if intent == "insult":
            person = person_tool(self.tools)
            offer = (
                f"Would you like me to connect you with {target(person)}?"
                if person
                else "What can I do to help?"
            )
            return Reply(f"I am sorry that this is frustrating. {offer}")
        plain = {
            "help": "Of course. What can I do for you?",
            "how": f"I am doing well, thank you. {social.HELP}",
            "wait": "Of course, take your time.",
            "stop": "All right.",
            "drop": f"All right, no problem. {social.ELSE}",
            "thanks": f"You are welcome. {social.ELSE}",
            "ack": f"Good. {social.ELSE}",
            "unsure": "No problem, take your time. " + social.abilities(self.notes, self.tools),
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
        reply = self._request(self._resolved(place))
        return reply.text if reply.text and reply.fits else said.text

    def _person(self, text: str | None) -> Reply:
        rule = self._said_by_rule("person")
        tool = person_tool(self.tools)
        if tool is None and text is not None:
            asked = best([one for one in self.tools if one.handoff], self._query_of(text))
            tool = asked[0] if asked[1] >= 0.3 else None
        if rule is not None and (rule.calls or tool is None):
            return rule
        if tool is not None:
            return _planned(self.planner.plan(tool))
        contact = answer(query("what is your phone number"), self.notes)
        known = f" {contact.text}" if contact and contact.own else ""
        return Reply(
            f"I am sorry, I cannot put you through to a person from here.{known} {social.HELP}"
        )

    # Everything else: rules, tools, facts.

    def _query_of(self, text: str) -> Query:
        return query(universal.stripped(text))

    def _resolved(self, place: int, text: str = "") -> Query:
        """The caller's question at ``place``, with what it leaves out taken from those before."""
        before: Query | None = None
        for at in self.dialogue.users():
            last = at >= place
            words = text if last and text else self.dialogue.turns[at].text
            now = follow(self._query_of(words), before)
            if not last and self.planner.answered(at) and not now.terms:
                continue  # an answer to a question of ours, not a question
            if last:
                return now
            if not (now.empty and not now.days) and not universal.intent_of(words):
                before = now
        return self._query_of(text)

    def _request(self, asked: Query) -> Reply:
        small = universal.small_talk(asked.text)
        tool, fits = best(self.tools, asked, self.notes.itself)
        found = answer(asked, self.notes)
        known = found.score if found else 0.0
        refused = self._refused(asked, found)
        if refused:
            return Reply(refused)
        rule, held = self._rule(asked)
        if (
            rule is not None
            and held >= 0.55
            and held >= known - 0.2
            and not (found and found.own and known > held)
        ):
            said = self._perform(rule)
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
            return _planned(self.planner.plan(tool))
        if found is not None:
            return Reply(found.text)
        if tool is not None and fits >= 0.4 and not asked.inherited:
            return _planned(self.planner.plan(tool))
        near = rank(asked, self.notes)
        if asked.request and near and near[0].own and near[0].score >= 0.3:
            return Reply(
                f"I cannot arrange that from here, I am sorry. What I can tell you: {near[0].fact.said}"
            )
        rule, held = self._rule(asked, 0.5)
        said = self._perform(rule) if rule and held else None
        if said is not None:
            return said
        if any(akin(one, "upset") >= 0.75 for one in asked.stems):
            return self._universal("insult", asked.text) or Reply(social.HELP)
        rule = self._tagged("unknown")
        said = self._perform(rule) if rule else None
        if said is not None:
            return Reply(said.text, said.calls, fits=bool(said.calls))
        return Reply(
            social.fallback(
                self.notes, self.tools, self.dialogue, named_thing(asked, self.notes), asked.polar
            ),
            fits=False,
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
        if asked.request or asked.days or asked.times:
            return fits >= 0.4 and (fits >= known - 0.35)
        return fits >= 0.45 and fits >= known - 0.1

    def _refused(self, asked: Query, found: Found | None) -> str:
        if found and found.own and found.score > 0.85:
            return ""
        for refusal in self.notes.refusals:
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

    def _tagged(self, tag: str) -> Rule | None:
        return next((rule for rule in self.notes.rules if tag in rule.tags and rule.steps), None)

    def _said_by_rule(self, tag: str) -> Reply | None:
        rule = self._tagged(tag)
        return self._perform(rule) if rule else None

    def _perform(self, rule: Rule) -> Reply | None:
        """A rule's steps as speech and at most one call; None when nothing of it can be done."""
        said: list[str] = []
        for step in rule.steps:
            if step.kind == rules.SAY:
                if not leaks(step.text):
                    said.append(step.text)
            elif step.kind == rules.DO:
                tool = named_in(step.text, self.tools)
                if tool is not None:
                    plan = self.planner.plan(tool)
                    said += [plan.question] if plan.question else []
                    return Reply(" ".join(said), [plan.call] if plan.call else [])
                known = answer(query(step.text), self.notes)
                if known is not None and known.own:
                    said.append(known.text)
            elif step.kind == rules.REFUSE and not said:
                said.append("I am sorry, that is something I cannot help with.")
        return Reply(" ".join(dict.fromkeys(said[:3]))) if said else None


def _fit(one: str, other: str) -> float:
    alike = aspects_of(one) & aspects_of(other) - _MIXED
    return max(akin(one, other), 0.7 * bool(alike))


def _planned(plan: object) -> Reply:
    question = getattr(plan, "question", "")
    call = getattr(plan, "call", None)
    return Reply(question, [call] if call else [])


def _offers(name: str, tool: Tool | None) -> bool:
    """Whether a list that the tool gives is of what is free."""
    about = f"{' '.join(plain_words(name))} {tool.description if tool else ''}".lower()
    return bool(
        re.search(r"\b(?:slots?|free|availab\w+|openings?|times?|appointments?|tables?)\b", about)
    ) and not re.search(r"\b(?:track|order|menu|invoice)", name)


def said(text: str) -> str:
    return sentence(text)
