"""Every trap of a YAML loader, with libyaml and without."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import yaml

from runner.config.source import decode, make_source
from runner.config.tree import MAX_DEPTH, Tree, parse
from runner.errors import ConfigError, Problem

pytestmark = pytest.mark.quick

LOADERS = [pytest.param(yaml.CSafeLoader, id="C"), pytest.param(yaml.SafeLoader, id="pure")]


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest) -> type:
    found: type = request.param
    return found


def read(text: str | bytes, loader: type) -> Tree:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(decode(data, "f.yaml"), loader)


def refused(text: str | bytes, loader: type) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(text, loader)
    first = caught.value.problems[0]
    assert first.file == "f.yaml"
    return first


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("022", 22),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("12:30:45", "12:30:45"),
        ("2026-11-24", "2026-11-24"),
        ("2026-11-24T09:30:00Z", "2026-11-24T09:30:00Z"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("=", "="),
        ("'022'", "022"),
        ('"true"', "true"),
        ("+15551230100", 15551230100),
        ("1.2.3", "1.2.3"),
        ("!!str 12", "12"),
        ("!!float 1", 1.0),
        ("!!int 7", 7),
        ("! 12", "12"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: Any, loader: type) -> None:
    out = read(f"a: {text}\n", loader).value["a"]
    assert out == value
    assert type(out) is type(value)


@pytest.mark.parametrize("number", [".nan", ".NaN", ".inf", "-.INF", "1e999", "9" * 70])
def test_numbers_that_json_cannot_hold(number: str, loader: type) -> None:
    problem = refused(f"a: 1\nb: {number}\n", loader)
    assert (problem.line, problem.column) == (2, 4)
    assert "quotes" in problem.hint


def test_a_duplicate_key_names_both_lines(loader: type) -> None:
    problem = refused("agents:\n  a: 1\n  b: 2\n  a: 3\n", loader)
    assert problem.headline() == ("f.yaml:4:3: agents.a: the key 'a' stands twice, first in line 2")


def test_all_faults_of_a_tree_are_told_in_order(loader: type) -> None:
    with pytest.raises(ConfigError) as caught:
        read("a: 1\na: 2\nb: !secret x\n1: x\n", loader)
    assert [p.line for p in caught.value.problems] == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [
        ("a: !secret x\n", 1, 4, "the tag !secret means nothing here", "${NAME}"),
        ("a: !!python/object/new:os.system [x]\n", 1, 4, "!!python/object", "plain data"),
        ("a: !!timestamp 2001-01-01\n", 1, 4, "!!timestamp", "plain data"),
        ("a: !!int x\n", 1, 4, "does not fit its tag", ""),
        ("1: x\n", 1, 1, "this key is 1, which is no text", '"1"'),
        ("a:\n  true: x\n", 2, 3, "this key is true, which is no text", '"true"'),
        ("? [a]\n: b\n", 1, 3, "a list cannot be a key", ""),
        ("a: {{name}}\n", 1, 5, "a map cannot be a key", "${vars.name}"),
        ("- a\n", 1, 1, "the file is a list", "agents:"),
        ("hello\n", 1, 1, "the file is a single value", "agents:"),
        ("", 1, 1, "the file is empty", "three lines"),
        ("# only a comment\n", 1, 1, "the file is empty", "three lines"),
        ("---\n...\n", 1, 1, "the file is empty", "three lines"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here", "one deployment"),
        ("a: &a [*a]\n", 1, 8, "*a stands inside its own &a", ""),
        ("a: &a {b: *a}\n", 1, 11, "*a stands inside its own &a", ""),
        ("a: &front 1\nb: *frnt\n", 2, 4, "no anchor &frnt", "did you mean *front?"),
        ("a:\n\tb: 1\n", 2, 1, "a tab indents this line", "spaces"),
        ("a:\n  b: 1\n \tc: 1\n", 3, 2, "a tab indents this line", "spaces"),
        ("a: Say: hello\n", 1, 7, "a second ': ' in one line", "'a: |'"),
        ("a: {b: ${X:-y}}\n", 1, 8, "a bare ${...}", '"${X:-y}"'),
        ("a: {b: ${X}}\n", 1, 8, "a bare ${...}", '"${X}"'),
        ("a: [x, ${X}]\n", 1, 8, "a bare ${...}", '"${X}"'),
        ("a: {say: Are you there?, b: 1}\n", 1, 23, "a bare '?'", "quotes"),
        ("a: {say: why? because}\n", 1, 13, "a bare '?'", "quotes"),
        ("a: {b: c: d}\n", 1, 9, "a bare ':'", "quotes"),
        ("a: {b: c\n", 1, 4, "this '{' is never closed", "}"),
        ("a: [1, 2\nb: 3\n", 1, 4, "this '[' is never closed", "]"),
        ("a: 'x\nb: 1\n", 1, 4, "this quote is never closed", ""),
        ("a: @x\n", 1, 4, "a text cannot begin with '@'", "quotes"),
        ("a: 'it's here'\n", 1, 8, "text follows the closing quote", "''"),
        ("a: | text\n  more\n", 1, 6, "nothing may follow | or >", "next line"),
        ("a:\n  - x\n - y\n", 3, 2, "the indentation fits nothing above", "column"),
        ("key\nb: 1\n", 2, 2, "a key cannot stand here", "colon"),
        ("%YAML 2.0\n---\na: 1\n", 1, 1, "only YAML 1.1 and 1.2", ""),
    ],
)
def test_what_is_refused(
    text: str, line: int, column: int, message: str, hint: str, loader: type
) -> None:
    problem = refused(text, loader)
    assert (problem.line, problem.column) == (line, column), problem.render()
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("data", "line", "column", "message"),
    [
        (b"a: 1\nb: x\x00y\n", 2, 5, "a NUL"),
        (b"a: \x1b[31mred\n", 1, 4, "control character"),
        (b"a: 1\nb: caf\xe9\n", 2, 7, "0xe9 is not UTF-8"),
        (b"\xef\xbb\xbfa: caf\xe9\n", 1, 7, "0xe9 is not UTF-8"),
        (b"a: \xed\xa0\x80\n", 1, 4, "not UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, 1, "UTF-16"),
    ],
)
def test_bytes_that_are_no_text(
    data: bytes, line: int, column: int, message: str, loader: type
) -> None:
    problem = refused(data, loader)
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert "\x1b" not in problem.render()


def test_half_a_surrogate_pair(loader: type) -> None:
    problem = refused('a: "\\ud800"\n', loader)
    assert problem.line == 1
    assert "surrogate" in problem.message


def test_a_byte_order_mark_and_crlf_are_fine(loader: type) -> None:
    tree = read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: x\r\n", loader)
    assert tree.value == {"a": 1, "b": {"c": "x"}}
    place = tree.places["b", "c"]
    assert (place.line, place.column, place.key_column) == (3, 6, 3)
    assert place.source.line(3) == "  c: x"


def test_depth_is_bounded_before_anything_is_built(loader: type) -> None:
    problem = refused("[" * 100_000, loader)
    # libyaml reads ahead, and from 0.2.6 on stops by itself at its own bound.
    assert (problem.line, problem.column) in ((1, MAX_DEPTH + 1), (1, 1001))
    assert "64 levels" in problem.message
    deep = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert read(deep, loader).value
    assert "64 levels" in refused("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, loader).message


def test_aliases_add_to_the_depth(loader: type) -> None:
    lines = ["a0: &a0 " + "[" * 30 + "]" * 30]
    lines += [f"a{i}: &a{i} {'[' * 30}*a{i - 1}{']' * 30}" for i in range(1, 4)]
    assert "64 levels" in refused("\n".join(lines), loader).message


def test_an_alias_bomb_is_counted_as_it_would_expand(loader: type) -> None:
    lines = ["a: &a [" + ",".join("x" * 9) + "]"]
    lines += [f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]" for p, n in pairwise("abcdefgh")]
    bomb = "\n".join(lines)
    assert len(bomb) < 342
    problem = refused(bomb, loader)
    assert "more than 10000 values" in problem.message


def test_too_many_aliases(loader: type) -> None:
    text = "a: &a x\nb: [" + ", ".join(["*a"] * 101) + "]\n"
    assert "more than 100 aliases" in refused(text, loader).message
    text = "a: &a x\nb: [" + ", ".join(["*a"] * 100) + "]\n"
    assert read(text, loader).value["b"] == ["x"] * 100


def test_too_many_values(loader: type) -> None:
    text = "".join(f"k{i}: v\n" for i in range(10_001))
    assert "more than 10000 values" in refused(text, loader).message


def test_a_file_beyond_a_mebibyte(loader: type) -> None:
    assert "larger than 1 MiB" in refused(b"# " + b"x" * (1 << 20), loader).message
    assert read(b"a: 1\n# " + b"x" * ((1 << 20) - 7), loader).value == {"a": 1}


def test_anchors_and_merges(loader: type) -> None:
    tree = read(
        "x-base: &base { voice: marin, tools: [a] }\n"
        "agents:\n"
        "  one: { <<: *base, voice: cedar }\n"
        "  two: { <<: [*base, { voice: ash, greeting: hi }] }\n"
        "  three: *base\n",
        loader,
    )
    assert tree.value["agents"] == {
        "one": {"voice": "cedar", "tools": ["a"]},
        "two": {"voice": "marin", "tools": ["a"], "greeting": "hi"},
        "three": {"voice": "marin", "tools": ["a"]},
    }
    assert tree.places["agents", "three", "voice"].line == 1
    assert tree.places["agents", "one", "voice"].line == 3
    copies = tree.value["agents"]
    assert copies["one"]["tools"] is not copies["three"]["tools"]


def test_a_merge_of_no_map(loader: type) -> None:
    assert "<< takes a map" in refused("a: { <<: 3 }\n", loader).message


def test_positions_of_keys_and_values(loader: type) -> None:
    tree = read("a:\n  b:\n  - x: é\n    y: |\n      text\n  - 'q'\n", loader)
    assert tree.places["a", "b", 0, "x"].column == 8
    assert (tree.places["a", "b", 0, "y"].key_line, tree.places["a", "b", 0, "y"].line) == (4, 4)
    assert tree.places["a", "b", 1].line == 6
    assert tree.place(("a", "b", 7, "z")) == tree.places["a", "b"]


def test_a_huge_line_is_not_quoted(loader: type) -> None:
    problem = refused("a: 1\na: " + "x" * 100_000, loader)
    assert problem.line == 2
    assert len(problem.render()) < 300


@pytest.mark.parametrize(
    "text",
    [
        "[" * 500_000,
        "{" * 500_000,
        "- " * 400_000,
        "? " * 400_000,
        "a: " * 300_000,
        "&a " * 300_000,
        "!t " * 300_000,
        "'" * 1_000_001,
        "a: |\n" + " x\n" * 300_000,
        "x" * 1_000_000,
        "x: {" + "a, " * 300_000 + "}",
        "*a " * 300_000,
        "%TAG ! x\n" * 100_000,
        "# c\n" * 250_000,
        "${" * 500_000,
        "\n" * 1_000_000,
        "---\n" * 200_000,
    ],
    ids=lambda text: repr(text[:4]),
)
def test_a_mebibyte_of_anything_ends_soon(text: str) -> None:
    source = make_source("f.yaml", text)
    try:
        found = parse(source).value
    except ConfigError as error:
        found = error.problems[0].line
    assert found
