"""Deployment files for tests: written to a folder, loaded with an environment of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.config.codes import codes
from runner.config.load import Loaded, load
from runner.errors import ConfigError, Problem

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "agents.d").glob("*.yaml"))
#: A deployment with every kind of tool, guardrail and value in it.
FULL = ROOT / "tests" / "config" / "full" / "full.yaml"

SMALL = """\
agents:
  desk:
    instructions: You are the front desk.
"""


def write(folder: Path, text: str | bytes, name: str = "d.yaml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def loaded(
    folder: Path,
    text: str | bytes,
    env: Mapping[str, str] | None = None,
    overrides: Sequence[tuple[str, str]] = (),
) -> Loaded:
    return load(write(folder, text), env=env or {}, overrides=overrides)


def problems(
    folder: Path,
    text: str | bytes,
    env: Mapping[str, str] | None = None,
    overrides: Sequence[tuple[str, str]] = (),
) -> tuple[Problem, ...]:
    """What is wrong with a file; none when it is valid."""
    try:
        loaded(folder, text, env, overrides)
    except ConfigError as error:
        found = error.problems
    else:
        return ()
    # Whatever a test does wrong has a code that can be explained.
    assert [p for p in found if p.code not in codes()] == []
    return found


def told(folder: Path, marked: str, message: str) -> None:
    """A deployment has one problem, with this headline, where the sign ¦ stands in it."""
    head, _, tail = marked.partition("¦")
    line, column = head.count("\n") + 1, len(head) - head.rfind("\n")
    found = only(problems(folder, head + tail)).headline()
    assert found == f"{folder / 'd.yaml'}:{line}:{column}: {message}"


def only(found: Sequence[Problem]) -> Problem:
    assert len(found) == 1, "\n".join(p.render() for p in found)
    return found[0]
