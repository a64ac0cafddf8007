"""`rtrun FILE --record DIR`: a real call, edited and with tools, plays again byte for byte."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

from support.command import ROOT, Command, rtrun


def agent_says(words: str):
    return lambda row: row["role"] == "assistant" and words in row["text"]


def test_a_call_with_a_tool_and_an_edit_plays_again(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "agents.d", tmp_path / "agents.d")
    file = tmp_path / "agents.d" / "receptionist.yaml"
    prompt = tmp_path / "agents.d" / "prompts" / "front_desk.md"
    calls = tmp_path / "calls"
    given = ("run", str(file), "--engine", "local", "--text", "--record", str(calls))
    with Command(*given) as run:
        run.wait_for("turn_end")
        run.type("Can I come in on Tuesday at nine?")
        run.wait_for("tool_end")
        run.wait_for("turn_end")
        prompt.write_text(prompt.read_text() + "\nParking is behind the house.\n")
        run.wait_for("config_applied")
        run.type("Where can I park?")
        run.wait_for("transcript", agent_says("behind"))
        run.end_input()
        assert run.finish() == 0, run.story()
    [log] = calls.iterdir()
    assert log.name.startswith("receptionist.call_")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    done = rtrun("replay", str(calls))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same" in done.stdout
    # What is not the same is said.
    log.write_text(log.read_text().replace("behind the house", "before the house", 1))
    assert rtrun("replay", str(calls)).returncode == 1


def test_a_folder_that_cannot_be_used_is_said_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("a file")
    done = rtrun("run", str(ROOT / "agents.d" / "receptionist.yaml"), "--engine", "local",
                 "--text", "--record", str(tmp_path / "calls"))  # fmt: skip
    assert done.returncode == 2
    assert "--record" in done.stderr
