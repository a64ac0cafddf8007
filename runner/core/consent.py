"""Yes or no: did the caller agree to what the agent read out?

A model may be talked into anything, so it is not the model that decides whether the caller said
yes. The words are compared with short lists; what is in neither is no answer, and is asked again.
That costs a sentence, a wrong yes may cost more: a question is no answer, a yes with a but is
none, and words that mean much beside yes count only where they begin what is said.
"""

from __future__ import annotations

import re
from typing import Literal

Answer = Literal["yes", "no", "unclear"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: These agree wherever they stand.
_YES = _words(
    """
    yes yeah yep yup absolutely definitely agreed affirmative mhm ja jawohl oui ouais si sí sim da
    tak hai はい 是 好 好的 对 네 예 evet igen ano kyllä joo
    """
)
#: These agree at the beginning: "right, do that", and not "the right price".
_MILD = _words(
    """
    sure ok okay right alright correct exactly confirm confirmed fine perfect certainly genau klar
    gerne passt richtig stimmt claro vale correcto exacto certo isso perfetto
    """
)
_NO = _words(
    """
    no nope nah not dont cannot never cancel stop wait wrong incorrect instead nein nicht falsch
    halt warte non pas annulez não nao nie nee iie いいえ 不 不是 不要 아니요 아니오 hayır nem ne ei
    """
)
#: An agreement with one of these holds for something else than was asked.
_BUT = _words("but except unless aber außer pero mais ma però mas excepto sauf")
#: Who says one of these asks; speech recognition may leave the question mark out.
_ASKING = _words(
    """
    what how why when where who which whether about can could would should is are does was wie
    warum wann wo wer welche welcher ob qué que cómo cuándo dónde quién quoi comment quand qui
    """
)
#: What may stand before the word that counts.
_LEAD = _words("oh well so then and um uh hm hmm please just it's that's thats that it äh also")
_YES_PHRASES = ("go ahead", "go for it", "sounds good", "of course", "d'accord", "bien sûr",
                "de acuerdo")  # fmt: skip
_MILD_PHRASES = ("do it", "do that", "that is right", "that is correct", "that is fine",
                 "i agree", "i confirm")  # fmt: skip
#: These agree when nothing else is said; some have the word of a no.
_ALONE = ("please", "please do", "good", "no problem", "no worries", "why not")
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def answer_in(text: str) -> Answer:
    """What these words say to a question of yes or no; turns are lines. A no beside a yes is a
    no."""
    plain = text.lower().replace("’", "'").replace("all right", "alright")
    told = plain
    for phrase in _ALONE:
        told = re.sub(rf"(?m)^\W*{phrase}\W*$", " ", told)
    words = _WORD.findall(told)
    if any(word in _NO or word.endswith("n't") for word in words):
        return "no"
    if not _BUT.isdisjoint(words):
        return "unclear"
    return "yes" if any(map(_agrees, _SENTENCE.findall(plain))) else "unclear"


def _agrees(sentence: str) -> bool:
    if "?" in sentence or "？" in sentence:
        return False
    words = _WORD.findall(sentence)
    if not _YES.isdisjoint(words) or " ".join(words) in _ALONE:
        return True
    if any(" ".join(words).startswith(phrase) for phrase in _MILD_PHRASES):
        return True
    if not _ASKING.isdisjoint(words):
        return False
    if any(phrase in sentence for phrase in _YES_PHRASES):
        return True
    while words and words[0] in _LEAD:
        words = words[1:]
    return bool(words) and words[0] in _MILD
