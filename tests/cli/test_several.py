"""Several deployments in one process: each is one file, and none disturbs another."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import Command, Row, rtrun

SHOP = """\
transport: websocket
agents:
  desk:
    instructions: |
      You are the front desk of a {what} called Spokes.
      We are open from {hours}, Monday to Friday.
"""
BROKEN = "agents:\n  desk:\n    instrctions: You are kind.\n"


def shop(folder: Path, name: str, what: str, hours: str) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(SHOP.format(what=what, hours=hours))
    return file


def of(name: str, **fields: object):
    return lambda row: row["deployment"] == name and fields.items() <= row.items()


def says(name: str, words: str):
    return lambda row: (
        row["deployment"] == name and row["role"] == "assistant" and words in row["text"]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "agents.d"
    folder.mkdir()
    return folder


def by_deployment(rows: list[Row], event: str) -> dict[str, int]:
    out: dict[str, int] = {}
    for row in rows:
        if row["event"] == event:
            out[row["deployment"]] = out.get(row["deployment"], 0) + 1
    return out


def test_an_edit_touches_the_calls_of_its_own_deployment(folder: Path) -> None:
    bikes = shop(folder, "bikes", "bicycle shop", "9 to 5")
    books = shop(folder, "books", "book shop", "7 to 3")
    with Command("run", str(bikes), str(books), "--engine", "local", "--text") as run:
        for name in ("bikes", "books"):
            run.wait_for("ready", of(name))
        seen = {run.wait_for("session_start")["deployment"] for _ in range(2)}
        assert seen == {"bikes", "books"}
        bikes.write_text(bikes.read_text().replace("9 to 5", "10 to 6"))
        applied = run.wait_for("config_applied")
        assert applied["deployment"] == "bikes"
        assert applied["sessions"] == {"applied": 1, "pending": 0, "total": 1}
        run.type("What are your opening hours?")
        run.end_input()
        assert run.finish() == 0, run.story()
    heard = [row for row in run.of("transcript") if row["role"] == "assistant"]
    assert any(says("bikes", "10")(row) for row in heard), run.story()
    assert any(says("books", "7")(row) for row in heard), run.story()
    assert by_deployment(run.rows, "session_end") == {"bikes": 1, "books": 1}
    assert by_deployment(run.rows, "config_applied") == {"bikes": 1}
    assert all("deployment" in row for row in run.rows), run.story()


def test_a_broken_file_of_a_folder_stops_no_other_and_starts_when_mended(folder: Path) -> None:
    shop(folder, "bikes", "bicycle shop", "9 to 5")
    broken = folder / "broken.yaml"
    broken.write_text(BROKEN)
    (folder / "_base.yaml").write_text("model: gpt-realtime\n")
    (folder / ".swap.yaml").write_text("what an editor left")
    with Command("run", str(folder), "--engine", "local", "--text", "--to", "bikes") as run:
        rejected = run.wait_for("config_rejected")
        assert rejected["deployment"] == "broken"
        [problem] = rejected["errors"]
        assert (problem["file"], problem["line"]) == (str(broken), 3)
        run.wait_for("session_start", of("bikes"))

        broken.write_text(BROKEN.replace("instrctions", "instructions"))
        run.wait_for("ready", of("broken"))
        shop(folder, "late", "book shop", "7 to 3")
        run.wait_for("ready", of("late"))
        (folder / "late.yaml").write_text(BROKEN)
        assert run.wait_for("config_rejected")["deployment"] == "late"

        run.type("What are your opening hours?")
        run.wait_for("transcript", says("bikes", "9"))
        run.end_input()
        assert run.finish() == 0, run.story()
    assert by_deployment(run.rows, "ready") == {"bikes": 1, "broken": 1, "late": 1}
    assert by_deployment(run.rows, "session_start") == {"bikes": 1}


def test_two_files_of_one_name_are_told_apart(folder: Path) -> None:
    first = shop(folder, "bikes", "bicycle shop", "9 to 5")
    second = folder / "books.yaml"
    second.write_text("name: bikes\n" + SHOP.format(what="book shop", hours="7 to 3"))
    with Command("run", str(first), str(second), "--engine", "local", "--text") as run:
        rejected = run.wait_for("config_rejected")
        [problem] = rejected["errors"]
        assert (problem["file"], problem["line"], problem["path"]) == (str(second), 1, "name")
        second.write_text(SHOP.format(what="book shop", hours="7 to 3"))
        run.wait_for("ready", of("books"))
        # Nor may an edit take a name that is in use.
        second.write_text("name: bikes\n" + SHOP.format(what="book shop", hours="7 to 3"))
        assert run.wait_for("config_rejected")["deployment"] == "books"
        run.end_input()
        assert run.finish() == 0, run.story()


def test_nothing_to_run_is_said(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(BROKEN)
    done = rtrun("run", str(folder), "--engine", "local", "--text")
    assert done.returncode == 1
    assert "none of the deployments can be started" in done.stderr
    assert "not on the line until it is mended" in done.stdout
    assert "one.yaml:3:5" in done.stdout
    assert "two.yaml:3:5" in done.stdout


def test_one_of_several_is_called(folder: Path) -> None:
    shop(folder, "bikes", "bicycle shop", "9 to 5")
    shop(folder, "books", "book shop", "7 to 3")
    given = ("run", str(folder), "--engine", "local", "--text")
    done = rtrun(*given, "--to", "boks", stdin="")
    assert done.returncode == 2
    assert "did you mean books?" in done.stderr
    done = rtrun(*given, "--out", str(folder / "both.wav"), stdin="")
    assert done.returncode == 2
    assert "--to" in done.stderr
    done = rtrun(*given, "--to", "books", stdin="What are your opening hours?\n")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "agent:" in line]
    assert told
    assert all(line.startswith("books:") for line in told), done.stdout
