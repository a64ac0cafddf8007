"""Each code is given by the input that its table shows, and by nothing that the table lacks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from support.deployments import ROOT, write

from runner.cli.verdict import verdict
from runner.config.codes import Code, about, codes
from runner.config.load import load
from runner.errors import Problem

pytestmark = pytest.mark.quick
ALL = list(codes().values())


def told(folder: Path, code: Code, text: str) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    for name, content in code.beside.items():
        write(folder, content, name)
    sets = code.sets if text is code.wrong else ()
    found = verdict(write(folder, text), env={}, overrides=sets)
    return found.problems, found.warnings


@pytest.mark.parametrize("code", ALL, ids=lambda c: c.code)
def test_the_wrong_example_has_this_problem_alone(tmp_path: Path, code: Code) -> None:
    problems, warnings = told(tmp_path, code, code.wrong)
    if code.warning:
        assert [p.code for p in problems] == []
        assert {p.code for p in warnings} == {code.code}
    else:
        assert {p.code for p in problems} == {code.code}


@pytest.mark.parametrize("code", ALL, ids=lambda c: c.code)
def test_the_right_example_has_none(tmp_path: Path, code: Code) -> None:
    assert told(tmp_path, code, code.right) == ((), ())
    load(tmp_path / "d.yaml", env={})


def test_codes_are_explained_in_any_case() -> None:
    text = about("rt202")
    assert text is not None
    assert text.startswith("RT202: no tool of this name\n")
    assert "Wrong:" in text
    assert about("RT000") is None


@pytest.mark.parametrize("code", ALL, ids=lambda c: c.code)
def test_an_explanation_is_short(code: Code) -> None:
    assert len(code.title) <= 60
    assert 1 <= code.text.count(". ") + code.text.endswith(".") <= 5
    assert code.text.endswith(".")


def test_the_page_has_every_code() -> None:
    """RTRUN_WRITE_REFERENCE=1 writes the table."""
    page = ROOT / "docs" / "validate.md"
    rows = "".join(f"| `{c.code}` | {c.title} | {_cell(c.text)} |\n" for c in ALL)
    table = f"| code | | |\n| --- | --- | --- |\n{rows}"
    text = page.read_text(encoding="utf-8")
    whole = re.sub(
        r"(<!-- codes -->\n).*?(<!-- end -->)", lambda m: m[1] + table + m[2], text, flags=re.S
    )
    if os.environ.get("RTRUN_WRITE_REFERENCE"):
        page.write_text(whole, encoding="utf-8")
    assert text == whole or os.environ.get("RTRUN_WRITE_REFERENCE")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("{", "&#123;").replace("<<", "&lt;&lt;")
