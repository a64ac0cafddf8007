"""A deployment compiled and filled in again is the deployment, and holds nothing of the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command import invoke
from support.deployments import ROOT, write

from runner.bundle.compiled import Compiled
from runner.config.load import load
from runner.errors import ConfigError, UserError
from runner.worker.deployment import deployment_of

pytestmark = pytest.mark.quick

DESK = "agents:\n  desk: { instructions: x }\n"
FULL = """\
name: full
timezone: Asia/Tokyo
vars: { place: "${PLACE:-the ${KIND:-old} shop}", price: 22.50 }
limits: { duration: "${MINUTES:-30}m" }
session: { max_output_tokens: "${TOKENS:-300}" }
agents:
  desk:
    instructions: "At ${vars.place}: ${vars.price}. ${call.from} at ${now}; $${now}; ${SAYING:-}"
    greeting: { say: "Hello ${call.from}" }
    tools: [there, add]
    handoffs: [{ to: other, when: "asked" }]
  other: { instructions: { file: prompts/other.md } }
tools:
  there:
    description: What is there.
    http:
      url: "${BASE}/x/{what}"
      headers: { Authorization: "Bearer ${KEY}", Accept: text/plain }
    timeout: 4s
  add: { python: "tools/add.py:add" }
"""
ENV = {
    "BASE": "https://example.com",
    "KEY": "canary-key",
    "KIND": "new",
    "SAYING": "${now} costs $5",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path, "Other at ${PLACE:-home}.\n", "prompts/other.md")
    write(tmp_path, "def add(a: int) -> int:\n    return a\n", "tools/add.py")
    return write(tmp_path, FULL)


def again(file: Path, env: dict[str, str]) -> tuple[Any, str]:
    text = Compiled(load(file, env=env, no_env=True)).json
    return deployment_of(json.loads(text), env.get, file.parent), text


@pytest.mark.parametrize("more", [{}, {"PLACE": "sea", "MINUTES": "5", "TOKENS": "7"}])
def test_it_is_the_deployment_that_the_loader_makes(file: Path, more: dict[str, str]) -> None:
    env = {**ENV, **more}
    here = load(file, env=env).deployment
    there, text = again(file, env)
    for part in ("name", "agents", "entry", "tools", "session", "engine", "model", "timezone"):
        assert getattr(there, part) == getattr(here, part), part
    assert there.limits.duration == here.limits.duration
    assert there.silence == here.silence
    for value in env.values():
        assert value not in text or value.isdigit() or len(value) < 5, value
    assert "canary" not in text
    assert "canary" not in repr(there)


def test_what_is_missing_is_named(file: Path) -> None:
    text = Compiled(load(file, env=ENV)).json
    with pytest.raises(UserError, match="the Worker has no BASE, KEY"):
        deployment_of(json.loads(text), {}.get, file.parent)
    with pytest.raises(UserError, match="another version"):
        deployment_of({**json.loads(text), "format": 0}, ENV.get, file.parent)


def test_the_bundle_has_the_tools_and_what_they_import(tmp_path: Path) -> None:
    write(tmp_path, "import near\n\ndef add(a: int) -> int:\n    return near.a(a)\n", "t/add.py")
    write(tmp_path, "import deep\n", "t/near.py")
    write(tmp_path, "import json\n", "t/deep.py")
    write(tmp_path, "import numpy\n", "t/unused.py")
    path = write(tmp_path, DESK + 'tools: { add: { python: "t/add.py:add" } }\n')
    assert sorted(Compiled(load(path, env={})).files) == ["t/add.py", "t/deep.py", "t/near.py"]


def test_an_import_that_a_worker_lacks_is_told_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path, "def add(a: int) -> int:\n    import near\n    return a\n", "t/add.py")
    write(tmp_path, "import json\nfrom numpy import array\n", "t/near.py")
    path = write(tmp_path, DESK + 'tools: { add: { python: "t/add.py:add" } }\n')
    with pytest.raises(ConfigError) as refused:
        Compiled(load(path, env={}))
    [problem] = refused.value.problems
    assert (Path(problem.file).name, problem.line, problem.code) == ("near.py", 2, "RT603")
    assert "numpy is not there in a Worker" in problem.message
    assert problem.source == "from numpy import array"


@pytest.mark.parametrize(
    ("more", "line", "code"),
    [
        ("engine: { type: local }\n", 3, "RT602"),
        ("limits: { cost_per_call: 1 }\n", 3, "RT601"),
        ("limits: { calls: 3 }\n", 3, "RT601"),
        ("tools: { x: { description: x, command: [cat] } }\n", 3, "RT601"),
        ("tools: { x: { mcp: { command: [cat] } } }\n", 3, "RT601"),
        ('guardrails: [{ name: x, moderation: { url: "https://m.example" } }]\n', 3, "RT601"),
        ('tools: { x: { python: "yaml:dump" } }\n', 3, "RT603"),
        ('engine: { url: "wss://e.example", api_key: sk-in-the-file-1234567 }\n', 3, "RT904"),
    ],
)
def test_what_a_worker_cannot_serve(tmp_path: Path, more: str, line: int, code: str) -> None:
    path = write(tmp_path, DESK + more)
    with pytest.raises(ConfigError) as refused:
        Compiled(load(path, env={}))
    assert [(p.line, p.code) for p in refused.value.problems] == [(line, code)]
    assert "sk-in-the-file" not in str(refused.value)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path, DESK)
    write(tmp_path, "mine", "out/notes.txt")
    code, _, said = invoke("build", "cloudflare", path, "-o", tmp_path / "out", "--without-sdk")
    assert code == 2
    assert "not empty" in said
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["notes.txt"]
    notes = tmp_path / "out" / "notes.txt"
    code, _, said = invoke("build", "cloudflare", path, "-o", notes, "--without-sdk")
    assert code == 2
    assert "cannot be a folder" in said


def test_push_runs_wrangler_without_a_shell(tmp_path: Path) -> None:
    path = write(tmp_path, DESK)
    wrangler = tmp_path / "wrangler"
    wrangler.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.argv"\ncp "$6" "$0.json"\n')
    wrangler.chmod(0o755)
    odd = "id; touch owned"
    code, out, _ = invoke("push", "cloudflare", path, "--kv", odd, "--wrangler", wrangler)
    assert code == 0
    argv = (tmp_path / "wrangler.argv").read_text().splitlines()
    assert argv[:4] == ["kv", "key", "put", "deployment"]
    assert odd in argv
    pushed = json.loads((tmp_path / "wrangler.json").read_text())
    assert pushed["revision"] in out
    wrangler.write_text("#!/bin/sh\necho no such namespace >&2\nexit 3\n")
    code, _, said = invoke("push", "cloudflare", path, "--kv", "x", "--wrangler", wrangler)
    assert (code, said) == (1, "no such namespace\n")
    code, _, said = invoke("push", "cloudflare", path, "--kv", "x", "--wrangler", "no-wrangler")
    assert code == 2


def test_push_into_a_folder_on_this_machine(tmp_path: Path) -> None:
    path, folder = write(tmp_path, DESK), tmp_path / "out"
    folder.mkdir()
    code, _, said = invoke("push", "cloudflare", path, "--folder", folder)
    assert code == 2
    assert "not built by rtrun" in said
    for where in ((), ("--kv", "x", "--folder", folder)):
        code, _, said = invoke("push", "cloudflare", path, *where)
        assert code == 2
        assert "one of --kv and --folder" in said
    build = ("build", "cloudflare", path, "-o", folder, "--without-sdk")
    assert invoke(*build)[0] == 0
    code, out, _ = invoke("push", "cloudflare", path, "--folder", folder)
    assert code == 0
    pushed = folder / "deployment"
    assert json.loads(pushed.read_text())["revision"] in out
    # What is built anew is not overtaken by an edit of what was there before.
    assert invoke(*build)[0] == 0
    assert not pushed.exists()


def test_the_example_is_fit() -> None:
    Compiled(load(ROOT / "examples" / "cloudflare" / "shop.yaml", env={}))
