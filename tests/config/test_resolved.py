"""A deployment with everything said is the same deployment, and knows where its values are from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.deployments import EXAMPLES, FULL, SMALL, loaded, write

from runner.config import percall
from runner.config.codes import Code, codes
from runner.config.diff import diff
from runner.config.load import Loaded, load
from runner.config.resolved import as_written, opened, origin, resolved
from runner.config.write import write as as_yaml

pytestmark = pytest.mark.quick

ENV = {"TZ": "UTC", "KEY": "hush-$${now}-$", "K": "k"}


def read(file: Path) -> Loaded:
    return load(file, env=ENV)


def written_out(one: Loaded) -> Loaded:
    """The deployment once more, from its resolved form beside the file."""
    beside = one.deployment.source.with_name("resolved-by-a-test.yaml")
    beside.write_text(as_yaml(opened(resolved(one), show_secrets=True)))
    try:
        return read(beside)
    finally:
        beside.unlink()


@pytest.mark.parametrize("file", [*EXAMPLES, FULL], ids=lambda f: f.name)
def test_the_same_deployment_again(file: Path, tmp_path: Path) -> None:
    shutil.copytree(file.parent, tmp_path / "d")
    one = read(tmp_path / "d" / file.name)
    two = written_out(one)
    assert diff(one.deployment, two.deployment) == ()
    # Nothing is left to be said.
    assert resolved(two) == resolved(one)


@pytest.mark.parametrize("code", codes().values(), ids=lambda code: code.code)
def test_what_is_right_stays_the_same_deployment(tmp_path: Path, code: Code) -> None:
    for name, text in code.beside.items():
        write(tmp_path, text, name)
    one = read(write(tmp_path, code.right))
    two = written_out(one)
    assert diff(one.deployment, two.deployment) == ()
    assert resolved(two) == resolved(one)


@settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.sampled_from(["$", "$$", "{", "}", "${now}", "$${now}", "${call.id}", "now", "a",
                              "${vars.v}", "${KEY}", "\n"]), max_size=12).map("".join)
)  # fmt: skip
def test_texts_are_filled_in_once(tmp_path: Path, text: str) -> None:
    document: dict[str, Any] = {
        "vars": {"v": "$$x"},
        "agents": {"desk": {"instructions": text + ".", "greeting": text + "!"}},
    }
    try:
        one = load(write(tmp_path, as_yaml(document)), env=ENV)
    except Exception:  # a text that cannot be filled in
        return
    two = written_out(one)
    assert two.deployment.agents["desk"] == one.deployment.agents["desk"]


@given(st.lists(st.tuples(st.sampled_from(["a", "$", "$$", "{now}", "${"]), st.just(False))
                | st.just(("now", True)), max_size=8))  # fmt: skip
def test_pieces_are_cut_where_they_were_joined(pieces: list[tuple[str, bool]]) -> None:
    joined = percall.join(pieces)
    again = percall.cut(joined)
    assert percall.join(again) == joined
    assert [text for text, placeholder in again if placeholder] == [
        text for text, placeholder in pieces if placeholder
    ]


def test_defaults_are_in_it(tmp_path: Path) -> None:
    value = resolved(loaded(tmp_path, SMALL, {"TZ": "Europe/Berlin"}))
    assert list(value) == [
        "apiVersion", "name", "engine", "model", "transport", "timezone", "session", "entry",
        "agents", "reload",
    ]  # fmt: skip
    assert (value["name"], value["entry"], value["timezone"]) == ("d", "desk", "Europe/Berlin")
    assert value["session"]["audio"]["output"]["voice"] == "marin"


def test_a_voice_of_an_agent_is_not_spoken_over(tmp_path: Path) -> None:
    text = SMALL + "    voice: cedar\n  other: { instructions: x }\n"
    value = resolved(loaded(tmp_path, text))
    assert "voice" not in value["session"]["audio"]["output"]


KEYS = """
engine: { url: "https://x.example/${KEY}", api_key: "sk-in-clear" }
tools:
  ask:
    description: Asks.
    http:
      url: https://y.example
      headers: { Authorization: "Bearer ${KEY}", X-Key: "${KEY:-sk-default}" }
"""


def test_secrets_are_masked(tmp_path: Path) -> None:
    one = loaded(tmp_path, SMALL + KEYS, {"KEY": "hush-hush"})
    for value in (opened(resolved(one)), as_written(one)):
        assert "hush" not in repr(value)
        assert "sk-" not in repr(value)
    headers = as_written(one)["tools"]["ask"]["http"]["headers"]
    assert headers == {"Authorization": "Bearer ${KEY}", "X-Key": "***"}
    shown = opened(resolved(one), show_secrets=True)
    assert shown["engine"] == {"url": "https://x.example/hush-hush", "api_key": "sk-in-clear"}


def test_what_is_not_set_stands_as_it_is_written(tmp_path: Path) -> None:
    text = """\
model: ${MODEL}
engine: { url: "${URL}", api_key: "${KEY}" }
limits: { duration: "${LONGEST}" }
agents:
  desk: { instructions: { file: "${PROMPT}" }, greeting: "Hi ${WHO}." }
"""
    one = load(write(tmp_path, text), env={}, no_env=True)
    value = resolved(one)
    assert value["model"] == "${MODEL}"
    assert value["engine"] == {"url": "${URL}", "api_key": "${KEY}"}
    assert value["limits"] == {"duration": "${LONGEST}"}
    assert value["agents"]["desk"] == {
        "instructions": {"file": "${PROMPT}"},
        "greeting": "Hi ${WHO}.",
    }


def test_where_values_come_from(tmp_path: Path) -> None:
    write(tmp_path, "Be kind.\n", "p.md")
    text = """\
model: "${MODEL:-m}-${KEY}"
engine: ${E:-auto}
session: { audio: { input: { format: pcm16 } } }
transport: { type: websocket }
agents:
  desk:
    instructions: { file: p.md }
    tools: [end_call]
"""
    file = write(tmp_path, text)
    env = {"KEY": "k"}
    one = load(file, env=env, overrides=[("entry", "desk")])
    value = resolved(one)

    def at(*path: str | int) -> str:
        return origin(one, path, env).replace(f"{tmp_path}/", "")

    assert at("model") == "d.yaml:1, MODEL is not set, KEY from the environment"
    assert at("engine") == "d.yaml:2, E is not set"
    assert at("entry") == "--set"
    assert at("session", "audio", "input", "format", "rate") == "d.yaml:3"
    assert at("session", "audio", "output", "voice") == "default"
    assert at("timezone") == "default"
    assert at("agents", "desk", "instructions") == "p.md"
    assert at("agents", "desk", "tools", 0) == "d.yaml:8"
    assert value["agents"]["desk"]["instructions"] == "Be kind.\n"


def test_a_base_in_another_folder(tmp_path: Path) -> None:
    write(tmp_path, "def f(): ...\n", "base/tools/t.py")
    write(tmp_path, "Be kind.\n", "base/p.md")
    write(
        tmp_path,
        "agents:\n  desk: { instructions: { file: p.md }, tools: [f, g] }\n"
        "tools:\n  f: { python: 'tools/t.py:f' }\n"
        "  g: { command: [python3, tools/t.py], description: G. }\n",
        "base/_base.yaml",
    )
    file = write(tmp_path, "extends: ../base/_base.yaml\nagents: { desk: { greeting: Hi. } }\n",
                 "d/d.yaml")  # fmt: skip
    one = read(file)
    two = written_out(one)
    # The same files, named from another folder.
    assert two.deployment.tools["f"].module_file() == one.deployment.tools["f"].module_file()
    assert {change.path for change in diff(one.deployment, two.deployment)} == {
        "tools.f.python",
        "tools.g.command.argv",
    }
    value = resolved(one)
    assert "extends" not in value
    assert value["tools"]["f"]["python"] == "../base/tools/t.py:f"
    assert origin(one, ("agents", "desk", "instructions"), {}).endswith("base/p.md")
    assert origin(one, ("tools", "f", "python"), {}).endswith("base/_base.yaml:4")
