"""Values written as YAML, and read again."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.config.format import formatted
from runner.config.source import make_source
from runner.config.tree import parse
from runner.config.write import inline, write

pytestmark = pytest.mark.quick

TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from("\n\t :#-'\"")
)
TEXT = TEXT.filter(lambda text: "\ufffe" not in text)
WORDS = st.sampled_from(
    ["yes", "No", "022", "0o17", "1e3", "12:30", "~", "", " x", "x ", "a: b", "a #b", "*a", "&a",
     "- a", "${X:-y}", "one\n\n  two\n", "a\n", "\na", "a\n\n", "  a\nb\n", "a\n   \nb",
     "2026-11-27",
     ".5", "=", "<<", "null", "x:", "{a}", "\ufeffx", "a\u2028b", "é ü", "x\u00a0y", "\u0085"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT | WORDS
    | st.floats(allow_nan=False, allow_infinity=False, width=32),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | WORDS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def read(text: str) -> Any:
    return parse(make_source("d.yaml", text)).value


@settings(max_examples=300, deadline=None, database=None)
@given(st.dictionaries(TEXT | WORDS, VALUES, min_size=1, max_size=4), st.booleans())
def test_what_is_written_is_read_again(value: dict[str, Any], noted: bool) -> None:
    text = write(value, (lambda path: "a note: #1") if noted else None)
    assert read(text) == value
    assert formatted(make_source("d.yaml", text)) == text


@given(WORDS)
def test_readers_of_yaml_1_1_see_the_same_text(word: str) -> None:
    assert yaml.safe_load(write({"a": word})) == {"a": word}


@given(st.dictionaries(TEXT | WORDS, VALUES, min_size=1, max_size=4))
def test_on_one_line(value: dict[str, Any]) -> None:
    text = inline(value)
    assert "\n" not in text
    assert read(text) == value


def test_as_a_person_would_write_it() -> None:
    value = {
        "name": "shop",
        "agents": {"desk": {"instructions": "You are kind.\n\nBe short.\n", "tools": ["a", "b"]}},
        "handoffs": [{"to": "x", "when": "Now."}, {"to": "z"}],
        "on": "https://x.example/a?b=c",
        "none": None,
        "empty": [],
        "speed": 1.5,
    }
    assert (
        write(value, lambda path: "here" if path[-1:] == ("name",) else "")
        == """\
name: shop  # here
agents:
  desk:
    instructions: |
      You are kind.

      Be short.
    tools:
      - a
      - b
handoffs:
  - to: x
    when: Now.
  - to: z
"on": https://x.example/a?b=c
none: null
empty: []
speed: 1.5
"""
    )
