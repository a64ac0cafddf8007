"""All that can be said of one deployment file without a network: its text, its code, its tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from runner.cli.found import deployment_of
from runner.config.behind import in_code
from runner.config.load import Examined, Loaded, examine, in_order
from runner.config.phone import same_number
from runner.config.testfile import read_tests
from runner.config.toolbuild import guardrail, tool
from runner.errors import ConfigError, Problem, ToolError
from runner.model.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Verdict:
    """``name`` as messages call the file; ``agents``, ``tools`` and ``tests`` are counted when it
    is valid. ``failure``: why it could not be read. ``note``: why it was not checked."""

    name: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    agents: int = 0
    tools: int = 0
    tests: int = 0
    seconds: float = 0.0
    failure: str = ""
    note: str = ""
    #: What the file says, when it is valid.
    loaded: Loaded | None = field(default=None, repr=False, compare=False)

    @property
    def well(self) -> bool:
        return not self.problems and not self.failure

    def good(self, strict: bool) -> bool:
        return self.well and not (strict and self.warnings)


def verdict(
    file: Path | str,
    *,
    env: Mapping[str, str],
    overrides: Sequence[tuple[str, str]] = (),
    no_env: bool = False,
    data: bytes | None = None,
    name: str = "",
) -> Verdict:
    """The file checked, its Python imported; nothing is called. What an import prints goes to
    standard error. ``data`` and ``name``: as for ``examine``. InputError, UsageError."""
    began = perf_counter()
    found = examine(file, env=env, overrides=overrides, no_env=no_env, data=data, name=name)
    with redirect_stdout(sys.stderr):
        code = _of_code(found)
    name = name or str(file)
    problems = tuple(in_order((*found.problems, *code), name))
    sizes = (0, 0)
    if found.loaded is not None:
        sizes = len(found.loaded.deployment.agents), len(found.loaded.deployment.tools)
    took = perf_counter() - began
    return Verdict(name, problems, found.warnings, *sizes, seconds=took, loaded=found.loaded)


def beside_each_other(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The same, with what is wrong when one process runs all the files: two of them answer the
    same number."""
    out: list[Verdict] = []
    before: list[tuple[str, Deployment]] = []
    for found in verdicts:
        loaded = found.loaded
        clash = None if loaded is None else same_number(loaded, before)
        out.append(replace(found, problems=(*found.problems, clash)) if clash else found)
        if loaded is not None:
            before.append((loaded.deployment.name, loaded.deployment))
    return out


def verdict_of_tests(file: str, *, env: Mapping[str, str], no_env: bool = False) -> Verdict:
    """The tests of ``NAME.test.yaml`` against the deployment beside it, which has to be valid to
    say anything of them. InputError when there is none."""
    began = perf_counter()
    beside = deployment_of(file)
    found = examine(beside, env=env, no_env=no_env)
    if found.loaded is None:
        return Verdict(file, found.problems, seconds=perf_counter() - began)
    try:
        tests, _ = read_tests(Path(file), found.loaded, env)
    except ConfigError as error:
        return Verdict(file, error.problems, seconds=perf_counter() - began)
    return Verdict(file, tests=len(tests), seconds=perf_counter() - began)


def _of_code(found: Examined) -> list[Problem]:
    if found.loaded is not None:
        return _all_code(found.loaded)
    return list(_sound_code(found))


def _all_code(loaded: Loaded) -> list[Problem]:
    own = loaded.deployment.tools or loaded.deployment.guardrails
    if not own and loaded.deployment.transport.type != "custom":
        return []
    # Only now: a file without code of its own needs no event loop to be checked.
    from runner.toolbox import load_tools

    try:
        load_tools(loaded)
    except ConfigError as error:
        return list(error.problems)
    return []


def _sound_code(found: Examined) -> Iterator[Problem]:
    """The functions of an invalid file whose own entries have nothing against them."""
    tree = found.tree
    if tree is None:
        return
    for path, entry in _entries(found.document):
        whole = f"{path[0]}[{path[1]}]" if isinstance(path[1], int) else f"{path[0]}.{path[1]}"
        if any(
            p.path == whole or p.path.startswith((f"{whole}.", f"{whole}[")) for p in found.problems
        ):
            continue
        if any(broken[:2] == path for broken in found.broken):
            continue
        try:
            if isinstance(path[1], int):
                from runner.guardrails import guardrail_of

                guardrail_of(guardrail(path[1], entry, tree.folder))
            else:
                from runner.tools.python import load

                load(tool(str(path[1]), entry, tree.folder))
        except ToolError as error:
            code = "RT308" if isinstance(path[1], int) else "RT301"
            where = (*path, "python")
            problem = tree.problem(where, error.message, error.hint, code=code)
            yield in_code(found.hider.problem(problem), error)


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str | int], dict[str, Any]]]:
    tools, rails = document.get("tools"), document.get("guardrails")
    for name, entry in tools.items() if isinstance(tools, dict) else ():
        if isinstance(entry, dict) and isinstance(entry.get("python"), str):
            yield ("tools", name), entry
    for index, entry in enumerate(rails if isinstance(rails, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("python"), str):
            yield ("guardrails", index), entry
