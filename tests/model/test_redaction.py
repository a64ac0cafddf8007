"""What is taken out of texts, and what stays."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model.redaction import Redactor, Stream

pytestmark = pytest.mark.quick

CARDS = Redactor(("card_number",))
ALL = Redactor(("card_number", "phone_number", "email"))
GAPS = st.text(alphabet=" -\u2013.,/\n\u00a0", max_size=3)
#: Words around a number that are no part of one.
AROUND = st.sampled_from(["", "my card is ", "Here: ", "ann@example.org said ", "2026 no ", "x"])


def luhn(digits: str) -> bool:
    """Straight from ISO/IEC 7812-1, by other means than the code under test."""
    table = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    back = [int(sign) for sign in reversed(digits)]
    return sum(table[n] if i % 2 else n for i, n in enumerate(back)) % 10 == 0


@st.composite
def cards(draw: st.DrawFn) -> str:
    body = draw(st.text(alphabet="0123456789", min_size=12, max_size=18))
    return next(body + last for last in "0123456789" if luhn(body + last))


@st.composite
def grouped(draw: st.DrawFn) -> str:
    card = draw(cards())
    return "".join(sign + draw(GAPS) for sign in card[:-1]) + card[-1]


def holds_a_card(text: str) -> bool:
    """Any 13 to 19 digits that nothing but gaps stands between."""
    for run in re.findall(r"\d(?:[\s.,/\-\u2010-\u2015]*\d)*", text):
        digits = re.sub(r"\D", "", run)
        for length in range(13, 20):
            if any(luhn(digits[i : i + length]) for i in range(len(digits) - length + 1)):
                return True
    return False


@settings(deadline=None)
@given(AROUND, grouped(), AROUND, grouped(), st.booleans())
def test_no_card_survives(before: str, card: str, between: str, other: str, both: bool) -> None:
    text = before + card + between + (other if both else "")
    assert holds_a_card(text)
    clean = CARDS(text)
    assert not holds_a_card(clean)
    assert "[card_number]" in clean


@settings(deadline=None)
@given(AROUND, grouped(), AROUND, st.data())
def test_no_card_survives_in_pieces(before: str, card: str, after: str, data: Any) -> None:
    """Whatever the pieces: each of them, and all that was shown by then, is free of the number."""
    text = f"{before}{card} {after}"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)) | {0, len(text)})
    stream, shown = Stream(CARDS), ""
    for begin, end in pairwise(cuts):
        shown += stream.feed(text[begin:end])
        assert not holds_a_card(shown)
        # What is shown by now gives away no more of the number than a digit that stood alone.
        assert len(re.sub(r"\D", "", shown.replace(before, ""))) < 13
    shown += stream.rest()
    assert shown == CARDS(text)


@settings(deadline=None)
@given(st.text(alphabet="0123456789 -ab.@,é\n", max_size=60))
def test_a_text_without_a_card_is_unchanged(text: str) -> None:
    if not holds_a_card(text):
        assert CARDS(text) == text


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab 12+(@.-", max_size=6), max_size=12))
def test_pieces_give_what_the_whole_gives(pieces: list[str]) -> None:
    stream = Stream(ALL)
    assert "".join([*map(stream.feed, pieces), stream.rest()]) == ALL("".join(pieces))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("4111 1111 1111 1111, thanks", "[card_number], thanks"),
        ("four one one one 1111 eleven 1111", "four one one one 1111 eleven 1111"),
        ("four, one, one, one, 1111 1111 one one one one", "[card_number]"),
        ("5555 5555 5555 5557 12/27 123", "[card_number]"),  # with its end and its code
        ("1111 1111 1111 1111", "[phone_number]"),  # no card, and many digits
        ("call +1 (555) 123-0100 now", "call [phone_number] now"),
        ("555-0100 or 044 123 45 67", "[phone_number] or [phone_number]"),
        ("on 2026-11-27 10:00, for 12 people", "on 2026-11-27 10:00, for 12 people"),
        ("2026-11-27 +1 555 123 0100", "2026-11-27 [phone_number]"),
        ("ann.o'neil+x@mail.example.org!", "[email]!"),
        ("7,000,000 at 12.50", "7,000,000 at 12.50"),
    ],
)
def test_kinds(text: str, clean: str) -> None:
    assert ALL(text) == clean


def test_a_regular_expression_waits_for_the_end() -> None:
    own = Redactor((r"\bMRN ?\d{6}\b", "email"))
    assert own("MRN 123456 of a@b.ch") == "[redacted] of [email]"
    stream = Stream(own)
    assert [stream.feed(piece) for piece in ("It is MRN 12", "3456 and ")] == ["", ""]
    assert stream.rest() == "It is [redacted] and "


def test_arguments_stay_json() -> None:
    given: Any = {"card": 4111111111111111, "to": ["+1 555 123 0100", "x"], "ok": True, "n": 3}
    clean = json.loads(ALL.json(json.dumps(given)))
    assert clean == {"card": "[card_number]", "to": ["[phone_number]", "x"], "ok": True, "n": 3}
    assert ALL.json('{"a":  1}') == '{"a":  1}'
    # Digits that stand one by one in a list are a number all the same, and there it ends.
    digits = json.dumps([int(sign) for sign in "4111111111111111"])
    assert ALL.json(digits) == "[[card_number]]"
    assert ALL.json("{4111111111111111") == "{[card_number]"
    assert ALL.json('{"a": "4111\\u00a01111\\u00a01111\\u00a01111"}') == '{"a": "[card_number]"}'


def test_ids_and_numbers_of_the_wire_stay() -> None:
    event = {"type": "x", "item_id": "item_5551230100", "expires_at": 1764283055, "text": "a@b.ch"}
    assert ALL.value(event) == {**event, "text": "[email]"}


def test_nothing_asked_is_nothing_done() -> None:
    none = Redactor()
    assert not none
    assert none.json('{"a": 4111111111111111}') == '{"a": 4111111111111111}'
    assert Stream(none).feed("4111") == "4111"
