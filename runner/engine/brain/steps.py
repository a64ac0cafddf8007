"""What a rule wants done, as words for the caller or as a tool to use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.engine.brain.speech import capital, sentence, sentences, spoken, to_caller

SAY, DO, REFUSE = "say", "do", "refuse"


@dataclass(frozen=True, slots=True)
class Step:
    """``say``: words for the caller. ``do``: words that name a tool or a handoff to use.
    ``refuse``: what the agent must not help with ('' when it is what was asked)."""

    kind: str
    text: str


VERBS = (
    r"say|tell|answer|respond|reply|explain|inform|let|mention|offer|ask|apologi[sz]e|"
    r"transfer|hand|route|escalate|"
    r"connect|forward|call|use|run|invoke|check|look|give|provide|suggest|recommend|"
    r"advise|direct|refer|send|point|"
    r"take|collect|gather|book|schedule|cancel|confirm|remind|warn|refuse|decline|do not|"
    r"don't|don’t|never|politely|"
    r"always|please|be|stay|thank|wish|repeat|put|redirect|treat|first|immediately|"
    r"briefly|kindly|end|greet|"
    r"express|acknowledge|state|quote|propose|invite|encourage|assure|reassure|promise|"
    r"note|simply|just|you should|"
    r"you must|you can say|help|read|skip|stop|keep|switch|continue|wait|pass|find|get|"
    r"start|urge|instruct"
)
_QUOTED = re.compile(r"[\"“]([^\"”]{2,400})[\"”]|(?<!\w)'([^']{4,400})'(?!\w)")
_THEM = (
    r"(?:(?:to )?(?:them|him or her|the (?:caller|customer|user|guest|patient|client)|"
    r"callers|customers|guests|patients|people|users)\s*)?"
)
_THAT = re.compile(
    rf"^(?:(?:say|tell|inform|warn|assure|reassure|remind|let)\s+{_THEM}(?:know\s+)?"
    r"(?:that\s+|,\s*|:\s*)?"
    # "answer questions" and "explain the prices" give no words; "answer that ..." does.
    rf"|(?:answer|reply|respond|explain|mention|advise|note|state)\s+{_THEM}"
    r"(?:that|with|:|,)\s+)(.+)$",
    re.I | re.S,
)
_TO_DO = re.compile(
    rf"^(?:tell|advise|ask|remind|urge|encourage|instruct|invite|recommend|warn|"
    rf"direct)\s+{_THEM}(not )?to\s+(.+)$",
    re.I | re.S,
)
_ASK_FOR = re.compile(
    rf"^(?:ask|collect|gather|get|take)\s+{_THEM}(?:for |down )?((?:their|the|a|an|his|"
    rf"your)\s+.+)$",
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
    r"^(?:immediately |politely |first |always )*(?:transfer|hand|route|escalate|connect|"
    r"forward|call|use|run|invoke|put|redirect|check|look up|"
    r"find|book|schedule|cancel|switch|pass|end)\b",
    re.I,
)
_SORRY = re.compile(
    r"^(?:apologi[sz]e|express (?:sympathy|empathy|regret)|say sorry|be (?:sorry|"
    r"sympathetic|empathetic))\b",
    re.I,
)
_REFUSAL = re.compile(r"^(?:politely |kindly )?(?:do not|don't|don’t|never|refuse|decline)\b", re.I)
_NEXT = re.compile(
    rf",?\s+(?:and then|then|and|but)\s+(?=(?:{VERBS})\b)|;\s+(?=(?:{VERBS})\b)|"
    rf"\.\s+(?=(?:Then |And )?(?:{VERBS})\b)",
    re.I,
)


_SAYS_WILL = re.compile(
    r"^(?:say|tell|explain|inform|let)\b.*\b(?:will|can|would|could|should|must|'ll)\b", re.I | re.S
)
_STRONG = re.compile(
    r"(?:then )?(?:offer|ask|transfer|apologi|suggest|tell|say|connect|hand|route|"
    r"escalate|recommend|refer|direct|do not|don't|never)",
    re.I,
)


_LITERAL = re.compile(
    r"^(?:please |always |just |simply )?(?:say|answer|reply|respond|tell them|tell the caller)"
    r"(?: with)?(?: this| the following)?:\s+([^\"“].*)$",
    re.I | re.S,
)


def steps(consequence: str) -> list[Step]:
    """What to say and do, in order, from 'apologise and offer to book a new time'."""
    consequence = consequence.strip().rstrip(",;")
    whole = _QUOTED.fullmatch(consequence.rstrip(". "))
    if whole:
        return [Step(SAY, spoken(whole[1] or whole[2]))]
    literal = _LITERAL.match(consequence)
    if literal:
        # What stands after "say:" is written for the caller's ear already.
        return [Step(SAY, " ".join(sentence(spoken(one)) for one in sentences(literal[1])))]
    found: list[Step] = []
    also = re.match(r"(.+?),? and (?=(?:then )?(?:say|reply|answer)\b[^:\n]{0,20}: )", consequence)
    if also and not _QUOTED.search(consequence):
        # "apologise and say: ...": what is done first, then what is said word for word.
        return steps(also[1]) + steps(consequence[also.end() :])
    for part in _parts(consequence):
        step = _step(
            re.sub(
                r"^(?:then|and|please|politely|kindly|simply|just|always|briefly|immediately|first|"
                r"only)[, ]+",
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
    if match and re.match(r"(?:how|what) you (?:can|could|may) (?:help|assist|do)\b", match[1]):
        return Step(SAY, "How can I help you?")
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
        r"(?:them|about|to|briefly|politely|only|in|as|the (?:caller|customer|user)|honestly|"
        r"it\b$|so\b$)\b",
        match[1],
        re.I,
    ):
        words = re.sub(r"^(?:yes|no),? (?=and|we)", lambda m: m[0], match[1])
        clauses = re.split(r",? and that ", words)
        told = [one for clause in clauses for one in sentences(capital(_told(clause)))]
        return Step(SAY, " ".join(sentence(one) for one in told))
    first = re.match(
        r"(?:we|our|you|they|it|there|the|a|an|yes|no|i|all|every|this|that|only)\b", action, re.I
    )
    if first and not re.match(rf"(?:{VERBS})\b", action, re.I):
        return Step(SAY, sentence(_told(action)))
    return None


def _told(text: str) -> str:
    return to_caller(spoken(text))
