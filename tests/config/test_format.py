"""The layout of a file: two spaces, and nothing that its author wrote is lost or means another
thing."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.deployments import EXAMPLES, FULL

from runner.config import format as format_
from runner.config.codes import Code, codes
from runner.config.format import FormatError, formatted
from runner.config.source import decode, make_source
from runner.config.tree import parse
from runner.errors import ConfigError

pytestmark = pytest.mark.quick

MANY = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def fmt(text: str) -> str:
    return formatted(make_source("d.yaml", text))


def said(text: str) -> tuple[Any, Any]:
    tree = parse(make_source("d.yaml", text))
    return tree.value, {path: (p.text, p.plain) for path, p in tree.places.items()}


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize("file", [*EXAMPLES, FULL], ids=lambda f: f.name)
def test_the_examples_are_laid_out_already(file: Any) -> None:
    source = decode(file.read_bytes(), file.name)
    assert formatted(source) == source.text


@pytest.mark.parametrize("file", [*EXAMPLES, FULL], ids=lambda f: f.name)
@pytest.mark.parametrize("step", [3, 4, 8])
def test_any_other_indent_comes_back_to_two_spaces(file: Any, step: int) -> None:
    text = file.read_text()

    def wide(match: re.Match[str]) -> str:
        return " " * (len(match[1]) // 2 * step) + ("-" + " " * (step - 1) if match[2] else "")

    other = "\n".join(re.sub(r"^( *)(- )?", wide, line) for line in text.splitlines()) + "\n"
    assert said(other) == said(text)
    # Comments at the end of a line stay in their column.
    assert re.sub(" +#", " #", fmt(other)) == re.sub(" +#", " #", text)


@pytest.mark.parametrize("code", codes().values(), ids=lambda code: code.code)
def test_no_example_of_a_code_loses_anything(code: Code) -> None:
    for text in (code.wrong, code.right):
        try:
            before = said(text)
        except ConfigError:
            continue
        out = fmt(text)
        assert said(out) == before
        assert words(out) == words(text)
        assert fmt(out) == out


BEFORE = """\
# yaml-language-server: $schema=x

agents:
    desk:
        instructions: This is a long text
            that goes on.
        greeting:    "Quoted over
            lines"  # end
        tools: [a, # first
           b]
        x: { a: 1,
             b: 2 } # of the braces
        # before handoffs
        handoffs:
        - to: a
          when: |
            Now.

              Deeper.
        # behind the first

        -   to: c
        # at the end
    # of the agents

other: >
    folded   \n    text
n: 022
y: yes   \t
z: ~
e:
f: {a: , b: 1}
anchored: &x
     k: *y_
k: |3-
     two more
   three


"""


def test_what_moves_and_what_stays() -> None:
    text = BEFORE.replace("*y_", "v")
    assert (
        fmt(text)
        == """\
# yaml-language-server: $schema=x

agents:
  desk:
    instructions: This is a long text
        that goes on.
    greeting: "Quoted over
        lines"  # end
    tools: [a,  # first
       b]
    x: { a: 1,
         b: 2 }  # of the braces
    # before handoffs
    handoffs:
      - to: a
        when: |
          Now.

            Deeper.
      # behind the first

      - to: c
      # at the end
  # of the agents

other: >
  folded   \n  text
n: 022
y: yes
z: ~
e:
f: {a: , b: 1}
anchored: &x
  k: v
k: |2-
    two more
  three
"""
    )


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("a: 1", "a: 1\n"),
        ("a: 1\n\n\n", "a: 1\n"),
        ("a: |\n  x", "a: |\n  x"),  # no line end: it would be one more in the text
        ("a: |-\n  x", "a: |-\n  x"),
        ("a: |+\n    x\n\n\n", "a: |+\n  x\n\n\n"),
        ("a: 1\r\nb:\r\n    c: 2\r\n", "a: 1\r\nb:\r\n  c: 2\r\n"),
        ("a: 1\nb: 2\r\n", "a: 1\nb: 2\n"),
        ("a: 1\r\nb: 2\n", "a: 1\r\nb: 2\r\n"),
        ("a: 'x   \n     y'\n", "a: 'x   \n     y'\n"),
        ("a:\n- b\n- - c\n  -  d\n", "a:\n  - b\n  - - c\n    - d\n"),
        ("a:\n    &x\n    b: 1\n", "a:\n  &x\n  b: 1\n"),
        ("a:\n    - &x   b\n    - *x\n", "a:\n  - &x b\n  - *x\n"),
        ("a:\n-\n   b: 1\n", "a:\n  -\n    b: 1\n"),
        ("---\na: 1\n...\n", "---\na: 1\n...\n"),
        ("%YAML 1.2\n---\na: 1\n", "%YAML 1.2\n---\na: 1\n"),
        ("? a\n: b\n", "? a\n: b\n"),
        ("{ a: 1,\n  b: 2 }\n", "{ a: 1,\n  b: 2 }\n"),
        ("a:\n    b: 1 # one\n    c: 22    # col\n    d: 3     # col\n",
         "a:\n  b: 1  # one\n  c: 22      # col\n  d: 3       # col\n"),
        ("<<: &m\n    a: 1\nb:\n    <<: *m\n", "<<: &m\n  a: 1\nb:\n  <<: *m\n"),
    ],
)  # fmt: skip
def test_corners(text: str, out: str) -> None:
    assert fmt(text) == out
    assert fmt(out) == out


def test_without_libyaml_the_layout_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = BEFORE.replace("*y_", "v").replace("yes   \t", "yes   ")
    with_it = fmt(text)
    monkeypatch.setattr(format_, "LOADER", yaml.SafeLoader)
    assert fmt(text) == with_it


def test_a_layout_that_says_another_thing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format_, "STEP", 0)
    with pytest.raises(FormatError, match="it is left as it is"):
        fmt("a:\n    b: 1\n")


def test_a_byte_order_mark_goes() -> None:
    assert formatted(decode("\ufeffa: 1\n".encode(), "d.yaml")) == "a: 1\n"


def test_what_is_no_yaml_has_a_place() -> None:
    with pytest.raises(ConfigError) as caught:
        fmt("a: 1\n\tb: 2\n")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 1)


SIGNS = [*"ab:-?[]{},&*!|>'\"%@`#~ \n\t\\$0.e\u2028\x85é", "\n  ", ": ", "- ", "a: &a [*a]", "\n\n"]


@MANY
@given(st.lists(st.sampled_from(SIGNS), max_size=40).map("".join))
def test_whatever_the_text_is_it_keeps_its_meaning(noise: str) -> None:
    text = "a: 1\n" + noise
    try:
        before = said(text)
    except ConfigError:
        return
    try:
        out = fmt(text)
    except FormatError:
        return  # left as it is
    assert said(out) == before
    assert words(out) == words(text)
    assert fmt(out) == out


PLAIN = st.sampled_from(
    ["yes", "022", "~", "1.50", "on", "'single'", '"dou\\\n   ble"', "some words", "*anchor",
     "[a, b]", "{ a: 1, b: [c] }", "[a,\n{pad}   b]", "12:30"]
)  # fmt: skip
BLOCK_TEXT = st.lists(
    st.sampled_from(["Line.", "", "  deeper", "# no comment", "- no list", "a: b", "x   "]),
    min_size=1,
    max_size=4,
)
VALUE = st.recursive(
    PLAIN | st.tuples(st.sampled_from(["|", ">", "|-", ">+"]), BLOCK_TEXT),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from("pqrs"), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


class Writer:
    """Writes a value as YAML with a layout of its own at each level."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def some(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def between(self, column: int) -> str:
        return self.some("", "", "", "\n", f"{' ' * column}# note\n", "# far left\n\n", "   \n")

    def tail(self) -> str:
        return self.some("", "", " # tail", "     # far", "  ") + "\n"

    def write(self, value: Any, column: int, in_list: bool = False) -> str:
        """What stands behind ``key:`` or ``-``."""
        if isinstance(value, str):
            text = value.replace("{pad}", " " * column)
            return self.some(" ", "   ") + text + ("\n" if "\n" in text else self.tail())
        if isinstance(value, tuple):
            return self.block_text(*value, column)
        if isinstance(value, dict):
            inner = column + self.some(1, 2, 3, 4)
            return self.tail() + self.map(value, inner)
        inner = column + self.some(*((1, 2, 4) if in_list else (0, 1, 2, 4)))
        items = (
            f"{self.between(inner)}{' ' * inner}-{self.write(item, inner, True)}" for item in value
        )
        return self.tail() + "".join(items)

    def map(self, value: dict[str, Any], column: int) -> str:
        entries = (
            f"{self.between(column)}{' ' * column}{key}:{self.write(item, column)}"
            for key, item in value.items()
        )
        return "".join(entries)

    def block_text(self, style: str, lines: list[str], column: int) -> str:
        step = self.some(1, 2, 5)
        head = next((line for line in lines if line), "x")
        digit = str(step) if head.startswith(" ") or self.some(False, True) else ""
        inner = " " * (column + step)
        body = "".join(f"{inner}{line}\n" if line else "\n" for line in lines)
        return f" {style[0]}{digit}{style[1:]}{self.tail()}{body}{inner}end\n"


@MANY
@given(st.dictionaries(st.sampled_from("abc"), VALUE, min_size=1, max_size=3), st.data())
def test_documents_of_any_layout(document: dict[str, Any], data: Any) -> None:
    text = "x: &anchor [1]\n" + Writer(data.draw).map(document, 0)
    out = fmt(text)
    assert said(out) == said(text)
    assert words(out) == words(re.sub(r"([|>])[1-9]", r"\g<1>2", text))
    assert fmt(out) == out
