"""`rtrun show`: YAML that is read again, JSON, origins, and no keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import invoke
from support.deployments import EXAMPLES, write

pytestmark = pytest.mark.quick

FILE = """\
# A comment.
model: ${MODEL:-gpt-realtime-2}
engine: { url: "https://x.example/v1", api_key: "${KEY}" }
agents:
  desk: { instructions: "Hi.", tools: [end_call] }
"""


def test_as_it_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    env = write(tmp_path, "KEY=hush-hush\n", "env")
    assert invoke("show", file, "--env-file", env) == (0, """\
model: "${MODEL:-gpt-realtime-2}"
engine:
  url: https://x.example/v1
  api_key: "${KEY}"
agents:
  desk:
    instructions: Hi.
    tools:
      - end_call
""", "")  # fmt: skip


def test_resolved_with_origins(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    env = write(tmp_path, "KEY=hush-hush\n", "env")
    args = ("show", file, "--env-file", env, "--set", "timezone=UTC", "--resolved", "--origin")
    code, out, err = invoke(*args)
    assert (code, err) == (0, "")
    assert "hush" not in out
    lines = out.replace(f"{tmp_path}/", "").splitlines()
    assert "model: gpt-realtime-2  # d.yaml:2, MODEL is not set" in lines
    assert '  api_key: "***"  # d.yaml:3, KEY from the environment' in lines
    assert "timezone: UTC  # --set" in lines
    assert "      voice: marin  # default" in lines
    assert "hush-hush" in invoke(*args, "--show-secrets")[1]


def test_as_json(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    value = json.loads(invoke("show", file, "--no-env", "--format", "json")[1])
    assert value["engine"]["api_key"] == "${KEY}"
    told = json.loads(invoke("show", file, "--no-env", "--origin", "--format", "json")[1])
    assert told["value"] == value
    assert told["origins"]["agents.desk.tools[0]"] == f"{file}:5"


def test_an_invalid_file_has_its_problems(tmp_path: Path) -> None:
    code, out, err = invoke("show", write(tmp_path, "agent: 1\n"))
    assert (code, out) == (1, "")
    assert "unknown key 'agent'" in err
    assert invoke("show", tmp_path / "none.yaml")[0] == 2


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.name)
@pytest.mark.parametrize("flags", [(), ("--resolved",), ("--resolved", "--origin")])
def test_what_is_shown_of_an_example_is_neat(file: Path, flags: tuple[str, ...]) -> None:
    code, out, _ = invoke("show", file, *flags)
    assert code == 0
    assert invoke("fmt", "-", stdin=out) == (0, out, "")
