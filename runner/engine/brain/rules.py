"""Rules of the form "if the caller ..., say ...": when they hold, and what the agent then says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from runner.engine.brain.steps import VERBS, Step, steps
from runner.engine.brain.words import content, normal, number_at


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
    r"\b(?:(more than|over|above|larger than|bigger than|greater than|exceeding|exceeds)|"
    r"(less than|fewer than|under|below|smaller than)|(at least))\s+(\w+)|"
    r"\b(\w+) or (more|fewer|less)\b",
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
    r"(?:the |a |an |any |another )?(?:callers?|customers?|users?|guests?|patients?|"
    r"clients?|someone|somebody|anyone|"
    r"people|they|visitors?|person|he or she|members?|shoppers?|travell?ers?|parents?)"
)
_WHEN = re.compile(
    r"^(?:and |but |also,? |however,? |otherwise,? )?(?:(?:only )?(?:if|when|whenever|"
    r"in case(?: of)?|should|in the event))\b\s*(.+)$",
    re.I | re.S,
)
_FOR = re.compile(rf"^(?:for|in|on|with|regarding) (.{{3,80}}?),\s+((?:{VERBS})\b.+)$", re.I | re.S)
_AFTERWARDS = re.compile(
    rf"^((?:{VERBS})\b.{{3,200}}?)[,]?\s+(?:if|when|whenever|in case)\s+((?:{_WHO}|asked|"
    rf"you|it|there|unsure|in doubt)\b.+)$",
    re.I | re.S,
)
_CALLERS_WHO = re.compile(
    rf"^{_WHO} (?:who|that|asking|wanting|calling) (.{{3,100}}?),? (?:should|must|need to|"
    rf"have to|can|will|are to) be (told|informed|asked|transferred|"
    r"sent|directed|referred|offered|routed|connected|put through|given)\b\s*(.+)$",
    re.I | re.S,
)
_ARROW = re.compile(r"^(.{3,120}?)\s*(?:->|→|=>|⇒)\s*(.+)$", re.S)
_TAGS: tuple[tuple[str, str], ...] = (
    (
        "unknown",
        r"\b(?:do not|don't|cannot|can't|can not|not|unable to) (?:know|sure|answer|help|find|"
        r"have|listed|covered|able)|\bunsure\b|"
        r"\bunknown\b|\bunrelated|off[- ]topic|\boutside\b|anything else|something else|"
        r"other (?:question|topic|request|matter)|"
        r"in doubt|no answer|not in (?:this|the|these)",
    ),
    (
        "unclear",
        r"(?:not|n't) (?:understand|hear|catch)|unclear|unintelligible|misheard|mishear|"
        r"background noise",
    ),
    ("silence", r"silent|silence|says nothing|no response|not respond|n't respond"),
    (
        "start",
        r"\bcall (?:starts|begins|connects|opens)|\bconversation (?:starts|begins)|"
        r"answering the (?:phone|call)|first greet",
    ),
    (
        "bye",
        r"goodbye|good bye|\bbye\b|call (?:ends|is over|is ending)|hang(?:s)? up|"
        r"ending the call|finished|is done",
    ),
    (
        "person",
        r"\b(?:speak|talk|ask|asks|want|wants|insist|insists|request|"
        r"requests)\b.{0,30}\b(?:person|human|someone|operator|"
        r"representative|manager|staff|real|agent|somebody|supervisor)\b",
    ),
    (
        "upset",
        r"\b(?:upset|angry|complain\w*|frustrated|dissatisfied|unhappy|rude|annoyed|abusive)\b",
    ),
    ("robot", r"\b(?:robot|bot|ai|a machine|human|real person|automated|computer)\b"),
)
_VAGUE = frozenset(
    content(
        "strong severe serious bad badly heavy extreme advice detail details help information "
        "problem issue"
    )
)
#: What was tried has not helped: said of a step before, not of a question without an answer.
FAILED = (
    r"\b(?:that|this|it|restart\w*|reboot\w*|which)\b.{0,20}\b(?:did|does|do|has|have)"
    r"(?: not|n't) (?:help|work|fix|solve)|\b(?:problem )?persists\b|"
    r"\bstill (?:not|no|slow|down|broken|does|is not)\b|\balready (?:did|tried|done)\b"
)
_SITUATIONS = frozenset({"unknown", "unclear", "silence", "start", "bye", "failed"})
_BOILER = frozenset(
    content(
        "caller callers customer customers user users guest guests patient client clients "
        "someone asks asked ask asking "
        "mentions mention wants request requests question questions says inquires inquire enquires "
        "topic report reports complains call calls calling tells talks interested concern "
        "describes needs about whether like person somebody related situation case reporting "
        "seem seems "
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
        re.search(
            r"\b(?:wants?|would like|wishes|needs?|requests?|would love|asks to)\b", condition
        )
    ) and not re.search(r"\b(?:asks?(?! to)|asking|know|information|mentions?)\b", condition)


def _split(text: str) -> tuple[str, str] | None:
    """(condition, consequence)."""
    when = _WHEN.match(text)
    if when:
        body = when[1]
        colon = re.match(r"([^:\"“]{3,160}):\s+(.+)$", body, re.S)
        for comma in re.finditer(r",\s+(?:then\s+)?|\s+then\s+", body):
            rest = body[comma.end() :]
            if re.match(
                rf"(?:please |you (?:should|must|can|may|need to) |also |always |"
                rf"politely )?(?:{VERBS})\b",
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
            rf"(?:{_WHO}|asked|you are asked|you don't|you do not|you cannot|you can't|unsure|"
            rf"in doubt)\b",
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
        if match and (pattern is _FOR or re.match(rf"(?:{VERBS})\b|[\"“]", match[2], re.I)):
            strong = re.match(
                r"(?:tell|say|transfer|ask|offer|direct|refer|explain|hand|use|give|apologi|advise|"
                r"send|route|connect|"
                r"suggest|do not|don't|never|take|collect|let|inform|escalate|remind|\"|“)",
                match[2],
                re.I,
            )
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
        r"\b(?:on|over|by) the (?:phone|line|telephone)\b|\b(?:by|over) phone\b|"
        r"\bduring (?:the|a) call\b",
        "",
        condition,
    )
    parts = re.split(r",\s*(?:or\s+)?|\s+or\s+|;|/", condition)
    found = [frozenset(content(part)) - _BOILER for part in parts]
    found = [stems - _VAGUE or stems for stems in found]
    return tuple(dict.fromkeys(stems for stems in found if stems))


def _tags(condition: str) -> frozenset[str]:
    low = normal(condition)
    if re.search(FAILED, low):
        return frozenset({"failed"})
    return frozenset(
        tag
        for tag, pattern in _TAGS
        if re.search(pattern, low) or re.search(pattern, condition, re.I)
    )
