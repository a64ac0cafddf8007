"""The path of somebody new: init, validate, edit, run, edit while it runs, diff, test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command import Command, invoke, rtrun


def test_the_path_of_a_newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("agents.d/desk.yaml")
    prompt = Path("agents.d/prompts/desk.md")

    # A deployment to begin with.
    assert invoke("init", "desk", "--purpose", "receptionist")[0] == 0
    assert invoke("validate", file)[0] == 0

    # The first edit has a typo, and is told of it with its place.
    written = file.read_text()
    file.write_text(written.replace("greeting:", "greting:"))
    code, out, _ = invoke("validate", file)
    assert code == 1
    line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if "greting" in text)
    assert out.startswith(f"{file}:{line}:5: agents.front_desk.greting: unknown key")
    assert "did you mean greeting?" in out

    # What is that key, and when would an edit of it act?
    code, out, _ = invoke("explain", "agents.front_desk.greeting")
    assert code == 0
    assert "acts in new calls (new)" in out

    # The second one is right, if untidy.
    file.write_text(
        written.replace("Northwind Dental", "Harbor Dental").replace("  business", "    business")
    )
    assert invoke("fmt", "--check", file)[0] == 1
    assert invoke("fmt", file)[0] == 0
    assert invoke("validate", file)[0] == 0
    assert file.read_text() == written.replace("Northwind Dental", "Harbor Dental")

    # On the line; an edit of the prompt is in the call from the next answer.
    before = Path("before")
    os.makedirs(before / "prompts")
    for name in (file.name, "prompts/desk.md"):
        (before / name).write_bytes((file.parent / name).read_bytes())
    (before / "tools").symlink_to("../agents.d/tools")
    with Command("run", str(file), "--engine", "local", "--text") as run:
        run.wait_for("transcript", lambda row: "Harbor Dental" in row["text"])
        run.type("When are you open?")
        run.wait_for("transcript", lambda row: row["role"] == "assistant" and "8" in row["text"])
        run.wait_for("turn_end")
        prompt.write_text(prompt.read_text().replace("from 8 am to 6 pm", "from 10 am to 4 pm"))
        applied = run.wait_for("config_applied")
        assert [change["class"] for change in applied["changes"]] == ["next"]
        run.type("When are you open?")
        run.wait_for("transcript", lambda row: row["role"] == "assistant" and "10" in row["text"])
        run.end_input()
        assert run.finish() == 0, run.story()

    # What the edit did, as a reviewer sees it.
    code, out, _ = invoke("diff", before / file.name, file, "--exit-code")
    assert code == 1
    assert "from the next answer:\n  agents.front_desk.instructions\n" in out
    assert "    + We are open Monday to Friday from 10 am to 4 pm.\n" in out

    # Its own tests know the old hours, and say so.
    done = rtrun("test", str(file), "--engine", "local")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the agent was to say '8'" in done.stdout
    file.write_text(file.read_text().replace('agent: "8"', 'agent: "10"'))
    done = rtrun("test", str(file), "--engine", "local")
    assert done.returncode == 0, done.stdout + done.stderr
