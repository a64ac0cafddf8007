"""`-k` picks tests by words in their names."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.testing.select import selector

pytestmark = pytest.mark.quick

NAMES = ("says when it is open", "books an appointment", "hands a bill over")


def picked(expression: str) -> list[str]:
    return [name for name in NAMES if selector(expression)(name)]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("", NAMES),
        ("open", NAMES[:1]),
        ("OPEN", NAMES[:1]),
        ("open or bill", (NAMES[0], NAMES[2])),
        ("an and over", NAMES[2:]),
        ("not open", NAMES[1:]),
        ("not (open or bill)", NAMES[1:2]),
        ("not open and not bill", NAMES[1:2]),
        ("when it is", NAMES[:1]),
        ("'a bill'", NAMES[2:]),
        ('"and"', NAMES[2:]),
        ("nothing", ()),
    ],
)
def test_words_pick_tests(expression: str, names: tuple[str, ...]) -> None:
    assert picked(expression) == list(names)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("open and", "something is missing at its end"),
        ("and open", "'and' has nothing before it"),
        ("(open", "a parenthesis is not closed"),
        ("open)", "')' stands where"),
        ("'open", "a quote is not closed"),
        ("open not bill", "'not' stands where"),
    ],
)
def test_what_is_no_expression_says_why(expression: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        selector(expression)
    assert why in str(caught.value)


@given(st.text("and or not()'\"x ", max_size=20))
def test_any_text_is_an_expression_or_a_usage_error(expression: str) -> None:
    with contextlib.suppress(UsageError):
        assert selector(expression)("x") in (True, False)
