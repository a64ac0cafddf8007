"""What happened in a turn is held against what its test expects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model.calltest import Expect, Kind, TurnSpec
from runner.testing.diary import Entry
from runner.testing.expect import fits, unmet

pytestmark = pytest.mark.quick


def says(text: str) -> Entry:
    return Entry(0.0, "agent", text)


def calls(name: str, **arguments: Any) -> Entry:
    return Entry(0.0, "tool", f"{name}()", name, arguments)


def wants(kind: Kind, words: str = "", **more: Any) -> Expect:
    return Expect(kind, (), words, **more)


def missed(
    expects: list[Expect],
    happened: list[Entry],
    *,
    any_order: bool = False,
    answered_in: float | None = 0.1,
) -> list[str]:
    turn = TurnSpec((), "Hello", expects=tuple(expects), any_order=any_order)
    return [one.words for one in unmet(turn, happened, answered_in)]


def test_words_are_found_in_whatever_case_and_spacing() -> None:
    assert missed([wants("agent", "tuesday  AT nine")], [says("On Tuesday at\nnine.")]) == []
    assert missed([wants("agent", "I'm here")], [says("I\u2019m here")]) == []


def test_a_regular_expression_is_one() -> None:
    assert missed([wants("agent", r"\b9 (am|pm)\b", regex=True)], [says("At 9 pm.")]) == []
    assert missed([wants("agent", "at 9", regex=True)], [says("At 9 pm.")]) == [
        "the agent was to say /at 9/; there came: At 9 pm."
    ]


def test_one_text_may_meet_several_expectations() -> None:
    happened = [says("Tuesday at nine, or Wednesday.")]
    assert missed([wants("agent", "Wednesday"), wants("agent", "Tuesday")], happened) == []


def test_one_call_of_a_tool_meets_one_expectation() -> None:
    twice = [wants("tool", "find"), wants("tool", "find")]
    assert missed(twice, [calls("find")]) == ["find was to be called once more: it came once"]
    assert missed(twice, [calls("find"), calls("find")]) == []


def test_expectations_are_met_in_the_order_written() -> None:
    happened = [says("One moment."), calls("find"), says("Nine is free.")]
    order = [wants("tool", "find"), wants("agent", "moment")]
    assert missed(order, happened) == [
        "the agent was to say 'moment': it came, earlier than what stands before it"
    ]
    assert missed(order, happened, any_order=True) == []
    assert missed([wants("agent", "moment"), wants("tool", "find")], happened) == []


def test_what_must_not_be_said_counts_for_the_whole_turn() -> None:
    happened = [says("We close at five."), calls("find"), says("Nine.")]
    found = missed([wants("tool", "find"), wants("not", "five")], happened)
    assert found == ["the agent was not to say 'five', and said: We close at five."]


def test_how_soon_the_answer_comes() -> None:
    late = [wants("within", seconds=2.0)]
    assert missed(late, [], answered_in=1.9) == []
    assert missed(late, [], answered_in=2.5) == ["the agent answered after 2.50 s, not within 2 s"]
    assert missed(late, [], answered_in=None) == ["the agent was not heard at all"]


def test_what_came_instead_is_told() -> None:
    assert missed([wants("tool", "book", arguments={"day": "x"})], [calls("find")]) == [
        'book was to be called with {"day":"x"}; there came: find()'
    ]
    assert missed([wants("handoff", "billing")], []) == [
        "the line was to go to billing: it did not come"
    ]
    assert missed([wants("agent", "x")], []) == ["the agent was to say 'x': the agent said nothing"]


@pytest.mark.parametrize(
    ("wanted", "given_", "same"),
    [
        ("*T09:00*", "2026-12-08T09:00:00", True),
        ("ada*", "Ada Lovelace", True),
        ("Ada", "ada", True),
        ("a?", "ab", False),
        ("a[b]*", "a[b]c", True),
        ("a[b]*", "abc", False),
        ("*9*", 19, True),
        (9, 9.0, True),
        (True, 1, False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        ([1, {"a": "x*"}], [1, {"a": "xyz", "b": 2}], True),
        ([1], [1, 2], False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, True),
        ({"a": 1}, None, False),
        ("9", 9, False),
    ],
)
def test_arguments_fit(wanted: Any, given_: Any, same: bool) -> None:
    assert fits(wanted, given_) is same


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.text(), JSON, max_size=2))
def test_everything_fits_itself_and_a_larger_map(value: Any, more: dict[str, Any]) -> None:
    assert fits(value, value)
    if isinstance(value, dict):
        assert fits(value, {**more, **value})
