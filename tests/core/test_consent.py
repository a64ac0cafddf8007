"""What counts as the caller's yes, when a tool waits for it."""

from __future__ import annotations

import pytest

from runner.core.consent import answer_in

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "Yes, please.",
        "Oh yes, that would be great",
        "OK.",
        "Okay, book the table.",
        "Sure, thanks.",
        "Right, do that.",
        "Well, alright then.",
        "That's right.",
        "That’s fine with me.",
        "That is correct.",
        "All right.",
        "I agree.",
        "Please.",
        "Please do.",
        "Do it.",
        "You can tell them. Go ahead.",
        "Please go ahead!",
        "Sounds good to me",
        "No problem.",
        "Why not!",
        "Of course.",
        "Ja, gerne.",
        "Gerne.",
        "Oui, d'accord.",
        "Sí, claro.",
        "はい。",
        "What does it cost?\nOkay.",
        "What does it cost\nokay",
    ],
)
def test_a_yes(text: str) -> None:
    assert answer_in(text) == "yes"


@pytest.mark.parametrize(
    "text",
    [
        "No.",
        "No, wait.",
        "Yes. I mean no.",
        "Don't do it.",
        "Don’t go ahead",
        "I can't go ahead.",
        "I cannot agree to that.",
        "I wouldn't do it.",
        "Sure? No way.",
        "That's not right.",
        "No problem with Friday, but stop this one.",
        "Why not tomorrow?",
        "Yes, on Friday instead.",
        "Nein, danke.",
        "Ja, aber nicht am Dienstag.",
    ],
)
def test_a_no(text: str) -> None:
    assert answer_in(text) == "no"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hm.",
        "Is that right?",
        "Is that right",
        "What is the right price?",
        "What is the right price",
        "Please repeat that.",
        "Could you please say that again",
        "Okay, what does it cost",
        "Okay, but what does it cost?",
        "Sure about that?",
        "Sure about that",
        "Do it? On which day?",
        "Can you do it on Friday",
        "Should I go ahead",
        "I'd like a fine dinner.",
        "Please do you have another one",
        "Good question",
        "Yes?",
        "Yes, but for Friday.",
        "Ja, aber am Freitag.",
        "Perhaps later.",
        "Hold on.",
        "confirmation",
    ],
)
def test_no_answer(text: str) -> None:
    """It is asked again: that costs a sentence, a wrong yes may cost more."""
    assert answer_in(text) == "unclear"
