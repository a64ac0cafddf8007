"""`rtrun diff A B`: what is printed for a person, as JSON, and the exit code."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import environment, invoke
from support.deployments import EXAMPLES, write

pytestmark = pytest.mark.quick

OLD = """\
agents:
  desk:
    instructions: |
      You are the front desk.
      We are open from 9 to 5.
      A flat tyre costs 12 dollars.
    tools: [find, end_call]
tools:
  find: { command: [cat], description: Finds., parameters: { type: object }, timeout: 4s }
"""


def pair(tmp_path: Path, *edits: tuple[str, str], old: str = OLD) -> tuple[Path, Path]:
    new = old
    for was, now in edits:
        assert was in new
        new = new.replace(was, now)
    return write(tmp_path, old, "a.yaml"), write(tmp_path, new, "b.yaml")


def test_each_change_stands_under_the_moment_in_which_it_acts(tmp_path: Path) -> None:
    a, b = pair(
        tmp_path,
        ("from 9 to 5", "from 10 to 6"),
        ("[find, end_call]", "[end_call]"),
        ("timeout: 4s", "timeout: 90s"),
        ("agents:", "model: gpt-realtime-2\nagents:"),
        ("tools:\n  find", "engine: local\ntools:\n  find"),
    )
    code, out, err = invoke("diff", a, b)
    assert (code, err) == (0, "")
    assert (
        out
        == f"""\
5 changes from {a} to {b}

now:
  tools.find.timeout: 4s → 1m30s

from the next answer:
  agents.desk.instructions
      You are the front desk.
    - We are open from 9 to 5.
    + We are open from 10 to 6.
      A flat tyre costs 12 dollars.
  agents.desk.tools
    - find

for new calls:
  model: gpt-realtime-2.1 → gpt-realtime-2

needs a restart:
  engine: auto → local

note: agents.desk.instructions, agents.desk.tools head the prompt: what the server has cached of \
a call with such an agent is lost, and its next answer reads everything at full price ($4.00 \
instead of $0.40 per million tokens of text, $32.00 instead of $0.40 of audio).
"""
    )


def test_without_a_change(tmp_path: Path) -> None:
    a, b = pair(tmp_path, ("agents:", "# a comment\nagents:"))
    assert invoke("diff", a, b, "--exit-code") == (0, f"{a} and {b}: no change that acts\n", "")


def test_exit_codes(tmp_path: Path) -> None:
    a, b = pair(tmp_path, ("4s", "5s"))
    assert invoke("diff", a, b)[0] == 0
    assert invoke("diff", a, b, "--exit-code")[0] == 1
    assert invoke("diff", a, tmp_path / "none.yaml")[0] == 2
    assert invoke("diff", a)[0] == 2
    bad = write(tmp_path, OLD.replace("instructions", "instrctions"), "bad.yaml")
    code, out, err = invoke("diff", a, bad, "--exit-code")
    assert (code, err) == (1, "")
    assert out.startswith(f"{bad}:3:5: agents.desk.instrctions: unknown key")
    code, out, _ = invoke("diff", bad, bad, "--format", "json")
    assert [row["line"] for row in json.loads(out)["errors"]] == [3]


def test_as_json(tmp_path: Path) -> None:
    a, b = pair(tmp_path, ("4s", "5s"), ("12 dollars", "15 dollars"))
    code, out, _ = invoke("diff", a, b, "--format", "json")
    report = json.loads(out)
    assert code == 0
    assert (report["old"], report["new"]) == (str(a), str(b))
    prompt, timeout = sorted(report["changes"], key=lambda row: row["path"])
    assert timeout == {
        "path": "tools.find.timeout",
        "class": "live",
        "words": "now",
        "old": 4.0,
        "new": 5.0,
        "resends": False,
    }
    assert (prompt["class"], prompt["resends"]) == ("next", True)
    assert prompt["new"].endswith("A flat tyre costs 15 dollars.\n")
    assert len(report["notes"]) == 1


def test_a_renamed_agent_goes_and_comes(tmp_path: Path) -> None:
    a, b = pair(tmp_path, ("  desk:", "  front:"))
    out = invoke("diff", a, b)[1]
    assert "agents.front comes\n    + instructions: You are the front desk." in out
    assert "agents.desk goes\n    - instructions: " in out
    assert "note: is agents.front the old agents.desk renamed?" in out


def test_secrets_and_escape_sequences_are_not_shown(tmp_path: Path) -> None:
    old = OLD + 'engine: { url: "https://x.example", api_key: "${KEY}" }\n'
    a, b = pair(tmp_path, old=old)
    b.write_text(old.replace('"${KEY}"', '"k-${KEY}"').replace("x.example", "y.example"))
    key = write(tmp_path, "KEY=hush-hush\n", "env")
    code, out, _ = invoke("diff", a, b, "--env-file", key)
    assert code == 0
    assert "hush" not in out
    assert "engine.api_key: another secret" in out
    assert "engine.url: https://x.example → https://y.example" in out
    a.write_text(OLD)
    b.write_text(OLD.replace("timeout: 4s", 'while_waiting: "\\e[31mred"'))
    assert "\x1b" not in invoke("diff", a, b)[1]


def test_set_and_no_env(tmp_path: Path) -> None:
    old = OLD + 'limits: { duration: "${LONGEST}" }\n'
    a, b = pair(tmp_path, ("4s", "5s"), old=old)
    assert invoke("diff", a, b)[0] == 1
    code, out, _ = invoke("diff", a, b, "--no-env")
    assert (code, out.count("→")) == (0, 1)
    assert "no change" in invoke("diff", a, b, "--no-env", "--set", "tools.find.timeout=1s")[1]
    assert invoke("diff", a, b, "--set", "model")[0] == 2


def test_maps_show_the_fields_that_differ(tmp_path: Path) -> None:
    detection = "session:\n  audio:\n    input:\n      turn_detection: { type: %s }\n"
    a = write(tmp_path, OLD + detection % "semantic_vad, eagerness: low", "a.yaml")
    b = write(tmp_path, OLD + detection % "server_vad, threshold: 0.7", "b.yaml")
    out = invoke("diff", a, b)[1]
    assert (
        """\
  session.audio.input.turn_detection
    type: semantic_vad → server_vad
    eagerness: low → none
    threshold: none → 0.7
"""
        in out
    )


def test_code_behind_a_tool_is_a_change(tmp_path: Path) -> None:
    text = OLD.partition("tools:\n  find")[0] + 'tools:\n  find: { python: "t.py:find" }\n'
    for folder in ("one", "two"):
        write(tmp_path / folder, text)
        write(tmp_path / folder, f"def find(): return '{folder}'\n", "t.py")
    out = invoke("diff", tmp_path / "one/d.yaml", tmp_path / "two/d.yaml")[1]
    assert "now:\n  tools.find.python: t.py:find, with other code in it\n" in out


@pytest.mark.parametrize(("extra", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals(tmp_path: Path, extra: dict[str, str], coloured: bool) -> None:
    a, b = pair(tmp_path, ("from 9 to 5", "from 10 to 6"))
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "runner.cli.main", "diff", str(a), str(b)]
    with subprocess.Popen(command, stdout=its, env=environment(TERM="xterm", **extra)):
        os.close(its)
        screen = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(ours, 4096):
                screen += part
    os.close(ours)
    assert b"We are open from 10 to 6." in screen
    assert (b"\x1b[" in screen) is coloured


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.name)
def test_an_example_does_not_differ_from_itself(file: Path) -> None:
    assert "no change" in invoke("diff", file, file, "--no-env", "--exit-code")[1]
