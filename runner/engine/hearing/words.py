"""The text rule of semantic turn detection: do these words read as if more will follow?

It reads what a small recogniser wrote, so punctuation is a hint at most: a recogniser ends
everything with a full stop. English only; other languages read as finished.
"""

from __future__ import annotations

import re


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[^\W_]+(?:['.:][^\W_]+)*")

# Nothing ends in one of these, whatever the punctuation says.
# "Any" alone is rare: "do you have any?" is caught by its question mark.
_NEVER_LAST = _set(
    "a an the and or nor but because if unless until although though whereas while since "
    "my your our their its every any i he she we they than very i'm i've i'd i'll we're we'd "
    "we'll you're they're he's she's there's um uh uhm umm er erm hm hmm mm gonna wanna"
)
# Prepositions: last in "can I come in", "who is it for", open in "an appointment for".
_PREPOSITIONS = _set(
    "at by for from in into of off on onto out over through to up with about around "
    "before after between during under without within against near as"
)
# Verbs that take one of them as a part: "I cannot log in."
_WITH_PARTICLE = {
    "in": "me him her them us log logged logging sign signed come coming came check checked "
    "checking call drop fill filled move let get got be am squeeze fit pencil go stop bring walk "
    "hand turn",
    "on": "hold hang go going carry move turned turn later based",
    "up": "sign signed pick picked hang set look looking speak back call follow show give make "
    "wake speed hurry pay 's what's",
    "out": "check checked find found figure sign try help work working run ran sold opt log logged",
    "off": "drop call take day sign cut turn turned better",
    "over": "start come go is it's",
    "through": "get put go going",
    "about": "what how",
    "after": "day soon",
    "before": "there here ever once day that this it done",
    "around": "turn look looking",
    "by": "stop drop come",
    "for": "look looking asked waiting hoping asking wait ask care pay",
    "with": "deal okay fine done happy start",
    "of": "course know heard think thought",
}
_PARTICLE_PAIRS = {w: _set(v) for w, v in _WITH_PARTICLE.items()}
_AUXILIARIES = _set(
    "am is are was were be been do does did have has had can could will would shall "
    "should may might must isn't aren't don't doesn't didn't can't couldn't won't "
    "wouldn't cannot"
)
_SHORT_ANSWERS = _set("do does did can is has have had")
_ASKING = _set("what which who whom whose where when why how")
_ANSWERING = _set("yes yeah yep no nope sure so certainly ok okay well maybe course")
_SUBJECTS = _set("i you he she it we they that this there")
_OPINIONS = _set("think know say said believe guess hope wonder so such sure hear heard")
# A number dictated in groups is not over after the first.
_DICTATING = re.compile(
    r"\b(?:phone|telephone|mobile|cell|call me|reach me|my number)\b[^?]*?"
    r"((?:[\d\s().,-]|\bis\b)+)$"
)


def unfinished(text: str) -> bool:
    """True when ``text`` ends in a function word, a filler, or a mark that asks for more."""
    text = text.strip().lower().replace("’", "'")
    words = _WORD.findall(text)
    if not words:
        return False
    if text.endswith(("...", "…", "-", "–", "—")):
        return True
    # Of one or two words ("No,") the recogniser's comma says nothing.
    if text.endswith((",", ":", ";")) and len(words) > 2:
        return True
    asked = text.endswith("?")
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    if last in _NEVER_LAST:
        return not (last in {"than", "any"} and asked) and not _is_fixed(words)
    if last in _PREPOSITIONS:
        return not _preposition_may_end(words, before, last, asked)
    if last in _AUXILIARIES:
        return not _auxiliary_may_end(words, before, last, asked)
    if last == "not":
        # "is it not?", "of course not", "no, I am not"; open: "it does not"
        return before in _AUXILIARIES and not asked and words[0] not in _ANSWERING
    if last == "you" and len(words) == 2:
        return before in _AUXILIARIES  # "could you"
    if last == "that":
        return before in _OPINIONS and not asked and len(words) > 2
    if last == "like":
        return before in {"would", "i'd", "we'd", "something", "would've"} and not asked
    if last in {"so", "well", "then", "also", "actually", "basically", "just"}:
        return len(words) == 1 or before in {"and", "but", "or", "so"} or last == "just"
    if last == "mean":
        return before == "i"
    return _still_dictating(text)


def _is_fixed(words: list[str]) -> bool:
    """Short answers that end in such a word: "so am I", "neither do we", "me and him"."""
    return len(words) <= 4 and len(words) > 1 and words[-2] in _AUXILIARIES and words[-1] in {
        "i", "we", "they", "he", "she"
    } and words[0] in {"so", "neither", "nor"}  # fmt: skip


def _preposition_may_end(words: list[str], before: str, last: str, asked: bool) -> bool:
    if before in _PARTICLE_PAIRS.get(last, ()):
        return True
    # "where are you from", "I do not know who to speak to": the question word is its object
    if any(w in _ASKING for w in words[:-2]):
        return asked or last not in {"to", "for"} or len(words) <= 6
    if last == "to":
        return before in {"love", "have", "got", "used", "supposed", "able"} or (
            before == "want" and any(w in {"don't", "not", "didn't", "if"} for w in words)
        )
    # "can I come in?", "is the doctor in?"; the recogniser hears the rise
    return asked and last in {"in", "on", "out", "up", "off", "over", "around", "about", "with"}


def _auxiliary_may_end(words: list[str], before: str, last: str, asked: bool) -> bool:
    if last == "can't" or last == "cannot" or last.endswith("n't"):
        return before in _SUBJECTS and len(words) <= 4
    if any(w in _ASKING for w in words[:-1]):
        return True  # "tell me where it is"
    if words[0] in _ANSWERING or "think" in words:
        return before in _SUBJECTS or before == "so"  # "yes, it is"
    if last in {"do", "have", "been", "did", "had"} and len(words) > 3:
        return last in {"do", "did", "been"} or asked  # "there is nothing I can do"
    # "I do" answers, "we are" begins
    return len(words) == 2 and before in _SUBJECTS and last in _SHORT_ANSWERS


def _still_dictating(text: str) -> bool:
    found = _DICTATING.search(text.rstrip(" ?!"))
    if found is None:
        return False
    digits = len(re.findall(r"\d", found[1]))
    return 0 < digits < 7


__all__ = ["unfinished"]
