"""A deployment checked where its environment is not: ``load(..., no_env=True)``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.deployments import EXAMPLES, FULL, SMALL, only, write

from runner.config.load import load
from runner.config.source import make_source
from runner.config.tree import dotted, parse
from runner.errors import ConfigError
from runner.toolbox import load_tools

pytestmark = pytest.mark.quick


def scalars() -> list[Any]:
    out = []
    for file in (*EXAMPLES, FULL):
        tree = parse(make_source(file.name, file.read_text()))
        out += [
            pytest.param(file, dotted(path), id=f"{file.stem}:{dotted(path)}")
            for path, place in tree.places.items()
            if place.text is not None
        ]
    return out


@pytest.mark.parametrize(("file", "path"), scalars())
def test_any_value_may_be_unset(file: Path, path: str) -> None:
    loaded = load(file, env={}, overrides=[(path, "${NOT_SET}")], no_env=True)
    assert path in [dotted(p) for p in loaded.unset]
    assert not [p for p in loaded.warnings if p.path == path]


def test_what_is_known_is_checked_all_the_same(tmp_path: Path) -> None:
    text = SMALL + "    voce: x\nlimits: { duration: '${HOW_LONG}' }\nentry: dsk\n"
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), env={}, no_env=True)
    assert [p.path for p in caught.value.problems] == ["agents.desk.voce", "entry"]


def test_a_variable_that_is_set_is_checked(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL + "entry: ${ENTRY}\n")
    assert load(file, env={}, no_env=True).unset == {("entry",)}
    with pytest.raises(ConfigError) as caught:
        load(file, env={"ENTRY": "nobody"}, no_env=True)
    assert only(caught.value.problems).message == "no agent is called 'nobody'"


def test_other_faults_of_a_placeholder_are_told(tmp_path: Path) -> None:
    file = write(tmp_path, SMALL + 'entry: "${"\nmodel: ${no.such}\n')
    with pytest.raises(ConfigError) as caught:
        load(file, env={}, no_env=True)
    assert [p.path for p in caught.value.problems] == ["entry", "model"]


def test_vars_prompts_and_files_of_secrets(tmp_path: Path) -> None:
    """A variable behind a var, in a prompt, as its name, and one whose file is not here."""
    write(tmp_path, "You work for ${SHOP}.\n", "p.md")
    text = """\
vars: { shop: "${SHOP}" }
agents:
  desk: { instructions: { file: p.md }, greeting: "${vars.shop}" }
  other: { instructions: { file: "${PROMPTS}/x.md" } }
engine: { url: "${URL}", api_key: "${KEY}" }
"""
    file = write(tmp_path, text)
    loaded = load(file, env={"KEY_FILE": str(tmp_path / "none")}, no_env=True)
    assert sorted(map(dotted, loaded.unset)) == [
        "agents.desk.greeting",
        "agents.desk.instructions",
        "agents.other.instructions.file",
        "engine.api_key",
        "engine.url",
        "vars.shop",
    ]
    assert "${SHOP}" in loaded.deployment.agents["desk"].instructions
    assert load_tools(loaded).guardrails == ()
