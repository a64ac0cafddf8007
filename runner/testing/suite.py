"""The tests of a deployment: those in its file, and those in the file beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.codec import dumps
from runner.config.find import is_tests
from runner.config.load import Loaded, load
from runner.config.testbuild import call_tests
from runner.config.testfile import read_tests
from runner.config.tree import Tree
from runner.errors import ConfigError, Problem
from runner.model.calltest import CallTest
from runner.model.calltest import Path as Steps
from runner.model.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class Case:
    """One test of one deployment, and the tree whose places it speaks of."""

    suite: Suite
    test: CallTest
    tree: Tree

    def problem(self, path: Steps, message: str, hint: str = "") -> Problem:
        return self.tree.problem(path, message, hint)


@dataclass(frozen=True, slots=True)
class Suite:
    """A deployment that was read for its tests. ``env`` and ``overrides`` as for ``load``."""

    file: str
    loaded: Loaded
    env: Mapping[str, str]
    overrides: tuple[tuple[str, str], ...] = ()

    def edited(self, edits: Sequence[tuple[str, object]], *, typed: bool) -> Loaded:
        """The deployment with fields changed: ConfigError, with problems at ``--set``, when it is
        none any more. ``typed``: text goes in and out."""
        sets = (*self.overrides, *((path, dumps(value)) for path, value in edits))
        loaded = load(self.file, env=self.env, overrides=sets) if edits else self.loaded
        if not typed:
            return loaded
        session = typed_settings(loaded.deployment.session)
        return replace(loaded, deployment=replace(loaded.deployment, session=session))


def read_suite(
    file: str | os.PathLike[str],
    env: Mapping[str, str],
    overrides: tuple[tuple[str, str], ...] = (),
) -> tuple[Suite, tuple[Case, ...]]:
    """The deployment in ``file`` with its tests; of ``NAME.test.yaml``, those tests alone.
    ConfigError, InputError."""
    name, beside = os.fspath(file), beside_of(file)
    if is_tests(name):
        beside, name = Path(name), str(deployment_of(name))
    loaded = load(name, env=env, overrides=overrides)
    suite = Suite(name, loaded, env, overrides)
    cases: list[Case] = []
    if beside is None or str(beside) != os.fspath(file):
        document = loaded.deployment.document
        own = call_tests(document, loaded.tree)
        cases += [Case(suite, test, loaded.tree) for test in own]
    if beside is not None:
        tests, tree = read_tests(beside, loaded, env)
        cases += [Case(suite, test, tree) for test in tests]
    return suite, tuple(cases)


def deployment_of(file: str | os.PathLike[str]) -> Path:
    """The deployment that ``NAME.test.yaml`` belongs to."""
    path = Path(file)
    return path.with_name(Path(path.stem).stem + path.suffix)


def beside_of(file: str | os.PathLike[str]) -> Path | None:
    """``NAME.test.yaml`` beside ``NAME.yaml``, when there is one."""
    path = Path(file)
    beside = path.with_name(f"{path.stem}.test{path.suffix}")
    return beside if not is_tests(path) and beside.is_file() else None


def typed_settings(settings: SessionSettings) -> SessionSettings:
    """Settings for turns that are typed: text in, text out."""
    wire = {key: value for key, value in settings.wire.items() if key != "audio"}
    return SessionSettings({**wire, "output_modalities": ["text"]})


def edit_problems(
    case: Case, path: Steps, edit: Mapping[str, object], error: ConfigError
) -> tuple[Problem, ...]:
    """What is wrong with an edit, where it stands in the test."""
    out = []
    for problem in error.problems:
        for target in edit:
            if problem.file == "--set" and _below(problem.path, target):
                inner = case.problem((*path, target), problem.message, problem.hint)
                out.append(inner)
                break
        else:
            where = "" if problem.file == "--set" else f"{problem.file}:{problem.line}: "
            out.append(case.problem(path, f"{where}{problem.message}", problem.hint))
    return tuple(dict.fromkeys(out))


def _below(path: str, target: str) -> bool:
    return path == target or path.startswith((f"{target}.", f"{target}["))
