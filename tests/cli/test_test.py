"""`rtrun test` and `rtrun replay` as a user and a CI service run them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command import environment, kill_engine, rtrun
from support.deployments import write
from support.engine import Serving, serving, speech_models

from runner.engine.brain import make_brain

HEAD = """\
agents:
  desk:
    instructions: |
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 to 5, Monday to Friday.
tests:
"""
GOOD = """\
  - name: says when it is open
    turns:
      - caller: When are you open?
        expect: { agent: 9 to 5 }
"""
BAD = """\
  - name: is open on Sunday
    turns:
      - caller: When are you open?
        expect: { agent: Sunday }
"""
SLOW = """\
  - name: waits for a minute
    turns:
      - silence: 60s
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(make_brain(), speech_models()) as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write(tmp_path, HEAD + GOOD + BAD, "shop.yaml")


def run(engine: Serving, *args: object) -> subprocess.CompletedProcess[str]:
    return rtrun("test", *map(str, args), "--engine", engine.url)


def test_on_an_engine_of_its_own(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + GOOD, "shop.yaml")
    done = rtrun("test", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      shop: says when it is open" in done.stdout
    assert "1 passed in" in done.stdout


def test_a_failure_has_its_place_and_the_call_around_it(engine: Serving, shop: Path) -> None:
    done = run(engine, shop)
    assert done.returncode == 1
    assert "FAILED  shop: is open on Sunday" in done.stdout
    place = f"{shop}:14:26: tests[1].turns[0].expect.agent: the agent was to say 'Sunday'"
    assert place in done.stdout
    assert "agent      We are open from 9 to 5, Monday to Friday." in done.stdout
    assert "1 passed, 1 failed in" in done.stdout


def test_some_of_them(engine: Serving, shop: Path) -> None:
    assert run(engine, shop, "-k", "not sunday").returncode == 0
    nothing = run(engine, shop, "-k", "monday")
    assert nothing.returncode == 2
    assert "none of the 2 tests has 'monday' in its name" in nothing.stderr


def test_the_first_failure_is_the_last(engine: Serving, tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + BAD + GOOD, "shop.yaml")
    done = run(engine, file, "-x", "-j", 1)
    assert done.returncode == 1
    assert "stopped at the first failure: 1 of 2 tests were played" in done.stdout
    assert "says when" not in done.stdout


def test_many_times(engine: Serving, shop: Path) -> None:
    done = run(engine, shop, "-k", "says", "--repeat", 3)
    assert "shop: says when it is open [3]" in done.stdout
    assert "3 passed in" in done.stdout


def test_for_programs(engine: Serving, shop: Path, tmp_path: Path) -> None:
    junit = tmp_path / "out" / "junit.xml"
    done = run(engine, shop, "--format", "json", "--junit", junit, "-j", 1)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["event"] for row in rows] == ["test", "test", "summary"]
    failed: dict[str, Any] = rows[1]
    assert (failed["name"], failed["outcome"], failed["line"]) == (
        "is open on Sunday", "failed", 11,
    )  # fmt: skip
    (failure,) = failed["failures"]
    assert (failure["line"], failure["column"]) == (14, 26)
    assert [entry["kind"] for entry in failed["entries"]] == ["caller", "agent"]
    assert (rows[2]["passed"], rows[2]["failed"], rows[2]["errors"]) == (1, 1, 0)
    suite = ET.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert "Sunday" in (suite.find(".//failure").get("message") or "")  # type: ignore[union-attr]


def test_a_folder_with_tests_beside_their_deployment(engine: Serving, tmp_path: Path) -> None:
    write(tmp_path, HEAD + GOOD, "shop.yaml")
    beside = write(tmp_path, "tests:\n" + BAD, "shop.test.yaml")
    done = run(engine, tmp_path)
    assert "1 passed, 1 failed in" in done.stdout
    assert f"{beside}:5:26: " in done.stdout
    alone = run(engine, beside)
    assert "0 passed, 1 failed in" in alone.stdout


def test_what_cannot_be_played(engine: Serving, tmp_path: Path) -> None:
    empty = write(tmp_path, HEAD.replace("tests:\n", ""), "empty.yaml")
    done = run(engine, empty)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a deployment has them under tests:" in done.stderr
    broken = write(tmp_path, HEAD + BAD.replace("agent:", "agnet:"), "broken.yaml")
    done = run(engine, broken)
    assert done.returncode == 1
    assert f"{broken}:10:19: tests[0].turns[0].expect.agnet: unknown key 'agnet'" in done.stderr
    assert run(engine, tmp_path / "nix.yaml").returncode == 2
    good = write(tmp_path, HEAD + GOOD, "good.yaml")
    both = run(engine, good, broken)
    assert (both.returncode, "1 passed" in both.stdout) == (1, True)
    assert run(engine, good, "-k", "(").returncode == 2
    keyless = rtrun("test", str(good), "--engine", "openai")
    assert (keyless.returncode, keyless.stdout) == (2, "")
    assert "OPENAI_API_KEY" in keyless.stderr
    assert run(engine, good, "--record", tmp_path, "--replay", tmp_path).returncode == 2


def test_a_call_is_kept_and_played_again(engine: Serving, shop: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    assert run(engine, shop, "-k", "says", "--record", kept).returncode == 0
    (log,) = kept.rglob("*.jsonl")
    assert log == kept / "shop" / "says-when-it-is-open.jsonl"
    # Nobody answers at this address: a replay needs no engine.
    nobody = ("--engine", "ws://127.0.0.1:9")
    again = rtrun("test", str(shop), "-k", "says", "--replay", str(kept), *nobody)
    assert again.returncode == 0, again.stdout
    shop.write_text(shop.read_text().replace("9 to 5, Monday", "9 to 6, Monday"))
    differs = rtrun("test", str(shop), "-k", "says", "--replay", str(kept))
    assert differs.returncode == 1
    assert "the session sends something else than in the record" in differs.stdout
    missing = rtrun("test", str(shop), "-k", "Sunday", "--replay", str(kept))
    assert missing.returncode == 1
    assert "not readable" in missing.stdout


def test_a_kept_call_is_compared_byte_for_byte(engine: Serving, shop: Path, tmp_path: Path) -> None:
    run(engine, shop, "-k", "says", "--record", tmp_path / "kept")
    done = rtrun("replay", str(tmp_path / "kept"))
    assert done.returncode == 0, done.stdout
    assert "says-when-it-is-open.jsonl: the same (" in done.stdout
    (log,) = (tmp_path / "kept").rglob("*.jsonl")
    lines = log.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if '"effect":"Send"' in line and i > 3)
    lines[at] = lines[at].replace('"effect":"Send"', '"effect":"Sent"', 1)
    log.write_text("\n".join(lines) + "\n")
    done = rtrun("replay", str(log))
    assert done.returncode == 1
    assert f"{log}:{at + 1}: differs at " in done.stdout
    assert 'then: {"effect":"Sent"' in done.stdout
    row = json.loads(rtrun("replay", str(log), "--format", "json").stdout)
    assert (row["same"], row["difference"]["line"]) == (False, at + 1)


def test_what_is_no_log(tmp_path: Path) -> None:
    done = rtrun("replay", str(write(tmp_path, "x\n", "x.jsonl")))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no JSON" in done.stderr
    assert rtrun("replay", str(tmp_path / "nix")).returncode == 2


def test_an_interrupt_reports_what_there_is(engine: Serving, tmp_path: Path) -> None:
    file = write(tmp_path, HEAD + GOOD + SLOW, "shop.yaml")
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "runner.cli.main", "test", str(file), "--engine", engine.url]
    process = subprocess.Popen(
        [*command, "--junit", str(junit), "-j", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ok")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "stopped: 1 of 2 tests were played" in out
    assert "Traceback" not in errors
    assert ET.parse(junit).getroot().get("tests") == "1"


def test_an_engine_that_dies_fails_the_tests_it_had(tmp_path: Path) -> None:
    slow = "  - name: long\n    timeout: 1s\n    turns: [{ silence: 2s }]\n"
    file = write(tmp_path, HEAD + GOOD + slow, "shop.yaml")
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "test", str(file), "-j", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ok")
    kill_engine(process.pid)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    # In the middle of its call, or before it was on the line.
    lost = "the line was lost, and did not come back within 1 s" in out
    assert lost or "cannot reach" in out or "the line closed" in out, out
    assert "engine: it ended with exit code -9" in errors
    assert "Traceback" not in errors
