"""Rules of the form "if the caller ..., say ...": when they hold, and what the agent then says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.engine.brain.speech import capital, sentence, sentences, spoken, to_caller
from runner.engine.brain.words import content, normal, number_at

SAY, DO, REFUSE = "say", "do", "refuse"


@dataclass(frozen=True, slots=True)
class Step:
    """``say``: words for the caller. ``do``: words that name a tool or a handoff to use.
    ``refuse``: what the agent must not help with ('' when it is what was asked)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """``when``: each alternative's stems. ``tags``: situations that are no matter of words, among
    unknown, unclear, silence, start, bye, person, robot, done."""

    when: tuple[frozenset[str], ...]
    tags: frozenset[str]
    steps: tuple[Step, ...]
    wish: bool = False  # the condition is that the caller wants something done
    limit: tuple[str, int] | None = None  # "more than 8": ("more", 8)

    def admits(self, numbers: Sequence[int]) -> bool:
        """Whether a number that was said lies on the rule's side of its limit."""
        if self.limit is None:
            return True
        kind, bound = self.limit
        return any(number > bound if kind == "more" else number < bound for number in numbers)


_LIMIT = re.compile(
    r"\b(?:(more than|over|above|larger than|bigger than|greater than|exceeding|exceeds)|(less than|fewer than|under|below|smaller than)|(at least))\s+(\w+)|\b(\w+) or (more|fewer|less)\b",
    re.I,
)


def _limit(condition: str) -> tuple[str, int] | None:
    match = _LIMIT.search(condition)
    if match is None:
        return None
    number = number_at([(match[4] or match[5]).lower()], 0)
    if number is None:
        return None
    value = number[0]
    if match[6]:
        return ("more", value - 1) if match[6].lower() == "more" else ("less", value + 1)
    return ("less", value) if match[2] else ("more", value - 1 if match[3] else value)


_WHO = (
    r"(?:the |a |an |any |another )?(?:callers?|customers?|users?|guests?|patients?|clients?|someone|somebody|anyone|"
    r"people|they|visitors?|person|he or she|members?|shoppers?|travell?ers?|parents?)"
)
_VERBS = (
    r"say|tell|answer|respond|reply|explain|inform|let|mention|offer|ask|apologi[sz]e|transfer|hand|route|escalate|"
    r"connect|forward|call|use|run|invoke|check|look|give|provide|suggest|recommend|advise|direct|refer|send|point|"
    r"take|collect|gather|book|schedule|cancel|confirm|remind|warn|refuse|decline|do not|don't|don’t|never|politely|"
    r"always|please|be|stay|thank|wish|repeat|put|redirect|treat|first|immediately|briefly|kindly|end|greet|"
    r"express|acknowledge|state|quote|propose|invite|encourage|assure|reassure|promise|note|simply|just|you should|"
    r"you must|you can say|help|read|skip|stop|keep|switch|continue|wait|pass|find|get|start|urge|instruct"
)
_WHEN = re.compile(
    r"^(?:and |but |also,? |however,? |otherwise,? )?(?:(?:only )?(?:if|when|whenever|in case(?: of)?|should|in the event))\b\s*(.+)$",
    re.I | re.S,
)
_FOR = re.compile(
    rf"^(?:for|in|on|with|regarding) (.{{3,80}}?),\s+((?:{_VERBS})\b.+)$", re.I | re.S
)
_AFTERWARDS = re.compile(
    rf"^((?:{_VERBS})\b.{{3,200}}?)[,]?\s+(?:if|when|whenever|in case)\s+((?:{_WHO}|asked|you|it|there|unsure|in doubt)\b.+)$",
    re.I | re.S,
)
_CALLERS_WHO = re.compile(
    rf"^{_WHO} (?:who|that|asking|wanting|calling) (.{{3,100}}?),? (?:should|must|need to|have to|can|will|are to) be (told|informed|asked|transferred|"
    r"sent|directed|referred|offered|routed|connected|put through|given)\b\s*(.+)$",
    re.I | re.S,
)
_ARROW = re.compile(r"^(.{3,120}?)\s*(?:->|→|=>|⇒)\s*(.+)$", re.S)
_TAGS: tuple[tuple[str, str], ...] = (
    ("unknown", r"\b(?:do not|don't|cannot|can't|can not|not|unable to) (?:know|sure|answer|help|find|have|listed|covered|able)|\bunsure\b|"
                r"\bunknown\b|\bunrelated|off[- ]topic|\boutside\b|anything else|something else|other (?:question|topic|request|matter)|"
                r"in doubt|no answer|not in (?:this|the|these)"),
    ("unclear", r"(?:not|n't) (?:understand|hear|catch)|unclear|unintelligible|misheard|mishear|noise"),
    ("silence", r"silent|silence|says nothing|no response|not respond|n't respond"),
    ("start", r"\bcall (?:starts|begins|connects|opens)|\bconversation (?:starts|begins)|answering the (?:phone|call)|first greet"),
    ("bye", r"goodbye|good bye|\bbye\b|call (?:ends|is over|is ending)|hang(?:s)? up|ending the call|finished|is done"),
    ("person", r"\b(?:speak|talk|ask|asks|want|wants|insist|insists|request|requests)\b.{0,30}\b(?:person|human|someone|operator|"
               r"representative|manager|staff|real|agent|somebody|supervisor)\b"),
    ("upset", r"\b(?:upset|angry|complain\w*|frustrated|dissatisfied|unhappy|rude|annoyed|abusive)\b"),
    ("robot", r"\b(?:robot|bot|ai|a machine|human|real person|automated|computer)\b"),
)  # fmt: skip
_VAGUE = frozenset(content("advice detail details help information problem issue"))
_SITUATIONS = frozenset({"unknown", "unclear", "silence", "start", "bye"})
_BOILER = frozenset(
    content(
        "caller callers customer customers user users guest guests patient client clients someone asks asked ask asking "
        "mentions mention wants request requests question questions says inquires inquire enquires "
        "topic report reports complains call calls calling tells talks interested concern "
        "describes needs about whether like person somebody related situation case reporting seem seems "
        "sound sounds has having ever wishes would visitors member members"
    )
)


def rule_in(text: str) -> Rule | None:
    """The rule that one sentence states, or None. A rule that can be neither said nor done has no
    steps: it is known, so that it is not taken for a fact."""
    text = re.sub(r"\*\*|__|`", "", text.strip())
    found = _split(text)
    if found is None:
        return None
    condition, consequence = found
    tags = _tags(condition)
    # Situations are no matter of words: "if you do not know the answer" is not about answers.
    when = () if tags & _SITUATIONS else _alternatives(condition)
    return Rule(when, tags, tuple(steps(consequence)), _wishes(condition), _limit(condition))


def _wishes(condition: str) -> bool:
    return bool(
        re.search(r"\b(?:wants?|would like|wishes|needs?|requests?|would love)\b", condition)
    ) and not re.search(r"\b(?:asks?|asking|know|information|mentions?)\b", condition)


def _split(text: str) -> tuple[str, str] | None:
    """(condition, consequence)."""
    when = _WHEN.match(text)
    if when:
        body = when[1]
        colon = re.match(r"([^:\"“]{3,160}):\s+(.+)$", body, re.S)
        for comma in re.finditer(r",\s+(?:then\s+)?|\s+then\s+", body):
            rest = body[comma.end() :]
            if re.match(
                rf"(?:please |you (?:should|must|can|may|need to) |also |always |politely )?(?:{_VERBS})\b",
                rest,
                re.I,
            ) and (colon is None or comma.start() < colon.end(1)):
                listed = re.match(r"\w+,? or\b|\w+ (?:or|and) \w+,\s", rest)
                if not listed:
                    return body[: comma.start()], re.sub(
                        r"^you (?:should|must|can|may|need to) ", "", rest, flags=re.I
                    )
        if colon:
            return colon[1], colon[2]
        if re.match(
            rf"(?:{_WHO}|asked|you are asked|you don't|you do not|you cannot|you can't|unsure|in doubt)\b",
            body,
            re.I,
        ):
            comma_at = re.search(r",\s+", body)
            if comma_at:
                return body[: comma_at.start()], body[comma_at.end() :]
            return body, ""
        return None
    for pattern in (_FOR, _ARROW):
        match = pattern.match(text)
        if match and (pattern is _FOR or re.match(rf"(?:{_VERBS})\b|[\"“]", match[2], re.I)):
            strong = re.match(r"(?:tell|say|transfer|ask|offer|direct|refer|explain|hand|use|give|apologi|advise|send|route|connect|"
                              r"suggest|do not|don't|never|take|collect|let|inform|escalate|remind|\"|“)", match[2], re.I)  # fmt: skip
            if strong or pattern is _ARROW:
                return match[1], match[2]
    who = _CALLERS_WHO.match(text)
    if who:
        verb = {
            "told": "tell them",
            "informed": "tell them",
            "asked": "ask them",
            "offered": "offer them",
            "given": "give them",
        }
        return who[1], f"{verb.get(who[2].lower(), 'transfer them')} {who[3]}"
    after = _AFTERWARDS.match(text)
    if after:
        return after[2], after[1]
    return None


def _alternatives(condition: str) -> tuple[frozenset[str], ...]:
    condition = re.sub(
        r"\b(?:on|over|by) the (?:phone|line|telephone)\b|\b(?:by|over) phone\b|\bduring (?:the|a) call\b",
        "",
        condition,
    )
    parts = re.split(r",\s*(?:or\s+)?|\s+or\s+|;|/", condition)
    found = [frozenset(content(part)) - _BOILER for part in parts]
    found = [stems - _VAGUE or stems for stems in found]
    return tuple(dict.fromkeys(stems for stems in found if stems))


def _tags(condition: str) -> frozenset[str]:
    low = normal(condition)
    return frozenset(
        tag
        for tag, pattern in _TAGS
        if re.search(pattern, low) or re.search(pattern, condition, re.I)
    )


_QUOTED = re.compile(r"[\"“]([^\"”]{2,400})[\"”]|(?<!\w)'([^']{4,400})'(?!\w)")
_THEM = r"(?:(?:to )?(?:them|him or her|the (?:caller|customer|user|guest|patient|client)|callers|customers|guests|patients|people|users)\s*)?"
_THAT = re.compile(
    rf"^(?:say|tell|answer|reply|respond|explain|inform|mention|advise|note|state|warn|assure|reassure|remind|let)\s+{_THEM}(?:know\s+)?"
    r"(?:with\s+)?(?:that\s+|,\s*|:\s*)?(.+)$",
    re.I | re.S,
)
_TO_DO = re.compile(
    rf"^(?:tell|advise|ask|remind|urge|encourage|instruct|invite|recommend|warn|direct)\s+{_THEM}(not )?to\s+(.+)$",
    re.I | re.S,
)
_ASK_FOR = re.compile(
    rf"^(?:ask|collect|gather|get|take)\s+{_THEM}(?:for |down )?((?:their|the|a|an|his|your)\s+.+)$",
    re.I | re.S,
)
_ASK_WHETHER = re.compile(
    rf"^ask\s+{_THEM}((?:if|whether|what|which|when|where|how|who)\b.+)$", re.I | re.S
)
_OFFER_TO = re.compile(rf"^(?:offer|propose|suggest)\s+{_THEM}to\s+(.+)$", re.I | re.S)
_OFFER = re.compile(rf"^(?:offer|propose|suggest|recommend)\s+{_THEM}(?!to\b)(.+)$", re.I | re.S)
_SEND = re.compile(rf"^(?:direct|refer|send|point)\s+{_THEM}to\s+(.+)$", re.I | re.S)
_GIVE = re.compile(rf"^(?:give|provide|quote)\s+{_THEM}(?:with\s+)?(.+)$", re.I | re.S)
_DO = re.compile(
    r"^(?:immediately |politely |first |always )*(?:transfer|hand|route|escalate|connect|forward|call|use|run|invoke|put|redirect|check|look up|"
    r"find|book|schedule|cancel|switch|pass|end)\b",
    re.I,
)
_SORRY = re.compile(
    r"^(?:apologi[sz]e|express (?:sympathy|empathy|regret)|say sorry|be (?:sorry|sympathetic|empathetic))\b",
    re.I,
)
_REFUSAL = re.compile(r"^(?:politely |kindly )?(?:do not|don't|don’t|never|refuse|decline)\b", re.I)
_NEXT = re.compile(
    rf",?\s+(?:and then|then|and|but)\s+(?=(?:{_VERBS})\b)|;\s+(?=(?:{_VERBS})\b)|\.\s+(?=(?:Then |And )?(?:{_VERBS})\b)",
    re.I,
)


_SAYS_WILL = re.compile(
    r"^(?:say|tell|explain|inform|let)\b.*\b(?:will|can|would|could|should|must|'ll)\b", re.I | re.S
)
_STRONG = re.compile(
    r"(?:then )?(?:offer|ask|transfer|apologi|suggest|tell|say|connect|hand|route|escalate|recommend|refer|direct|do not|don't|never)",
    re.I,
)


def steps(consequence: str) -> list[Step]:
    """What to say and do, in order, from 'apologise and offer to book a new time'."""
    consequence = consequence.strip().rstrip(",;")
    whole = _QUOTED.fullmatch(consequence.rstrip(". "))
    if whole:
        return [Step(SAY, spoken(whole[1] or whole[2]))]
    found: list[Step] = []
    for part in _parts(consequence):
        step = _step(
            re.sub(
                r"^(?:then|and|please|politely|kindly|simply|just|always|briefly|immediately|first|only)[, ]+",
                "",
                part.strip(" .;"),
                flags=re.I,
            )
        )
        if step is not None:
            found.append(step)
    return found


def _parts(consequence: str) -> list[str]:
    """Cut between actions, never inside quoted words."""
    kept: dict[str, str] = {}

    def keep(match: re.Match[str]) -> str:
        kept[f"\0{len(kept)}\0"] = match[0]
        return f"\0{len(kept) - 1}\0"

    cut = _NEXT.split(_QUOTED.sub(keep, consequence))
    for mark, text in kept.items():
        cut = [part.replace(mark, text) for part in cut]
    found: list[str] = []
    for part in cut:
        if not part or not part.strip():
            continue
        # "say you will ask the team and call back" is one thing to say.
        if found and _SAYS_WILL.match(found[-1]) and not _STRONG.match(part.strip()):
            found[-1] += f" and {part.strip()}"
        else:
            found.append(part)
    return found


def _step(action: str) -> Step | None:
    quoted = _QUOTED.search(action)
    if quoted and re.match(
        r"(?:say|tell|answer|reply|respond|explain|ask|greet|let|inform|state|with)\b", action, re.I
    ):
        return Step(SAY, spoken(quoted[1] or quoted[2]))
    if _SORRY.match(action):
        return Step(SAY, "I am sorry about that.")
    if _REFUSAL.match(action):
        return Step(REFUSE, "")
    if re.match(r"take (?:a|down a|their) message", action, re.I):
        return Step(SAY, "I can take a message. What is your name and number, please?")
    match = _TO_DO.match(action)
    if match:
        return Step(SAY, sentence(f"please {'do not ' if match[1] else ''}{_told(match[2])}"))
    match = _ASK_WHETHER.match(action)
    if match:
        return Step(SAY, f"Could you tell me {_told(match[1]).rstrip('.?')}?")
    match = _OFFER_TO.match(action)
    if match:
        return Step(SAY, f"Would you like me to {_told(match[1]).rstrip('.?')}?")
    match = _ASK_FOR.match(action)
    if match and re.match(r"(?:ask|collect|gather|get|take)", action, re.I):
        wanted = re.sub(r"^(?:the|a|an) ", "your ", _told(match[1])).rstrip(".?")
        return Step(SAY, f"Could you give me {wanted}, please?")
    match = _SEND.match(action)
    if match:
        return Step(SAY, sentence(f"for that, please contact {_told(match[1])}"))
    match = _OFFER.match(action)
    if match:
        return Step(SAY, f"I can offer you {_told(match[1]).rstrip('.?')}. Would you like that?")
    if _DO.match(action):
        return Step(DO, action)
    match = _GIVE.match(action)
    named = re.match(r"(.{3,60}?)(?::| which is|, which is)\s+(.+)$", match[1]) if match else None
    if named:
        return Step(SAY, sentence(f"{_told(named[1])} is {_told(named[2])}"))
    if match:
        return Step(DO, action)
    match = _THAT.match(action)
    if match and not re.match(
        r"(?:them|about|to|briefly|politely|only|in|as|the (?:caller|customer|user)|honestly|it\b$|so\b$)\b",
        match[1],
        re.I,
    ):
        words = re.sub(r"^(?:yes|no),? (?=and|we)", lambda m: m[0], match[1])
        return Step(SAY, " ".join(sentence(one) for one in sentences(capital(_told(words)))))
    first = re.match(
        r"(?:we|our|you|they|it|there|the|a|an|yes|no|i|all|every|this|that|only)\b", action, re.I
    )
    if first and not re.match(rf"(?:{_VERBS})\b", action, re.I):
        return Step(SAY, sentence(_told(action)))
    return None


def _told(text: str) -> str:
    return to_caller(spoken(text))
