"""`rtrun test FILE...`: the conversations that a deployment has to get right."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from runner import tasks
from runner.cli.given import override, read_env_file
from runner.cli.testreport import JsonPrinter, Printer, TextPrinter, write_junit
from runner.cli.validate import deployments
from runner.desk import Address
from runner.engines import Engine, Engines, choose
from runner.errors import ConfigError, InputError, RtrunError, UsageError
from runner.testing.conversation import play, refused
from runner.testing.judge import judge_of
from runner.testing.record import read_log
from runner.testing.report import Report
from runner.testing.rerun import stage_of
from runner.testing.select import selector
from runner.testing.stage import Stage
from runner.testing.suite import Case, read_suite
from runner.testing.voice import Say, speaker


@dataclass(frozen=True, slots=True)
class Options:
    engine: str | None
    jobs: int
    repeat: int
    first_failure: bool
    strict: bool
    record: Path | None
    replay: Path | None
    env: dict[str, str]
    #: How the callers come, empty for a line of ours.
    by: str = ""


@click.command("test")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE...")
@click.option("-k", "pick", default="", metavar="EXPR", help="Only tests with these words.")
@click.option("-x", "first", is_flag=True, help="Stop at the first that fails.")
@click.option("-j", "jobs", type=click.IntRange(1), metavar="N", help="At once; else the cores.")
@click.option("--repeat", type=click.IntRange(1), default=1, metavar="N", help="Each N times.")
@click.option("--engine", default="local", metavar="ENGINE", help="auto, openai, local or a URL.")
@click.option("--as", "by", type=click.Choice(["twilio"]), help="Callers come by telephone.")
@click.option("--strict", is_flag=True, help="A question without a judge is a failure.")
@click.option("--record", type=click.Path(path_type=Path), metavar="DIR", help="Keep each call.")
@click.option("--replay", type=click.Path(path_type=Path), metavar="DIR", help="Play kept calls.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="OUT", help="Write JUnit XML.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--set", "sets", multiple=True, metavar="PATH=VALUE", help="Override one field.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Read NAME=VALUE lines first.")
def test(
    files: tuple[str, ...],
    pick: str,
    first: bool,
    jobs: int | None,
    repeat: int,
    engine: str,
    by: str | None,
    strict: bool,
    record: Path | None,
    replay: Path | None,
    junit: Path | None,
    form: str,
    sets: tuple[str, ...],
    env_file: Path | None,
) -> None:
    """Hold the conversations under `tests:` of each FILE, and those in NAME.test.yaml beside it.

    Each test is a call of its own with the engine on this machine, or the one that --engine
    names; typed turns take no time, spoken ones their own. A folder stands for its deployments.
    With --as twilio each call is a telephone call by a double of Twilio's side, with sound, at real
    time.
    Exit code 0 when all pass, 1 when one fails, 2 when there is nothing to play.
    """
    if record is not None and replay is not None:
        raise UsageError("--record and --replay exclude each other", "record first, then replay")
    if by and (record is not None or replay is not None):
        raise UsageError("--as goes neither with --record nor with --replay", "one of them alone")
    env = dict(os.environ)
    if env_file is not None:
        env |= read_env_file(env_file)
    options = Options(
        None if engine == "auto" else engine,
        jobs or os.cpu_count() or 1, repeat, first, strict, record, replay, env, by or "",
    )  # fmt: skip
    cases, broken = _collect(files, tuple(override(entry) for entry in sets), env)
    wanted = selector(pick)
    chosen = [case for case in cases if wanted(case.test.name)]
    if not chosen and not broken:
        what = f"none of the {len(cases)} tests has '{pick}' in its name" if cases else "no tests"
        hint = "" if cases else "a deployment has them under tests:, see docs/testing.md"
        raise UsageError(f"{', '.join(files)}: {what}", hint)
    printer: Printer = JsonPrinter() if form == "json" else TextPrinter()
    run = _Run(options, printer, junit)
    code = tasks.run(run.main(chosen)) if chosen else 0
    if code or broken:
        raise click.exceptions.Exit(code or broken)


def _collect(
    files: Sequence[str], sets: tuple[tuple[str, str], ...], env: dict[str, str]
) -> tuple[list[Case], int]:
    """All tests, and the exit code for files that have none because they are broken."""
    cases: list[Case] = []
    worst = 0
    for given in files:
        try:
            for file in deployments(given):
                cases += read_suite(file, env, sets)[1]
        except ConfigError as error:
            click.echo("\n".join(problem.render() for problem in error.problems), err=True)
            worst = max(worst, error.exit_code)
        except InputError as error:
            click.echo(f"rtrun: {error}", err=True)
            worst = max(worst, error.exit_code)
    return cases, worst


class _Run:
    def __init__(self, options: Options, printer: Printer, junit: Path | None) -> None:
        self._options = options
        self._printer = printer
        self._junit = junit
        self._engines = Engines(options.env, self._engine_says)
        self._started = False
        self._held: list[str] = []
        self._reports: list[Report] = []
        self._began = time.monotonic()
        self._stopped = ""

    async def main(self, cases: Sequence[Case]) -> int:
        """The exit code. Cancelled (Ctrl-C), it reports what there is."""
        total = len(cases) * self._options.repeat
        todo = iter([(c, n) for c in cases for n in range(1, self._options.repeat + 1)])
        workers = tasks.Supervisor(lambda name, error: None)  # its error is raised below
        with speaker() as voice:
            count = min(self._options.jobs, total)
            work = [workers.spawn(self._work(todo, voice), "tests") for _ in range(count)]
            try:
                await asyncio.gather(*work)
            except asyncio.CancelledError:
                self._stopped = "stopped"
                raise
            finally:
                await workers.close(3.0)
                await self._engines.close()
                if self._reports or self._stopped:
                    self._end(total)
        return 0 if all(report.passed for report in self._reports) else 1

    def _end(self, total: int) -> None:
        seconds = time.monotonic() - self._began
        played = f": {len(self._reports)} of {total} tests were played"
        stopped = self._stopped + played if self._stopped else ""
        self._printer.end(self._reports, seconds, stopped=stopped)
        if self._junit is not None:
            write_junit(self._junit, self._reports, seconds)

    async def _work(self, todo: Iterator[tuple[Case, int]], voice: Callable[[], Say]) -> None:
        for case, number in todo:
            if self._stopped:
                return
            report = await self._one(case, number, voice)
            if self._stopped:
                return  # -x: another one has failed meanwhile
            self._reports.append(report)
            self._printer.report(report)
            if self._options.first_failure and not report.passed:
                self._stopped = "stopped at the first failure"

    async def _one(self, case: Case, number: int, voice: Callable[[], Say]) -> Report:
        options = self._options
        if options.repeat > 1:
            name = f"{case.test.name} [{number}]"
            case = replace(case, test=replace(case.test, name=name))
        try:
            return await play(case, await self._stage(case, number, voice))
        except UsageError:  # --engine: the same for every test
            raise
        except RtrunError as error:  # no engine, or no record
            return refused(case, error)

    async def _stage(self, case: Case, number: int, voice: Callable[[], Say]) -> Stage:
        options = self._options
        judge = judge_of(case.suite.loaded.deployment, options.env)
        stage = Stage(Address(), voice, "", judge, options.strict, warn=self._warn)
        if options.replay is not None:
            log = await tasks.in_thread(read_log, log_file(options.replay, case, 1))
            return stage_of(log, stage)
        engine = await self._engine(case)
        stage = replace(stage, address=engine.address, why_no_voice=engine.note)
        if not engine.voice:
            stage = replace(stage, voice=None)
        if options.by:
            from runner.cli.rung import RungTest  # starlette and websockets come with it

            if stage.voice is None:
                raise UsageError(f"--as twilio needs a voice: {engine.note}")
            stage = replace(stage, telephone=RungTest)
        if options.record is not None:
            stage = replace(stage, record=log_file(options.record, case, number))
        return stage

    async def _engine(self, case: Case) -> Engine:
        deployment = case.suite.loaded.deployment
        spec = choose(deployment.engine, self._options.engine, self._options.env)
        engine = await self._engines.get(spec)
        # What its voice is like, or lacks, a report says where it matters.
        self._held = [text for text in self._held if text != engine.note]
        for text in self._held:
            self._warn(text)
        self._held.clear()
        self._started = True
        return engine

    def _engine_says(self, text: str) -> None:
        if self._started:
            self._warn(text)
        else:
            self._held.append(text)

    def _warn(self, text: str) -> None:
        print(f"rtrun: {text}", file=sys.stderr)


def log_file(folder: Path, case: Case, number: int) -> Path:
    """``FOLDER/DEPLOYMENT/NAME-OF-THE-TEST.jsonl``, for the ``number``-th time."""
    name = case.test.name.removesuffix(f" [{number}]")
    words = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:80]
    if words.replace("-", " ") != name.casefold():
        # Names that differ by a sign alone are two tests still.
        words = f"{words}-{zlib.crc32(name.encode()):08x}".lstrip("-")
    again = f"-{number}" if number > 1 else ""
    folder_name = re.sub(r"[^\w .-]", "_", case.suite.loaded.deployment.name)
    return folder / folder_name / f"{words}{again}.jsonl"
