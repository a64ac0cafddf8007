"""docs/conformance.md tells the truth. Runs last, after the tests that it names."""

from __future__ import annotations

import ast
import os

import pytest
from support import matrix
from support.openai_types import client_types, server_types

ROOT = matrix.PAGE.parents[1]
WRITING = os.environ.get("RTRUN_WRITE_MATRIX") == "1"
REWRITE = "run RTRUN_WRITE_MATRIX=1 pytest tests/engine"


@pytest.fixture
def page() -> dict[tuple[str, str], tuple[str, ...]]:
    """The page as it is; when it is being written, as it is about to be."""
    if WRITING:
        return matrix.parse(matrix.render(matrix.plugin.passed()))
    return matrix.parse(matrix.PAGE.read_text(encoding="utf-8"))


def test_the_page_has_a_row_for_every_event(page):
    rows = {("server", k) for k in server_types()} | {("client", k) for k in client_types()}
    assert len(server_types()) == 46
    assert len(client_types()) == 11
    assert set(page) == rows


def test_the_tests_that_the_page_names_exist(page):
    names = {test for tests in page.values() for test in tests}
    for path in {name.partition("::")[0] for name in names}:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        there = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        wanted = {n.partition("::")[2].partition("[")[0] for n in names if n.startswith(path)}
        assert wanted <= there, REWRITE


def test_what_this_run_reached_is_on_the_page(page):
    assert not matrix.unlisted(page, matrix.plugin.passed()), REWRITE


def test_the_tests_on_the_page_that_ran_reached_their_events(page):
    assert not matrix.stale(page, matrix.plugin.ran, matrix.SEEN), REWRITE


def test_every_open_row_says_what_it_waits_for(page):
    unexplained = [k for k, tests in page.items() if not tests and k not in matrix.OPEN]
    assert not unexplained
