"""What others' CI takes from here: the hook of pre-commit, and the workflow of examples/ci."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import ROOT, environment
from support.deployments import SMALL, write
from support.engine import serving, speech_models

from runner.engine.brain import make_brain

WORKFLOW = ROOT / "examples" / "ci" / "github.yml"


def run(folder: Path, *argv: str, **extra: str) -> subprocess.CompletedProcess[str]:
    # Scripts of the environment that runs the tests, rtrun among them.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        argv,
        cwd=folder,
        env={**environment(), "PATH": path, **extra},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def hooked(folder: Path) -> None:
    """A repository with the hook as it is, but for the language: ``python`` would install rtrun
    over the network into an environment of its own; here it is installed already."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook.pop("language") == "python"
    hook |= {"language": "system", "args": ["--no-env"]}
    config = {"repos": [{"repo": "local", "hooks": [hook]}]}
    write(folder, yaml.safe_dump(config), ".pre-commit-config.yaml")
    assert run(folder, "git", "init", "-q").returncode == 0


def commit_check(folder: Path) -> subprocess.CompletedProcess[str]:
    assert run(folder, "git", "add", "-A").returncode == 0
    home = str(folder / ".git" / "pre-commit-home")
    return run(folder, sys.executable, "-m", "pre_commit", "run", PRE_COMMIT_HOME=home)


def test_the_hook_looks_at_deployments_alone(tmp_path: Path) -> None:
    hooked(tmp_path)
    write(tmp_path, "timezone: none\n", "agents.d/_base.yaml")
    write(tmp_path, "extends: _base.yaml\n" + SMALL, "agents.d/desk.yaml")
    write(tmp_path, "modle: x\n", "other/x.yaml")
    write(tmp_path, "modle: x\n", "agents.d/notes.txt")
    done = commit_check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    write(tmp_path, "timezone: Berlin\n", "agents.d/_base.yaml")
    done = commit_check(tmp_path)
    assert done.returncode == 1
    assert "agents.d/_base.yaml:1:11: timezone: no time zone is called 'Berlin'" in done.stdout
    assert "[RT208]" in done.stdout


def steps() -> dict[str, str]:
    workflow: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    (job,) = workflow["jobs"].values()
    return {step["name"]: step["run"] for step in job["steps"] if "run" in step}


def shell(folder: Path, script: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs a step."""
    return run(folder, "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, **extra)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "agents.d", tmp_path / "agents.d")
    return tmp_path


def test_the_workflow_is_one(tmp_path: Path) -> None:
    check = (
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
    )
    done = run(tmp_path, *check, str(WORKFLOW))
    assert done.returncode == 0, done.stdout
    assert list(steps()) == [
        "Install",
        "Report for code scanning",
        "Validate",
        "Say one thing to an agent",
    ]
    assert steps()["Install"] == 'pip install "rtrun[local]"'


def test_the_workflow_on_good_deployments(repository: Path) -> None:
    for name in ("Report for code scanning", "Validate"):
        done = shell(repository, steps()[name])
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((repository / "rtrun.sarif").read_text())["runs"][0]["results"] == []
    assert done.stdout.startswith("0 errors and 0 warnings in ")


def test_the_workflow_puts_an_agent_on_the_line(repository: Path) -> None:
    with serving(make_brain(), speech_models()) as engine:
        script = steps()["Say one thing to an agent"].replace(
            "--engine local", f"--engine {engine.url}"
        )
        done = shell(repository, script)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_on_a_bad_one(repository: Path) -> None:
    file = repository / "agents.d" / "receptionist.yaml"
    file.write_text(file.read_text().replace("greeting:", "greting:"))
    assert shell(repository, steps()["Report for code scanning"]).returncode == 0
    (result,) = json.loads((repository / "rtrun.sarif").read_text())["runs"][0]["results"]
    assert result["ruleId"] == "RT101"
    done = shell(repository, steps()["Validate"])
    assert done.returncode == 1
    assert done.stdout.startswith("::error file=agents.d/receptionist.yaml,line=")


def test_a_report_that_cannot_be_made_fails(repository: Path) -> None:
    shutil.rmtree(repository / "agents.d")
    assert shell(repository, steps()["Report for code scanning"]).returncode == 1
