"""What must be sent, and what an echo confirms."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.difference import MISSING, contained, difference, lookup
from runner.model.settings import SessionSettings, alike

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("sent", "echo", "expected"),
    [
        ("a", "a", True),
        ("a", "b", False),
        (1, 1.0, True),
        (True, 1, False),
        (1, True, False),
        (None, None, True),
        (None, {}, False),
        ({}, None, True),
        ("", None, True),
        ([], None, True),
        ("a", None, False),
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 2}, False),
        ({"a": None}, {"b": 2}, True),
        ({"a": 1}, [1], False),
        ([{"a": 1}], [{"a": 1, "b": 2}], True),
        ([1], [1, 2], False),
        ([1, 2], [2, 1], False),
        ((1,), [1], True),
    ],
)
def test_contained(sent: Any, echo: Any, expected: bool) -> None:
    assert contained(sent, echo) is expected


def test_a_key_that_the_echo_leaves_out_contradicts_nothing_unless_strict() -> None:
    assert contained({"type": "x", "eagerness": "low"}, {"type": "x"}, strict=False)
    assert not contained({"type": "x", "eagerness": "low"}, {"type": "x"})
    assert not contained({"eagerness": "low"}, {"eagerness": "high"}, strict=False)


def test_lookup_tells_null_from_absent() -> None:
    session = {"audio": {"input": {"turn_detection": None}}}
    assert lookup(session, "audio.input.turn_detection") is None
    assert lookup(session, "audio.output.voice") is MISSING
    assert lookup(session, "audio.input.turn_detection.type") is MISSING


def test_same_keeps_booleans_apart() -> None:
    assert alike(1, 1.0)
    assert not alike(1, True)


def test_difference_sends_what_neither_echo_nor_memory_has() -> None:
    wanted = SessionSettings({"model": "m", "instructions": "new", "tools": [], "include": ["x"]})
    effective = {"instructions": "old", "tools": [], "model": "other"}
    assert difference(wanted, effective, {}) == {"instructions": "new", "include": ["x"]}
    assert difference(wanted, effective, {"include": ["x"]}) == {"instructions": "new"}


def test_what_was_sent_and_is_wanted_no_more_is_turned_off() -> None:
    wanted = SessionSettings({"instructions": "x"})
    assert difference(wanted, {"instructions": "x"}, {"tools": [{"name": "f"}]}) == {"tools": []}
    assert difference(wanted, {"instructions": "x"}, {"tools": [], "prompt": None}) == {}


def test_with_what_is_there_already_only_the_news_is_looked_at() -> None:
    have = SessionSettings({"instructions": "old", "tools": [], "include": ["x"]})
    wanted = SessionSettings({"instructions": "new", "tools": [], "tool_choice": "auto"})
    assert wanted.changed_from(have) == ("instructions", "tool_choice", "include")
    # The echo lies about the tools, which only a look at everything can see.
    told = {"instructions": "old", "tools": [{"name": "f"}], "include": ["x"]}
    accepted = {"include": ["x"]}
    news = {"instructions": "new", "tool_choice": "auto", "include": None}
    assert difference(wanted, told, accepted, have) == news
    assert difference(wanted, told, accepted) == {**news, "tools": []}
    assert wanted.changed_from(wanted) == ()
