"""Calls that were kept: tests play them again, and the core does what it did."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from support.deployments import write
from support.shop import HOURS, SHOP

from runner import RealtimeAgent, RealtimeSession, hosted_mcp_tool
from runner.desk import Address
from runner.engines import Engine
from runner.errors import InputError
from runner.testing import Report, ScriptedTransport, attach_recorder, run_test
from runner.testing import server as server_words
from runner.testing.conversation import play
from runner.testing.record import read_log, replay_log
from runner.testing.rerun import stage_of
from runner.testing.stage import Stage
from runner.testing.suite import read_suite

TURNS = [HOURS, {"caller": "What is the price of a brake repair?", "expect": {"agent": "30"}}]
STUBS = {"price": {"output": "A brake repair costs 30 dollars.", "delay": "50ms"}}


@pytest.fixture
def log(tmp_path: Path, engine: Engine) -> Path:
    text = f"{SHOP}tests:\n  - {json.dumps({'name': 'kept', 'turns': TURNS, 'stubs': STUBS})}\n"
    file, log = write(tmp_path, text, "kept.yaml"), tmp_path / "kept.jsonl"
    report = asyncio.run(run_test(file, "kept", engine=engine, env={}, record=log))
    assert report.passed, str(report)
    return log


def again(log: Path, text: str | None = None) -> Report:
    """The test once more, from its record, with another deployment or its own."""
    file = log.with_suffix(".yaml")
    if text is not None:
        file.write_text(text)
    case = read_suite(file, {})[1][0]
    stage = stage_of(read_log(log), Stage(Address()))

    async def scenario() -> Report:
        return await play(case, stage)

    return asyncio.run(scenario())


def test_a_record_plays_without_engine_and_tools(log: Path) -> None:
    """Not even its stubs are asked."""
    text = log.with_suffix(".yaml").read_text().replace("costs 30 dollars", "costs a fortune")
    report = again(log, text)
    assert report.passed, str(report)
    assert any(entry.text == "A brake repair costs 30 dollars." for entry in report.entries)


def test_an_agent_that_says_something_else_now(log: Path) -> None:
    text = log.with_suffix(".yaml").read_text().replace("from 9 to 5", "from 9 to 6")
    (failure,) = again(log, text).failures
    assert "the session sends something else than in the record (event 1)" in failure.message
    assert "9 to 5, Monday" in failure.message
    assert "9 to 6, Monday" in failure.message


def test_a_caller_who_says_something_else_now(log: Path) -> None:
    text = log.with_suffix(".yaml").read_text().replace("When are you open?", "Are you open?")
    (failure,) = again(log, text).failures
    assert "Are you open?" in failure.message


def test_turns_that_are_gone_are_missed(log: Path) -> None:
    file = log.with_suffix(".yaml")
    text = f"{SHOP}tests:\n  - {json.dumps({'name': 'kept', 'turns': TURNS[:1]})}\n"
    assert file.read_text() != text
    (failure,) = again(log, text).failures
    assert failure.message.endswith("now:  nothing")


def test_expectations_are_checked_in_a_replay(log: Path) -> None:
    text = log.with_suffix(".yaml").read_text().replace('9 to 5", "within', '9 to 7", "within')
    (failure,) = again(log, text).failures
    assert "was to say '9 to 7'" in failure.message


def test_a_recorded_call_does_the_same_again(log: Path) -> None:
    replayed = replay_log(read_log(log))
    assert replayed.difference is None
    assert replayed.calls > 20
    assert log.stat().st_mode & 0o777 == 0o600


def test_where_a_recorded_call_differs(log: Path) -> None:
    lines = log.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if "A brake repair costs 30 dollars." in line)
    lines[number] = lines[number].replace("costs 30", "costs 31", 1)
    log.write_text("\n".join(lines) + "\n")
    difference = replay_log(read_log(log)).difference
    assert difference is not None
    assert difference.line == number + 1
    assert difference.then != difference.now


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no recorded call"),
        ("{}\n", "no recorded call"),
        ("no json\n", "no JSON"),
        ("[1]\n", "no JSON object"),
        ('{"rtrun_log": 1, "conversation": {}}\n', "this call cannot be begun"),
    ],
)
def test_what_is_no_log_says_why(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=why):
        read_log(write(tmp_path, text, "log.jsonl"))


def test_any_session_can_be_recorded(tmp_path: Path) -> None:
    log = tmp_path / "call.jsonl"

    async def caller(line: ScriptedTransport) -> None:
        session = RealtimeSession(RealtimeAgent("desk", "You answer."), transport=line)
        attach_recorder(session, log, {"why": "a test"})
        await session.connect()
        session.send_message("Hello")
        over = asyncio.Event()
        session.on("turn_end", lambda event: over.set())
        await over.wait()
        await session.close()

    async def service(line: ScriptedTransport) -> None:
        await line.accept()
        await line.expect_event("conversation.item.create")
        asked = await line.expect_event("response.create")
        line.emit(*server_words.written("Hello to you.", to=asked))

    async def scenario() -> None:
        await ScriptedTransport().run_scenario(caller, service)

    asyncio.run(scenario())
    recorded = read_log(log)
    assert recorded.about["why"] == "a test"
    assert replay_log(recorded).difference is None
    assert "Hello to you." in log.read_text()


def test_keys_of_hosted_servers_are_in_no_log(tmp_path: Path) -> None:
    log = tmp_path / "call.jsonl"
    wiki = hosted_mcp_tool(
        "wiki", server_url="https://x.example", authorization="k-1", headers={"X": "k-2"}
    )

    async def caller(line: ScriptedTransport) -> None:
        session = RealtimeSession(RealtimeAgent("desk", "Hi.", tools=[wiki]), transport=line)
        attach_recorder(session, log)
        await session.connect()
        await session.close()

    async def scenario() -> None:
        await ScriptedTransport().run_scenario(caller, lambda line: line.accept())

    asyncio.run(scenario())
    assert "k-1" not in log.read_text()
    assert "k-2" not in log.read_text()
    assert replay_log(read_log(log)).difference is None
