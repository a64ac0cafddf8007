"""Conversation tests for Python programs: the same as `rtrun test`, in a test of your own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runner.codec import dumps
from runner.config.source import make_source
from runner.config.testfile import tests_of
from runner.engines import Engine, Engines, choose
from runner.errors import UsageError
from runner.model.deployment import EngineSpec
from runner.testing.conversation import play
from runner.testing.judge import judge_of
from runner.testing.report import Report
from runner.testing.stage import Stage
from runner.testing.suite import Case, read_suite
from runner.testing.voice import speaker


@asynccontextmanager
async def running_engine(
    name: str = "local", *, env: Mapping[str, str] | None = None
) -> AsyncIterator[Engine]:
    """An engine for :func:`run_test`: ``local`` (a child process, ended at the end), ``openai``,
    or a URL. EngineError when it does not start, UsageError when there is no such."""
    env = os.environ if env is None else env
    engines = Engines(env, lambda text: None)
    try:
        yield await engines.get(choose(EngineSpec(), name, env))
    finally:
        await engines.close()


async def run_test(
    deployment: str | os.PathLike[str],
    test: str | Mapping[str, Any],
    *,
    engine: Engine | None = None,
    env: Mapping[str, str] | None = None,
    record: str | os.PathLike[str] | None = None,
) -> Report:
    """Hold one test with the deployment in a file.

    ``test`` is the name of one of its tests, or what stands under `tests:` as a map. Without an
    ``engine`` one is started for this test alone, which takes a second or two. ``env`` is the
    environment for ``${NAME}``, this process's own when left out; ``record`` a file for the call.

    What the agent does wrong stands in the report. ConfigError when the deployment or the test is
    invalid, InputError when a file cannot be read, UsageError when no test has that name.
    """
    env = os.environ if env is None else env
    if engine is None:
        async with running_engine(env=env) as started:
            return await run_test(deployment, test, engine=started, env=env, record=record)
    case = _case(deployment, test, env)
    with speaker() as voice:
        stage = Stage(
            address=engine.address,
            voice=voice if engine.voice else None,
            why_no_voice=engine.note,
            judge=judge_of(case.suite.loaded.deployment, env),
            record=None if record is None else Path(record),
        )
        return await play(case, stage)


def _case(
    deployment: str | os.PathLike[str], test: str | Mapping[str, Any], env: Mapping[str, str]
) -> Case:
    suite, cases = read_suite(deployment, env)
    if isinstance(test, str):
        named = [case for case in cases if case.test.name == test]
        if not named:
            known = ", ".join(case.test.name for case in cases) or "none"
            raise UsageError(f"{suite.file}: no test is called '{test}'", f"there are: {known}")
        return named[0]
    source = make_source("the test", dumps({"tests": [test]}), suite.loaded.tree.source.folder)
    tests, tree = tests_of(source, suite.loaded, env)
    return Case(suite, tests[0], tree)
