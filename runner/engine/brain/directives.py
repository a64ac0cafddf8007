"""Which sentences of a prompt instruct the agent, and what a sentence tells about."""

from __future__ import annotations

import re

from runner.engine.brain.times import weekday_of
from runner.engine.brain.words import aspects_of, normal, stem

BEHAVIOUR = re.compile(
    r"\b(?:role|persona|personality|tone|style|rules?|guidelines?|instructions?|behaviou?r|flow|"
    r"guardrails?|constraints?|do'?s|don'?ts?|how to|steps|workflow|handling|safety|boundaries|"
    r"voice|speaking|speech|speak|your job|tasks?|goals?|objective|objectives|"
    r"conversation|dialog|dialogue|"
    r"responsibilities|what to do|process|procedures?|script|duties|approach|manner|"
    r"etiquette|prompt|limits|identity|purpose|what you do|must|never|always)\b",
    re.I,
)
FACTUAL = re.compile(
    r"polic|\b(?:house|store|pool|hotel|shop|library|return|cancell?ation|our|about us|faq|facts?|"
    r"information|info|knowledge|gym|booking|pet|smoking)\b",
    re.I,
)
_ADVERB = (
    r"(?:(?:please|always|also|just|only|then|first|politely|briefly|kindly|simply|next|"
    r"finally|instead|try to|you (?:must|should|need to|have to|are to))[, ]+)*"
)
# Verbs that begin an instruction to the agent wherever they stand.
_ORDERS = (
    "say|tell|answer|respond|reply|speak|talk|greet|stay|act|be|avoid|ensure|make sure|remember|"
    "pretend|refuse|apologi[sz]e|introduce|never|do not|don't|you must|you should|"
    "you may (?!renew|borrow|bring|pay|park|return|cancel|change|order|reserve|book|use|pick|"
    "leave)|"
    "you will|you need|you have|follow|treat|assume|confirm|repeat|spell|read|mention|explain|"
    "acknowledge|sound|use (?:a|the|short|simple|plain|only|natural|tools?|[a-z]+_)|keep|limit|"
    "thank|wish|inform|remind|suggest|recommend|refer|direct|quote|pronounce|convert|translate|"
    "find out|figure|determine|identify|understand (?:what|the|why)|establish|proceed|"
    "continue|show empathy|reassure|remain|consult|record|log|welcome|"
    "transfer|hand|route|escalate|collect|gather|verify|help|assist|respect|listen|let|focus|stick|"
    "decline|redirect|summari[sz]e|wait for|pause|address|respond|encourage|upsell|offer|provide|"
    "give|handle|ask|if unsure|end (?:the|each|every)|close (?:the|each|with)|"
    "start (?:the|each|with|by)|"
    "begin (?:the|each|with|by)|open (?:the|each|with)|look up|check (?:the|for|with|if|"
    "whether|find|"
    "availability|[a-z]+_)|book (?:the|an|them|a)|call [a-z]+_|call the \\w+ tool|"
    "take (?:a|the|down|their)|"
    "when (?:speaking|talking|answering)|behave|adopt|maintain|prioriti[sz]e|"
    "your (?:goal|job|task|role|"
    "tone|purpose|responses?|answers?|style|aim|objective|voice|mission|duty|duties)|"
    "responses? (?:should|must)|"
    "answers? (?:should|must|are)|the conversation|output|write|generate|prefer|invite|don’t|"
    "you (?:can (?:now )?(?:use|access|call|look|check|transfer|help|answer|create|"
    "search|read|give|offer|tell|ask|"
    "also|schedule|take|handle|speak|book (?!online|on|through|by)|see the|also)|could|"
    "are|have|know|work|only|never|always|take|answer|help|speak|handle|do|don't|cannot)|"
    "no (?:markdown|lists|emojis?|jargon)|one question|short (?:answers|sentences)"
)
DIRECTIVE = re.compile(rf"^{_ADVERB}(?:{_ORDERS})\b", re.I)
MILD = re.compile(
    rf"^{_ADVERB}(?:call|book|check|park|bring|use|take|give|start|end|keep|visit|contact|"
    rf"email|collect|ask|do not|don't|provide|let|wait|read|address)\b",
    re.I,
)
TOLD = re.compile(
    rf"^{_ADVERB}(?:tell|inform|remind|let|mention|explain|note|say)(?: to)?(?: (?:the |"
    rf"all |every )?(?:callers?|"
    r"customers?|them|users?|guests?|patients?|people|clients?|"
    r"everyone)(?: know)?)?,? (that )(.+)$",
    re.I,
)
REMIND = re.compile(
    r"^(?:always )?(?:tell|remind|ask|advise) (?:the |all |every )?(?:callers?|customers?|"
    r"users?|guests?|"
    r"patients?|clients?|people) to (.+)$",
    re.I,
)
REFUSED = re.compile(
    r"^(?:you (?:must|should|may|can)(?: never| not|not)|you cannot|you can't|never|"
    r"do not|don't|don’t|avoid|refuse to|you do not)\s+(?:ever )?"
    r"(?:give|giving|offer|offering|provide|providing|discuss|discussing|share|sharing|"
    r"reveal|revealing|"
    r"talk about|answer questions about|quote|quoting|promise|promising|make|making|disclose|"
    r"comment on|speculate about|recommend|recommending|diagnose|prescribe|negotiate|"
    r"process|take|read|read out)\s+(.+)$",
    re.I,
)
ABILITY = re.compile(
    r"^(?:you (?:can |also |will )?|your (?:job|goal|role|task|purpose) is to )"
    r"(?:(help|assist) (?:the )?(?:callers?|customers?|guests?|patients?|users?|people|"
    r"them|clients?|visitors?)\s*(?:to|with|by)?\s*(.+)|"
    r"((?:book|take|schedule|check|cancel|move|arrange|look up|find|transfer|track|"
    r"reserve|answer questions|give directions) .+)|"
    r"(speak [A-Z].+))$",
    re.I,
)
# "Guests call you from their rooms": the agent's own work, told to it.
OF_WORK = re.compile(
    r"^(?:the )?(?:guests?|callers?|customers?|people|patients?|members?|users?|clients?|visitors?)"
    r" (?:\w+ )?(?:call|calls|ask|asks|contact|reach|phone|write to|come to|talk to|"
    r"speak to) you\b",
    re.I,
)
OF_CALLER = re.compile(
    r"\b(?:the|a|any|each|every|your) (?:caller|user)s?\b|\bcallers\b|\busers? (?:ask|say|"
    r"want)|"
    r"\b(?:they|caller) asks?\b|\b(?:tool|function)s?\b.*\b(?:call|use)\b|\b\w+_\w+\b|"
    r"\{\{|\bprompt\b",
    re.I,
)
_LEAK = re.compile(
    r"^\W*(?:you are (?:a|an|the|[A-Z]\w+,)|you're (?:a|an|the) |your (?:name|role|job|"
    r"task|goal|tone)\b|"
    r"(?:never|always|do not|don't) [a-z]+|be (?:polite|friendly|brief|warm|concise|helpful|kind|"
    r"professional|courteous|patient|short|calm)|keep (?:your|answers|replies|it|responses)|"
    r"(?:if|when|whenever) (?:the|a|any|someone|they) )",
    re.I,
)


def leaks(said: str) -> bool:
    """Whether ``said`` would read the prompt's instructions to the caller."""
    return bool(_LEAK.search(said)) or bool(OF_CALLER.search(said))


def aspects_in(text: str) -> frozenset[str]:
    """What a text tells about: by its words, and by the shape of what it gives."""
    low = normal(text)
    words = low.split()
    # "two hours" are no opening hours.
    lasting = re.sub(
        r"\b(?:\w+) hours? (?:before|in advance|notice|later|ahead)\b|\b(?:\d+|a|an|one|two|"
        r"three|four|six|twelve|few|half) hours?\b",
        "",
        low,
    )
    found = {aspect for word in lasting.split() for aspect in aspects_of(stem(word))}
    if re.search(r"[$€£]\s?\d|\d\s?(?:dollars|euros|pounds|usd|eur)\b", text, re.I):
        found.add("price")
    days = (
        any(weekday_of(word) is not None for word in words)
        or "daily" in words
        or "every day" in low
    )
    if re.search(r"\d\s?(?:am|pm)\b|\d:\d\d|noon|midnight|oclock", low) and days:
        found.add("hours")
    if re.search(r"\+?\d[\d -]{6,}\d|\d{3}-\d{4}|@|\b\w+ at \w+ dot \w+", text):
        found.add("contact")
    if re.search(
        r"\b\d+ (?:[A-Z]\w+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard|Blvd|"
        r"Square|Way|Place|Court|Plaza|Quay)\b",
        text,
    ):
        found.add("location")
    if re.search(
        r"\bwe are (?:in|at|on|located|near|next to|behind|opposite|across|between)\b", low
    ):
        found.add("location")
    if re.search(
        r"(?:\b(?:one|two|three|four|five|six|seven|ten|twelve|few|several)|\d)\s?(?:(?:to|"
        r"-) ?\d+ )?(?:business |working )?(?:minutes?|hours?|days?|weeks?)\b",
        low,
    ):
        found.add("duration")
    return frozenset(found)
