"""Whole conversations with a deployment, on the engine that a user has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.deployments import ROOT, write
from support.refusing import refusing_server
from support.shop import HOURS, SHOP, hold, words

from runner.desk import Address
from runner.engines import Engine
from runner.errors import ConfigError, UsageError
from runner.testing import Report, run_test
from runner.testing.suite import read_suite


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write(tmp_path, SHOP, "shop.yaml")


def test_what_is_said_is_heard(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {"silence": "10ms", "expect": {"agent": "how can I help"}}, HOURS)
    assert report.passed, str(report)
    assert [entry.kind for entry in report.entries] == ["agent", "silence", "caller", "agent"]


def test_what_is_not_said_fails_where_it_was_expected(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {"caller": "When are you open?", "expect": {"agent": "Sunday"}})
    assert report.outcome == "failed"
    assert words(report) == [
        "the agent was to say 'Sunday'; there came: We are open from 9 to 5, Monday to Friday."
    ]
    assert report.failures[0].path == "tests[0].turns[0].expect.agent"


def test_a_test_ends_with_the_first_turn_that_fails(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {**HOURS, "expect": {"agent": "nix"}}, HOURS)
    assert len([entry for entry in report.entries if entry.kind == "caller"]) == 1


def test_a_stub_answers_for_a_tool(shop: Path, engine: Engine) -> None:
    turn = {
        "caller": "What is the price of a brake repair?",
        "expect": [{"tool": "price", "arguments": {"repair": "BR*"}}, {"agent": "30 dollars"}],
    }
    stubs = {"price": {"output": "A brake repair costs 30 dollars.", "delay": "20ms"}}
    report = hold(shop, engine, turn, stubs=stubs)
    assert report.passed, str(report)


def test_a_stub_that_fails_is_a_tool_that_fails(shop: Path, engine: Engine) -> None:
    turn = {"caller": "What is the price of a brake repair?", "expect": {"agent": "sorry"}}
    report = hold(shop, engine, turn, stubs={"price": {"error": "the book is closed"}})
    assert report.passed, str(report)
    output = next(entry for entry in report.entries if entry.kind == "output")
    assert "the book is closed" in output.text


def test_a_tool_that_hangs_is_named_when_the_time_is_over(shop: Path, engine: Engine) -> None:
    turn = {"caller": "What is the price of a brake repair?", "expect": {"agent": "dollars"}}
    report = hold(shop, engine, turn, timeout="500ms")
    assert "the turn was not over within 0.5 s: price is still at work" in words(report)
    assert report.seconds < 10


def test_an_edit_is_in_the_running_call(shop: Path, engine: Engine) -> None:
    edit = {"edit": {"agents.desk.instructions": "We are open from 10 to 6."}}
    after = {"caller": "When are you open?", "expect": {"agent": "10 to 6", "not": "9 to 5"}}
    report = hold(shop, engine, HOURS, edit, after)
    assert report.passed, str(report)
    texts = [entry.text for entry in report.entries if entry.kind == "edit"]
    assert texts == ["agents.desk.instructions from the next answer"]


def test_edits_stand_on_each_other(shop: Path, engine: Engine) -> None:
    first = {"edit": {"agents.desk.instructions": "We are open from 10 to 6."}}
    second = {"edit": {"agents.desk.tools": []}}
    report = hold(shop, engine, first, second, {**HOURS, "expect": {"agent": "10 to 6"}})
    assert report.passed, str(report)


def test_an_edit_that_is_invalid_fails_where_it_stands(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {"edit": {"agents.desk.tools": ["nix"]}})
    assert words(report) == ["no tool is called 'nix'"]
    assert report.failures[0].path == "tests[0].turns[0].edit.agents.desk.tools"


def test_an_edit_that_has_to_be_rejected(shop: Path, engine: Engine) -> None:
    wrong = {"edit": {"agents.desk.tools": ["nix"]}, "rejected": True}
    report = hold(shop, engine, wrong, HOURS)
    assert report.passed, str(report)
    right = {"edit": {"agents.desk.tools": []}, "rejected": True}
    report = hold(shop, engine, right)
    assert words(report) == ["the edit was to be rejected, and was not"]


def test_an_edit_of_nothing_is_a_mistake(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {"edit": {"agents.desk.greeting": "Spokes, how can I help?"}})
    assert words(report) == ["this edit changes nothing"]


def test_who_calls_is_told_to_the_agent(tmp_path: Path, engine: Engine) -> None:
    text = SHOP.replace("Spokes, how can I help?", "Hello, ${call.from}.")
    turn = {"silence": "10ms", "expect": {"agent": "Hello, Ada."}}
    assert hold(write(tmp_path, text), engine, turn, **{"from": "Ada"}).passed


def test_the_call_ends(shop: Path, engine: Engine) -> None:
    bye = {"caller": "Thank you, goodbye.", "expect": {"tool": "end_call", "ends": "end"}}
    report = hold(shop, engine, bye, HOURS)
    assert words(report)[-1].startswith("the call had ended: ")
    assert report.failures[-1].path == "tests[0].turns[1]"
    assert hold(shop, engine, bye).passed


def test_a_call_that_does_not_end(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {**HOURS, "expect": {"ends": "x"}}, timeout="300ms")
    assert words(report) == ["the call was to end with 'x': it did not come"]


def test_a_question_without_a_judge_is_not_looked_at(shop: Path, engine: Engine) -> None:
    report = hold(shop, engine, {**HOURS, "expect": {"judge": "Is it polite?"}})
    assert report.passed
    assert "there is no judge" in report.skipped[0].message


def test_an_operator_says_yes_or_no(tmp_path: Path, engine: Engine) -> None:
    text = SHOP.replace("    timeout: 30s", "    approval: operator")
    file = write(tmp_path, text)
    stubs = {"price": {"output": "A brake repair costs 30 dollars."}}
    turn = {"caller": "What is the price of a brake repair?", "expect": {"agent": "30 dollars"}}
    assert hold(file, engine, turn, stubs=stubs).passed
    refused = hold(file, engine, turn, stubs=stubs, operator="reject")
    assert not refused.passed
    output = next(entry for entry in refused.entries if entry.kind == "output")
    assert "30 dollars" not in output.text


def test_a_spoken_turn_is_heard_on_a_telephone_line(shop: Path, engine: Engine) -> None:
    """Noise, the band of a telephone, and a caller who cuts the answer off."""
    report = hold(
        shop,
        engine,
        {
            "caller": {
                "say": "Please tell me your opening hours.",
                "noise": 30,
                "band": "telephone",
            },
            "expect": {"agent": "9 to 5", "within": "5s"},
        },
        {
            "caller": "How much is a new tyre?",
            "interrupt_after": "300ms",
            "expect": {"agent": "12 dollars"},
        },
    )
    assert report.passed, str(report)
    assert [entry.kind for entry in report.entries] == [
        "agent", "caller", "agent", "cut", "caller", "agent",
    ]  # fmt: skip


def test_a_wav_that_is_none(tmp_path: Path, engine: Engine) -> None:
    write(tmp_path, "no sound", "caller.wav")
    file = write(tmp_path, SHOP)
    report = hold(file, engine, {"caller": {"wav": "caller.wav"}})
    assert "is not a WAV file" in words(report)[0]
    assert report.failures[0].path == "tests[0].turns[0].caller.wav"


def test_an_engine_without_ears_plays_typed_tests(shop: Path, engine: Engine) -> None:
    deaf = Engine("local", engine.address, voice=False, note="no models are installed")
    assert hold(shop, deaf, HOURS).passed
    report = hold(shop, deaf, {"caller": {"say": "Hello"}})
    assert report.outcome == "error"
    assert "no models are installed" in words(report)[0]


def test_no_engine_is_an_error_and_no_traceback(shop: Path) -> None:
    nobody = Engine("local", Address(url="ws://127.0.0.1:9/v1/realtime", api_key="x"))
    report = hold(shop, nobody, HOURS)
    assert report.outcome == "error"
    assert "connection refused" in words(report)[0]


def test_tests_have_names(shop: Path, engine: Engine) -> None:
    with pytest.raises(UsageError, match="no test is called 'nix'"):
        asyncio.run(run_test(shop, "nix", engine=engine, env={}))
    with pytest.raises(ConfigError, match="unknown key 'turn'"):
        asyncio.run(run_test(shop, {"name": "x", "turn": []}, engine=engine, env={}))


@pytest.mark.parametrize(
    "name",
    [case.test.name for case in read_suite(ROOT / "agents.d" / "receptionist.yaml", {})[1]],
)
def test_the_receptionist_passes_its_own_tests(name: str, engine: Engine) -> None:
    file = ROOT / "agents.d" / "receptionist.yaml"
    report = asyncio.run(run_test(file, name, engine=engine, env={}))
    assert report.passed, str(report)


def test_an_edit_that_the_server_refuses(tmp_path: Path) -> None:
    """It fails where it stands, and the call goes on as it was."""
    text = SHOP.replace("    greeting: Spokes, how can I help?\n", "")
    file = write(tmp_path, text, "shop.yaml")
    edit: dict[str, Any] = {"edit": {"agents.desk.instructions": "poison"}}

    async def scenario(**more: Any) -> Report:
        async with refusing_server(frozenset({0})) as server:
            engine = Engine("other", Address(server.url, "key"))
            about = {"name": "poison", "turns": [{**edit, **more}, {"silence": "10ms"}]}
            return await run_test(file, about, engine=engine, env={})

    report = asyncio.run(scenario())
    assert report.outcome == "failed"
    assert "refused it" in words(report)[0]
    assert report.failures[0].path == "tests[0].turns[0].edit.agents.desk.instructions"
    report = asyncio.run(scenario(rejected=True))
    assert report.passed, str(report)
