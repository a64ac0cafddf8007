"""`rtrun FILE --text`: a conversation on a pipe, edited while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Command, rtrun

SHOP = """\
name: shop
transport: websocket
agents:
  desk:
    instructions: |
      You are the front desk of a bicycle shop called Spokes.
      We are open from 9 to 5, Monday to Friday.
      A flat tyre costs 12 dollars to repair.
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def agent_says(words: str):
    return lambda row: row["role"] == "assistant" and words in row["text"]


def test_edited_hours_are_spoken_in_the_same_call(shop: Path) -> None:
    with Command("run", str(shop), "--engine", "local", "--text") as run:
        run.wait_for("session_start")
        run.type("What are your opening hours?")
        first = run.wait_for("transcript", agent_says("9"))
        assert "5" in first["text"]
        run.wait_for("turn_end")
        shop.write_text(SHOP.replace("from 9 to 5", "from 10 to 6"))
        applied = run.wait_for("config_applied")
        assert applied["changes"] == [{"path": "agents.desk.instructions", "class": "next"}]
        assert applied["sessions"] == {"applied": 1, "pending": 0, "total": 1}
        run.type("What are your opening hours?")
        second = run.wait_for("transcript", agent_says("10"))
        assert "6" in second["text"]
        run.end_input()
        assert run.finish() == 0, run.story()
    sessions = {row["session"] for row in run.rows if "session" in row}
    assert len(sessions) == 1
    assert run.of("session_end")[0]["reason"] == "input ended"


def test_a_broken_file_changes_nothing_and_says_where(shop: Path) -> None:
    with Command("run", str(shop), "--engine", "local", "--text") as run:
        run.wait_for("session_start")
        shop.write_text(SHOP.replace("instructions:", "instrctions:"))
        rejected = run.wait_for("config_rejected")
        [problem] = rejected["errors"]
        assert (problem["line"], problem["column"]) == (5, 5)
        assert "instructions" in problem["message"]
        run.type("What does a flat tyre cost?")
        run.wait_for("transcript", agent_says("12 dollars"))
        shop.write_text(SHOP.replace("12 dollars", "15 dollars"))
        # A line that is typed in the millisecond in which the turn ends is before the edit.
        run.wait_for("config_applied", lambda row: row["sessions"]["applied"] == 1)
        run.type("What does a flat tyre cost?")
        run.wait_for("transcript", agent_says("15 dollars"))
        run.end_input()
        assert run.finish() == 0, run.story()


def test_an_edit_during_the_answer_waits_for_its_end(shop: Path) -> None:
    with Command("run", str(shop), "--engine", "local", "--text") as run:
        run.wait_for("session_start")
        run.type("What are your opening hours?")
        run.wait_for("transcript", lambda row: row["role"] == "assistant")
        shop.write_text(SHOP.replace("from 9 to 5", "from 10 to 6"))
        run.wait_for("config_pending")
        run.wait_for("turn_end")
        applied = run.wait_for("config_applied", lambda row: row["sessions"]["applied"] == 1)
        assert applied["sessions"]["pending"] == 0
        run.end_input()
        assert run.finish() == 0, run.story()


@pytest.mark.parametrize(
    ("make", "words", "code"),
    [
        (lambda folder: folder / "none.yaml", "no such file", 2),
        (lambda folder: folder, "no .yaml file in this folder", 2),
        (lambda folder: _write(folder, ""), "empty", 1),
        (lambda folder: _write(folder, "agents:\n\tdesk: {}\n"), "tab", 1),
        (lambda folder: _write(folder, "agents:\n  a: {}\n---\nagents: {}\n"), "document", 1),
    ],
)
def test_bad_files_get_one_clear_message(tmp_path: Path, make, words: str, code: int) -> None:
    done = rtrun("run", str(make(tmp_path)), "--engine", "local", "--text")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def _write(folder: Path, text: str) -> Path:
    file = folder / "bad.yaml"
    file.write_text(text)
    return file
