"""`rtrun validate`: what it takes, and what each format says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.command import invoke
from support.deployments import SMALL, write

from runner.cli.formats import _data, _property
from runner.cli.sarif import uri

pytestmark = pytest.mark.quick
BAD = "modle: x\n" + SMALL + "  lost: { instructions: x }\n"
TOOL = "    tools: [f]\ntools:\n  f: { python: 't.py:g' }\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_text_and_code_in_one_run(tmp_path: Path) -> None:
    write(tmp_path, "print('noise')\ndef f() -> int: ...\n", "t.py")
    write(tmp_path, "modle: x\n" + SMALL + TOOL)
    code, out, err = invoke("validate", "d.yaml")
    assert code == 1
    assert out.count("[RT") == 2
    assert "unknown key 'modle'" in out
    assert "t.py has no function 'g' (it has f) [RT301]" in out
    assert (err, "noise" in out) == ("noise\n", False)


def test_code_of_an_entry_that_is_wrong_itself_is_not_imported(tmp_path: Path) -> None:
    write(tmp_path, "print('noise')\n", "t.py")
    write(tmp_path, SMALL + TOOL.replace("'t.py:g' ", "'t.py:g', timeuot: 1s "))
    code, out, err = invoke("validate", "d.yaml")
    assert (code, out.count("[RT"), err) == (1, 1, "")


def test_a_broken_guardrail_beside_a_typo(tmp_path: Path) -> None:
    write(tmp_path, "", "t.py")
    write(tmp_path, "modle: x\nguardrails: [{ name: a, python: 't.py:g' }]\n" + SMALL)
    assert "[RT308]" in invoke("validate", "d.yaml")[1]


def test_json(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    code, out, _ = invoke("validate", "d.yaml", "none.yaml", "--format", "json")
    found = json.loads(out)
    assert code == 2
    assert (found["valid"], found["errors"], found["warnings"]) == (False, 1, 1)
    first, second = found["files"]
    assert first["problems"][0] == {
        "level": "error",
        "code": "RT101",
        "title": "an unknown key",
        "file": "d.yaml",
        "line": 1,
        "column": 1,
        "path": "modle",
        "message": "unknown key 'modle'",
        "hint": "did you mean model?",
        "source": "modle: x",
    }
    assert second == {
        "file": "none.yaml",
        "valid": False,
        "problems": [],
        "failure": "none.yaml: no such file",
    }


def test_github(tmp_path: Path) -> None:
    write(tmp_path, BAD, "a,b.yaml")
    code, out, _ = invoke("validate", "a,b.yaml", "--format", "github")
    assert code == 1
    assert out.splitlines() == [
        "::error file=a%2Cb.yaml,line=1,col=1,title=RT101 an unknown key"
        "::modle: unknown key 'modle' (did you mean model?)",
        "::warning file=a%2Cb.yaml,line=5,col=3,title=RT901 an agent that nobody reaches"
        "::agents.lost: no handoff leads to this agent",
        "1 error and 1 warning in 1 file",
    ]
    assert _property("50%, a:b\r\n") == "50%25%2C a%3Ab%0D%0A"
    assert _data("50%, a:b\n") == "50%25, a:b%0A"


def test_github_shows_ten_and_the_log_all(tmp_path: Path) -> None:
    write(tmp_path, "".join(f"k{i}: 1\n" for i in range(12)) + SMALL)
    out = invoke("validate", "d.yaml", "--format", "github")[1]
    assert out.count("::error ") == 12
    assert out.endswith(
        "12 errors and 0 warnings in 1 file; GitHub shows 10 of each, all stand in this log\n"
    )


def test_sarif(tmp_path: Path) -> None:
    write(tmp_path, BAD, "agents d/ü.yaml")
    code, out, _ = invoke("validate", "agents d", "none.yaml", "--format", "sarif")
    whole = json.loads(out)
    assert (code, whole["version"]) == (2, "2.1.0")
    assert whole["$schema"].endswith("sarif-2.1.0.json")
    (run,) = whole["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["RT101", "RT901"]
    assert all(rule["fullDescription"]["text"] and rule["help"]["markdown"] for rule in rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning")
        assert result["message"]["text"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "agents%20d/%C3%BC.yaml"
    assert place["region"] == {
        "startLine": 1,
        "startColumn": 1,
        "snippet": {"text": "modle: x"},
    }
    (how,) = run["invocations"]
    assert not how["executionSuccessful"]
    assert how["toolExecutionNotifications"][0]["message"]["text"] == "none.yaml: no such file"


def test_what_set_brought_belongs_to_the_deployment(tmp_path: Path) -> None:
    write(tmp_path, SMALL)
    given = ("validate", "d.yaml", "--set", "modle=x", "--format")
    assert invoke(*given, "github")[1].startswith("::error file=d.yaml,title=RT101")
    (result,) = json.loads(invoke(*given, "sarif")[1])["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "d.yaml"}}


def test_a_name_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    assert invoke("validate", "-", "-", stdin=SMALL) == (0, "<stdin>: ok (1 agent)\n", "")


def test_a_file_elsewhere_has_a_whole_uri(tmp_path: Path) -> None:
    assert uri(str(tmp_path.parent / "x.yaml")).startswith("file:///")


def test_junit(tmp_path: Path) -> None:
    write(tmp_path, BAD)
    write(tmp_path, SMALL, "good.yaml")
    code, out, _ = invoke("validate", "d.yaml", "good.yaml", "none.yaml", "--format", "junit")
    root = ElementTree.fromstring(out)
    assert code == 2
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "1", "1")
    bad, good, none = root.iter("testcase")
    failure, error = bad.find("failure"), none.find("error")
    assert failure is not None
    assert error is not None
    assert failure.get("type") == "RT101"
    assert "d.yaml:1:1: modle" in (failure.text or "")
    assert (good.get("name"), len(good)) == ("good.yaml", 0)


def test_odd_signs_are_xml_too(tmp_path: Path) -> None:
    write(tmp_path, '"a\\u0001<&>": 1\n' + SMALL)
    root = ElementTree.fromstring(invoke("validate", "d.yaml", "--format", "junit")[1])
    assert root.find(".//failure") is not None


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
def test_strict(tmp_path: Path, form: str) -> None:
    write(tmp_path, BAD.replace("modle: x\n", ""))
    assert invoke("validate", "d.yaml", "--format", form)[0] == 0
    code, out, _ = invoke("validate", "d.yaml", "--format", form, "--strict")
    assert code == 1
    checks: dict[str, Callable[[str], Any]] = {
        "json": lambda text: not json.loads(text)["valid"],
        "junit": lambda text: "<failure" in text,
    }
    assert checks.get(form, bool)(out)


def test_standard_input(tmp_path: Path) -> None:
    write(tmp_path, "Hello.", "agents.d/p.md")
    text = "agents: { desk: { instructions: { file: p.md } } }\n"
    code, out, _ = invoke("validate", "-", stdin=text)
    assert (code, out.startswith("<stdin>:1:41: agents.desk.instructions.file: no file")) == (
        1,
        True,
    )
    given = ("validate", "-", "--stdin-name", "agents.d/new.yaml")
    assert invoke(*given, stdin=text) == (0, "agents.d/new.yaml: ok (1 agent)\n", "")
    assert invoke("validate", "d.yaml", "--stdin-name", "x")[0] == 2


def test_patterns_and_doubles(tmp_path: Path) -> None:
    for name in ("a.yaml", "b/c.yaml", "b/d/e.yml", "b/_f.yaml", "b/c.test.yaml", "b/x.txt"):
        write(tmp_path, SMALL, name)
    out = invoke("validate", "**/*.y*ml", "a.yaml")[1]
    assert [line.split(":")[0] for line in out.splitlines()] == ["a.yaml", "b/c.yaml", "b/d/e.yml"]
    assert invoke("validate", "q/*.yaml") == (
        2,
        "",
        "rtrun: q/*.yaml: no .yaml file fits this pattern\n",
    )
    write(tmp_path, SMALL, "odd[1].yaml")
    assert invoke("validate", "odd[1].yaml")[0] == 0


def test_a_base_is_checked_through_what_extends_it(tmp_path: Path) -> None:
    write(tmp_path, "modle: x\n", "_base.yaml")
    write(tmp_path, "extends: _base.yaml\n" + SMALL, "a.yaml")
    write(tmp_path, "extends: ../_base.yaml\n" + SMALL, "deep/b.yaml")
    write(tmp_path, "bad: 1\n" + SMALL, "other.yaml")
    code, out, _ = invoke("validate", "_base.yaml")
    assert code == 1
    assert out.count("_base.yaml:1:1: modle: unknown key 'modle'") == 2
    assert "other" not in out
    assert invoke("validate", "_base.yaml", "--format", "github")[1].count("::error ") == 1
    write(tmp_path, "timezone: none\n", "_alone.yaml")
    code, out, _ = invoke("validate", "_alone.yaml")
    assert (code, "was not checked" in out) == (0, True)


def test_tests_are_checked_with_their_deployment(tmp_path: Path) -> None:
    write(tmp_path, SMALL, "a.yaml")
    good = "tests: [{ name: x, turns: [{ caller: Hello., expect: { says: hi } }] }]\n"
    good = good.replace("says: hi", "agent: hi")
    write(tmp_path, good, "a.test.yaml")
    assert invoke("validate", "a.test.yaml") == (0, "a.test.yaml: ok (1 test)\n", "")
    write(tmp_path, good.replace("agent: hi", "tool: none_such"), "a.test.yaml")
    code, out, _ = invoke("validate", "a.test.yaml")
    assert (code, "[RT202]" in out) == (1, True)
    write(tmp_path, good, "b.test.yaml")
    assert invoke("validate", "b.test.yaml")[0] == 2


def test_environment(tmp_path: Path) -> None:
    write(tmp_path, "agents: { desk: { instructions: 'At ${RTRUN_HERE}' } }\n")
    write(tmp_path, "RTRUN_HERE=home\n", ".env")
    assert "[RT502]" in invoke("validate", "d.yaml")[1]
    assert invoke("validate", "d.yaml", "--no-env")[0] == 0
    assert invoke("validate", "d.yaml", "--env-file", ".env")[0] == 0
