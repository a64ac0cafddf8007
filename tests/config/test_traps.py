"""Each trap of YAML and of texts from elsewhere, through the whole loader: a value or one clear
problem at its place. The sign ¦ is where it points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deployments import SMALL, loaded, only, problems

from runner.config import tree as trees

pytestmark = pytest.mark.quick

REST = "agents: { a: { instructions: x } }\n"


@pytest.fixture(params=["C", "pure"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    loaders: dict[str, Any] = {"C": yaml.CSafeLoader, "pure": yaml.SafeLoader}
    monkeypatch.setattr(trees, "LOADER", loaders[request.param])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("022", 22),
        ("12:30", "12:30"),
        ("2026-11-27", "2026-11-27"),
        ("2026-11-27T10:00:00Z", "2026-11-27T10:00:00Z"),
        ("0o17", 15),
        ("1_000", "1_000"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(written: str, value: object, tmp_path: Path) -> None:
    d = loaded(tmp_path, f"x-v: {written}\nvars: {{ v: {written} }}\n{REST}").deployment
    assert d.vars["v"] == value
    assert type(d.vars["v"]) is type(value)


NINE = "x-b:\n  - &b0 [x, x]\n" + "".join(
    f"  - &b{i} [{', '.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("on: 1\n¦on: 2\n" + REST, "the key 'on' stands twice, first in line 1"),
        ("¦1: a\n" + REST, "this key is 1, which is no text"),
        ("¦true: a\n" + REST, "this key is true, which is no text"),
        ("vars: { ? ¦[a] : b }\n" + REST, "a list cannot be a key"),
        ("name: ¦!!python/object/apply:os.system [x]\n" + REST, "means nothing here"),
        ("name: ¦!secret x\n" + REST, "the tag !secret means nothing here"),
        ("x-a: &a [¦*a]\n" + REST, "*a stands inside its own &a"),
        ("name: ¦*nobody\n" + REST, "no anchor &nobody"),
        ("x-a: " + "[" * 63 + "¦[" + "]" * 64 + "\n", "nested deeper than 64 levels"),
        ("x-a: ¦.nan\n" + REST, ".nan is not a number"),
        ("x-a: ¦.inf\n" + REST, ".inf is not a number"),
        ("¦[a, b]\n", "the file is a list"),
        ("¦just a text\n", "the file is a single value"),
        ("¦", "the file is empty"),
        ("¦# nothing but a remark\n", "the file is empty"),
        (REST + "¦---\n" + REST, "a second document begins here"),
        ("agents:\n¦\ta:\n", "a tab indents this line"),
        ("name: a¦\0b\n", "a NUL stands in the file"),
        ("agents: { a: { instructions: ¦${X:-y} } }\n", "cannot stand inside { }"),
        ("agents:\n  a:\n    instructions: Say¦: hello\n", "a second ': '"),
        ("x-a: { <<: ¦3 }\n" + REST, "<< takes a map"),
    ],
)
def test_what_is_refused(text: str, message: str, tmp_path: Path) -> None:
    head, sign, tail = text.partition("¦")
    assert sign
    problem = only(problems(tmp_path, head + tail))
    assert message in problem.message
    line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
    assert (problem.line, problem.column) == (line, max(column, 1)), problem.render()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (NINE.encode(), "more than"),
        (b"x-a: [" + b"1, " * 20_000 + b"1]\n", "more than 10000 values"),
        (b"# " + b"x" * (1 << 20) + b"\n", "larger than 1 MiB"),
        (b'name: "\\ud800"\n', "half of a surrogate pair"),
        (b"name: caf\xe9\n", "0xe9 is not UTF-8"),
        ("name: a\n".encode("utf-16"), "UTF-16"),
    ],
    ids=["alias bomb", "values", "size", "surrogate", "latin-1", "utf-16"],
)
def test_what_is_too_large_or_no_text(data: bytes, message: str, tmp_path: Path) -> None:
    assert message in only(problems(tmp_path, data)).message


def test_a_byte_order_mark_carriage_returns_and_anchors_are_fine(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode()
    assert (
        loaded(tmp_path, data).deployment.agents["desk"].instructions == "You are the front desk."
    )
    text = """\
x-common: &common { voice: cedar, tools: [end_call] }
agents:
  a: { <<: *common, instructions: "${X:-plain}" }
  b: { <<: [*common, { greeting: Hi }], instructions: y, voice: ash }
"""
    d = loaded(tmp_path, text).deployment
    assert (d.agents["a"].voice, d.agents["a"].instructions) == ("cedar", "plain")
    assert (d.agents["b"].voice, d.agents["b"].greeting) == ("ash", "Hi")
