from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.speaking.clauses import ClauseSplitter

pytestmark = pytest.mark.quick


def split(text: str) -> list[str]:
    splitter = ClauseSplitter()
    return [*splitter.feed(text), *splitter.end()]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello! How can I help you?", ["Hello! ", "How can I help you?"]),
        (
            "You have reached Northwind Dental, how can I help you?",
            ["You have reached Northwind Dental, ", "how can I help you?"],
        ),
        ("Hi, this is Anna.", ["Hi, this is Anna."]),
        ("We open at 9:30 a.m. on Monday.", ["We open at 9:30 a.m. on Monday."]),
        ("We open at 9 a.m. Monday is a holiday.", ["We open at 9 a.m. Monday is a holiday."]),
        ("We open at 9 a.m. Please come in.", ["We open at 9 a.m. ", "Please come in."]),
        ("Dr. Smith is in. Mr. J. R. Lee is not.", ["Dr. Smith is in. ", "Mr. J. R. Lee is not."]),
        ("It costs $3.50 or 1,000.5 yen.", ["It costs $3.50 or 1,000.5 yen."]),
        ("Mail a.b@x.com or see x.com. Bye.", ["Mail a.b@x.com or see x.com. ", "Bye."]),
        ("No. 5 is free. No. It is not.", ["No. 5 is free. ", "No. ", "It is not."]),
        ("Well... maybe. OK.", ["Well... maybe. ", "OK."]),
        ("She said \"stop.\" Then left.", ["She said \"stop.\" ", "Then left."]),
        ("(Really?) Yes.", ["(Really?) ", "Yes."]),
        ("1. Bread\n2. Milk\n\nBye", ["1. Bread\n", "2. Milk\n\n", "Bye"]),
        ("今日は。元気ですか？はい", ["今日は。", "元気ですか？", "はい"]),
        ("What?! No!", ["What?! ", "No!"]),
        ("  ", ["  "]),
        ("", []),
    ],
)  # fmt: skip
def test_pieces(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


def test_a_long_sentence_is_cut_at_a_clause_beyond_60_characters() -> None:
    text = (
        "Good. We are open from nine to five on Monday, Tuesday and Wednesday, and the parking "
        "behind the house is free, of course, for all of our patients."
    )
    pieces = split(text)
    assert pieces[1].endswith("Wednesday, ")
    assert all(len(p) <= 100 for p in pieces)


def test_a_piece_comes_as_soon_as_what_follows_is_known() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("We are closed.") == []
    assert splitter.feed(" ") == []
    assert splitter.feed("On") == ["We are closed. "]
    assert splitter.end() == ["On"]


def test_the_splitter_is_new_after_the_end() -> None:
    splitter = ClauseSplitter()
    first = [*splitter.feed("You have reached Northwind, hello."), *splitter.end()]
    assert [*splitter.feed("You have reached Northwind, hello."), *splitter.end()] == first
    assert len(first) == 2


def test_endless_text_without_a_mark_is_cut_between_words() -> None:
    pieces = split("word " * 200)
    assert all(p.endswith(" ") and len(p) <= 240 for p in pieces)
    assert [len(p) for p in split("x" * 600)] == [240, 240, 120]


texts = st.text(st.sampled_from("ab A.,;:!?…—-\n 9\"')(mr。x") | st.characters(), max_size=400)


@given(texts, st.lists(st.integers(0, 400), max_size=12))
def test_joined_it_is_the_text_however_it_was_fed(text: str, cuts: list[int]) -> None:
    whole = split(text)
    assert "".join(whole) == text
    assert all(0 < len(p) <= 480 for p in whole)
    splitter, pieces, last = ClauseSplitter(), [], 0
    for at in [*sorted(c for c in cuts if c < len(text)), len(text)]:
        pieces += splitter.feed(text[last:at])
        last = at
    assert pieces + splitter.end() == whole
