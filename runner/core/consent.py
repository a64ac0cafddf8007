"""Yes or no: did the caller agree to what the agent read out?

A model may be talked into anything, so it is not the model that decides whether the caller said
yes. The words are compared with short lists; what is in neither is no answer, and is asked again.
"""

from __future__ import annotations

import re
from typing import Literal

Answer = Literal["yes", "no", "unclear"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_YES = _words(
    """
    yes yeah yep yup sure ok okay right correct exactly absolutely definitely please confirm
    confirmed agreed fine perfect certainly affirmative mhm ja jawohl genau klar gerne passt
    richtig stimmt oui ouais si sí claro vale correcto exacto certo sim isso perfetto da tak
    hai はい 是 好 好的 对 네 예 evet igen ano kyllä joo
    """
)
_NO = _words(
    """
    no nope nah not don't dont never cancel stop wait wrong incorrect instead nein nicht falsch
    halt warte non pas annulez não nao nie nee iie いいえ 不 不是 不要 아니요 아니오 hayır nem ne ei
    """
)
_YES_PHRASES = (
    "go ahead", "do it", "sounds good", "that's good", "go for it", "why not", "of course",
    "no problem", "no worries", "d'accord", "bien sûr", "de acuerdo",
)  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def answer_in(text: str) -> Answer:
    """What these words say to a question of yes or no. A no beside a yes is a no."""
    plain = text.lower().replace("’", "'")
    agreed = False
    for phrase in _YES_PHRASES:
        if phrase in plain:
            agreed = True
            plain = plain.replace(phrase, " ")
    words = set(_WORD.findall(plain))
    if words & _NO:
        return "no"
    return "yes" if agreed or words & _YES else "unclear"
