"""What came through ``${...}`` into a header, a URL or a key is shown nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.deployments import FULL, SMALL, loaded, only, problems

from runner.config.diff import diff
from runner.config.hide import Hider
from runner.config.load import Loaded, load
from runner.config.source import make_source
from runner.config.tree import Path as Steps
from runner.config.tree import dotted, parse
from runner.errors import ConfigError, Problem

pytestmark = pytest.mark.quick

CANARY = "canary-9f8e7d"
SHAPES = ("${CANARY}", "https://${CANARY}.example.com/x", "${CANARY:-}x")
#: What is said to the model or the caller, and names: these are for everybody's eyes.
OPEN = {
    *("name", "instructions", "greeting", "say", "when", "while_waiting", "description"),
    *("server_description", "phrases", "regex", "tool_names", "allow", "parameters", "variables"),
    *("workflow_name", "group_id", "id", "version", "model", "tests", "redact"),
}


def scalars() -> list[Any]:
    tree = parse(make_source(FULL.name, FULL.read_text()))
    paths = [path for path, place in tree.places.items() if place.text is not None]
    return [pytest.param(path, id=dotted(path)) for path in paths]


def tried(sets: list[tuple[str, str]]) -> tuple[Loaded | None, ConfigError]:
    try:
        return load(FULL, env={"CANARY": CANARY}, overrides=sets), ConfigError(())
    except ConfigError as error:
        return None, error


@pytest.mark.parametrize("path", scalars())
def test_a_value_from_the_environment(path: Steps) -> None:
    before = load(FULL, env={}).deployment
    for written in SHAPES:
        sets = [(dotted(path), written)]
        out, found = tried(sets)
        assert CANARY not in str(found) + repr(found.problems)
        if out is None:
            continue
        assert CANARY not in repr(out.warnings)
        assert CANARY not in out.problem_at(path, f"this is {CANARY}").headline()
        if not OPEN & {*path}:
            assert CANARY not in repr(out)
            assert CANARY not in repr(diff(before, out.deployment))
            assert CANARY not in repr(diff(out.deployment, before))


def test_an_engine_s_url_and_its_name(tmp_path: Path) -> None:
    text = SMALL + "engine: ${E}\n"
    name = loaded(tmp_path, text, {"E": "local"}).deployment
    url = loaded(tmp_path, text, {"E": f"wss://{CANARY}@x.example/v1"}).deployment
    assert url.engine.url == f"wss://{CANARY}@x.example/v1"
    (kind, where) = diff(name, url)
    assert (kind.old, kind.new) == ("local", "url")
    assert (where.path, where.new) == ("engine.url", "***")


def test_a_message_names_the_variable(tmp_path: Path) -> None:
    problem = only(problems(tmp_path, SMALL + "entry: ${WHO}\n", {"WHO": CANARY}))
    assert problem.message == "no agent is called '${WHO}'"
    assert problem.hint == "there are desk"
    # A word is no key, and helps whoever reads the message.
    assert "'nobody'" in only(problems(tmp_path, SMALL + "entry: ${W}\n", {"W": "nobody"})).message


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("a secret-12345 b", "a ${S} b"),
        ("secret-12345secret-12345", "${S}${S}"),
        ("cut: secret-123…", "cut: ${S}…"),
        ("at the end secret-12", "at the end ${S}"),
        ("secret-1 is another word", "secret-1 is another word"),
        ("line-one line-two", "${T}"),
        ("front_desk", "front_desk"),
        ("short", "short"),
    ],
)
def test_what_is_hidden_in_a_message(text: str, out: str) -> None:
    values = {"secret-12345": "S", "line-one\nline-two": "T", "front_desk": "F", "short": "U"}
    hider = Hider(values, ["agents: { front_desk: {} }"])
    assert hider.problem(Problem("f", 1, 1, "", text, text)).message == out
    assert "secret" not in repr(hider)
