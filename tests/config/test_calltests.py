"""The tests of a deployment: what is wrong with them stands where it is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deployments import FULL, loaded, only, problems, told, write

from runner.config.load import load
from runner.config.testbuild import call_tests
from runner.config.testfile import read_tests
from runner.errors import ConfigError
from runner.model.calltest import Expect

pytestmark = pytest.mark.quick

HEAD = """\
agents:
  desk: { instructions: You are the desk., tools: [find] }
  bills: { instructions: You speak of bills. }
tools:
  find: { command: [echo, x], description: Find something. }
  wiki: { hosted_mcp: { server_label: w, server_url: "https://x.example" } }
tests:
  - name: one
    turns:
"""
CLOSED = HEAD.replace(
    '  wiki: { hosted_mcp: { server_label: w, server_url: "https://x.example" } }\n', ""
)


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ("¦{ expect: { agent: x } }", "has one of caller, silence, edit"),
        ("{ caller: x, ¦silence: 5s }", "a turn has only one of caller, silence, edit"),
        ("{ edit: { ¦agents.desk.instrs: x } }", "a deployment has no field agents.desk.instrs"),
        ("{ edit: { ¦agents..desk: x } }", "this is no path"),
        ("{ edit: { ¦tests: [] } }", "a test edits no tests"),
        ("{ silence: 5s, ¦rejected: true }", "only an edit can be rejected"),
        ("{ silence: 5s, ¦interrupt_after: 1s }", "only a caller can interrupt"),
        ("{ silence: ¦0s }", "a duration must be longer than nothing"),
        ("{ silence: ¦2h }", "a test waits no longer than an hour"),
        ("{ caller: { text: x, say: y } }", "a caller has only one of text, say, wav"),
        ("{ caller: { text: x, ¦noise: 3 } }", "'noise' does not go with text"),
        ("{ caller: { wav: ¦nix.wav } }", "no file nix.wav"),
        ("{ caller: x, expect: { tool: ¦fnid } }", "no tool is called 'fnid'"),
        ("{ caller: x, expect: { handoff: ¦bill } }", "no agent is called 'bill'"),
        ("{ caller: x, expect: { guardrail: ¦g } }", "no guardrail is called 'g'"),
        ("{ caller: x, expect: { ¦arguments: { a: 1 } } }", "arguments belong to a tool"),
        ("{ caller: x, expect: { agent: { regex: ¦'(' } } }", "this is no regular expression"),
    ],
)
def test_a_turn_that_is_wrong(turn: str, message: str, tmp_path: Path) -> None:
    head, mark, tail = turn.partition("¦")
    found = problems(tmp_path, f"{CLOSED}      - {head}{tail}\n")
    problem = only(found)
    assert message in problem.message
    if mark:
        assert (problem.line, problem.column) == (CLOSED.count("\n") + 1, 9 + len(head))


def test_tools_of_servers_have_names_that_nobody_knows_here(tmp_path: Path) -> None:
    turn = "      - { caller: x, expect: { tool: ask_question } }\n"
    assert problems(tmp_path, HEAD + turn) == ()


def test_a_stub_is_of_a_tool_that_runs_here(tmp_path: Path) -> None:
    turn = "      - { caller: x }\n"
    told(
        tmp_path,
        f"{HEAD}{turn}    stubs: {{ ¦wiki: {{ output: x }} }}\n",
        "tests[0].stubs.wiki: 'wiki' is called by the service itself: it has no stub",
    )
    told(
        tmp_path,
        f"{CLOSED}{turn}    stubs: {{ ¦fnid: {{ output: x }} }}\n",
        "tests[0].stubs.fnid: no tool is called 'fnid' (did you mean find?)",
    )
    told(
        tmp_path,
        f"{CLOSED}{turn}    stubs: {{ find: {{ output: x, ¦error: y }} }}\n",
        "tests[0].stubs.find.error: a tool gives an output or an error, not both",
    )


def test_two_tests_have_two_names(tmp_path: Path) -> None:
    text = f"{CLOSED}      - {{ caller: x }}\n  - name: ¦one\n    turns: [{{ caller: x }}]\n"
    told(
        tmp_path,
        text,
        "tests[1].name: a test is called 'one' already, in line 7 (the report tells them apart "
        "by their names)",
    )


def test_all_that_a_test_may_say_is_built() -> None:
    found = load(FULL, env={})
    test = only(call_tests(found.deployment.document, found.tree))
    assert (test.operator, test.caller, test.sounds) == ("reject", "+1555", True)
    assert test.stubs["find_slots"].output == {"slots": ["09:00"]}
    assert test.stubs["find_slots"].delay == 0.05
    first, spoken, wav, typed, silence, edit = test.turns
    assert (first.timeout, spoken.timeout) == (10.0, 30.0)
    assert [e.kind for e in first.expects] == ["tool", "agent", "not", "within"]
    assert first.expects[0].arguments == {"day": "2026-*"}
    assert first.expects[2].regex
    assert (spoken.noise, spoken.telephone, spoken.interrupt_after) == (10.0, True, 0.8)
    assert Path(wav.wav) == FULL.parent / "prompts" / "hello.wav"
    assert typed.text == "Bye."
    assert silence.silence == 5.0
    assert edit.edit == {"agents.desk.voice": "cedar"}
    assert edit.rejected


def test_an_edit_stays_as_written_until_it_is_made(tmp_path: Path) -> None:
    text = HEAD + "      - { edit: { agents.desk.instructions: 'I am ${vars.who}' } }\n"
    found = loaded(tmp_path, text + "vars: { who: Ada }\n")
    test = only(call_tests(found.deployment.document, found.tree))
    assert test.turns[0].edit == {"agents.desk.instructions": "I am ${vars.who}"}


def test_tests_stand_beside_a_deployment_too(tmp_path: Path) -> None:
    deployment = loaded(tmp_path, HEAD + "      - { caller: x }\n")
    beside = write(
        tmp_path,
        "vars: { word: hello }\n"
        "tests:\n  - name: two\n    turns:\n"
        "      - { caller: '${vars.word}', expect: { tool: find } }\n",
        "d.test.yaml",
    )
    tests, _ = read_tests(beside, deployment, {})
    assert only(tests).turns[0].text == "hello"
    assert only(tests).turns[0].expects == (
        Expect("tool", ("tests", 0, "turns", 0, "expect", "tool"), "find"),
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("tests:\n  - { name: a, turns: [{ caller: x, expect: { handoff: nix } }] }\n", 2, "nix"),
        ("agents: {}\ntests: []\n", 1, "unknown key 'agents'"),
        ("vars: {}\n", 1, "tests"),
    ],
)
def test_a_file_of_tests_says_where_it_is_wrong(
    text: str, line: int, message: str, tmp_path: Path
) -> None:
    deployment = loaded(tmp_path, HEAD + "      - { caller: x }\n")
    with pytest.raises(ConfigError) as caught:
        read_tests(write(tmp_path, text, "d.test.yaml"), deployment, {})
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == (str(tmp_path / "d.test.yaml"), line)
    assert message in problem.message
