"""`rtrun init`: what it writes can be talked to, and what is there stays."""

from __future__ import annotations

import ast
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from support.command import Command, environment, invoke, rtrun
from support.deployments import ROOT

from runner.cli.init import PURPOSES, transports
from runner.config.load import load

SCHEMA = "schemas/rtrun.v1.schema.json"
QUESTIONS = {
    "receptionist": ("My name is Ada Lovelace, please call me back about a crown", "Ada Lovelace"),
    "support": ("Where is my order 1002?", "arrives tomorrow"),
    "voice-app": ("Convert 350 degrees to celsius", "177 degrees"),
    "blank": ("Hello", "help"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.quick
@pytest.mark.parametrize("transport", transports())
@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_written_is_whole(here: Path, purpose: str, transport: str) -> None:
    code, out, err = invoke("init", "my-desk", "--purpose", purpose, "--transport", transport)
    assert (code, err) == (0, "")
    tool = set() if purpose == "blank" else {"agents.d/tools/my_desk.py"}
    named = {"agents.d/my-desk.yaml", "agents.d/prompts/my-desk.md"}
    assert files(here) == {SCHEMA} | named | tool
    assert "\n  rtrun validate agents.d/my-desk.yaml\n" in out
    assert (here / SCHEMA).read_bytes() == (ROOT / SCHEMA).read_bytes()
    text = (here / "agents.d/my-desk.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../schemas/rtrun.v1.schema.json\n")
    assert max(map(len, text.splitlines())) <= 100
    code, out, err = invoke("validate", "--strict", "agents.d/my-desk.yaml")
    assert (code, err, out.count("\n")) == (0, "", 1)  # and no warning
    assert "ok (" in out
    assert invoke("fmt", "--check", "--diff", "agents.d/my-desk.yaml") == (0, "", "")
    for path in tool:
        ast.parse((here / path).read_text())


@pytest.mark.parametrize("purpose", PURPOSES)
def test_it_can_be_talked_to(here: Path, purpose: str) -> None:
    assert invoke("init", "--purpose", purpose)[0] == 0
    question, words = QUESTIONS[purpose]
    with Command("run", f"agents.d/{purpose}.yaml", "--engine", "local", "--text") as run:
        run.wait_for("session_start")
        run.type(question)
        run.wait_for("transcript", lambda row: row["role"] == "assistant" and words in row["text"])
        run.end_input()
        assert run.finish() == 0, run.story()


@pytest.mark.parametrize("purpose", [p for p in PURPOSES if p != "blank"])
def test_its_own_tests_pass(here: Path, purpose: str) -> None:
    assert invoke("init", "--purpose", purpose)[0] == 0
    done = rtrun("test", f"agents.d/{purpose}.yaml", "--engine", "local")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.quick
def test_nothing_is_written_over(here: Path) -> None:
    assert invoke("init", "desk", "--purpose", "blank")[0] == 0
    file = here / "agents.d/desk.yaml"
    file.write_text("mine")
    (here / SCHEMA).write_text("{}")
    code, out, err = invoke("init", "desk", "--purpose", "support")
    assert (code, out) == (2, "")
    assert "agents.d/desk.yaml: already there" in err
    assert "agents.d/tools/desk.py" not in files(here)
    assert invoke("init", "other", "--purpose", "blank")[0] == 0
    assert (here / SCHEMA).read_text() == "{}"
    assert invoke("init", "desk", "--purpose", "support", "--force")[0] == 0
    assert "help_desk" in file.read_text()
    assert (here / SCHEMA).read_bytes() == (ROOT / SCHEMA).read_bytes()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("folder", "schema"),
    [("a/b", "a/schemas"), (".", "schemas"), ("x", "schemas")],
)
def test_another_folder(here: Path, folder: str, schema: str) -> None:
    assert invoke("init", "--dir", folder)[0] == 0
    file = here / folder / "receptionist.yaml"
    where = file.read_text().splitlines()[0].partition("$schema=")[2]
    assert (file.parent / where).resolve() == here / schema / "rtrun.v1.schema.json"
    assert invoke("validate", file)[0] == 0


@pytest.mark.quick
@pytest.mark.parametrize("name", ["null", "yes", "on", "e1", "A_b-C"])
def test_any_name_is_a_text(here: Path, name: str) -> None:
    assert invoke("init", name, "--purpose", "support")[0] == 0
    assert invoke("validate", f"agents.d/{name}.yaml")[0] == 0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("../x",), "cannot be the name of a deployment"),
        (("1st",), "cannot be the name of a deployment"),
        (("x" * 64,), "cannot be the name of a deployment"),
        (("x", "--purpose", "pizza"), "one of receptionist, support, voice-app, blank"),
        (("x", "--transport", "pigeon"), "one of webrtc"),
    ],
)
def test_usage(here: Path, args: tuple[str, ...], words: str) -> None:
    code, _, err = invoke("init", *args)
    assert code == 2
    assert words in err
    assert files(here) == set()


@pytest.mark.quick
def test_a_folder_that_cannot_be_made(here: Path) -> None:
    (here / "agents.d").write_text("a file")
    code, _, err = invoke("init")
    assert code == 2
    assert "cannot be written" in err


def on_a_terminal(folder: Path, typed: bytes) -> tuple[int, str]:
    """Exit code and screen of `rtrun init` on a terminal of its own, with these keys."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "init"],
        stdin=its,
        stdout=its,
        stderr=its,
        cwd=folder,
        env=environment(TERM="dumb"),
        start_new_session=True,
        preexec_fn=_own_terminal,
    )
    os.close(its)
    screen = b""
    # A question that the test does not know waits for ever.
    gives_up = threading.Timer(90, process.kill)
    gives_up.start()
    try:
        while b"Purpose" not in screen.partition(b"blank ")[2]:
            screen += os.read(ours, 4096)
        os.write(ours, typed)
        while True:
            # A key of the terminal's own is lost while the prompt is being set up: press again.
            if not select.select([ours], [], [], 1.0)[0] and len(typed) == 1:
                os.write(ours, typed)
                continue
            screen += os.read(ours, 4096)
    except OSError:  # the other side is closed
        pass
    finally:
        gives_up.cancel()
        code = process.wait(30)
        os.close(ours)
    return code, screen.decode()


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_on_a_terminal_it_asks(tmp_path: Path) -> None:
    code, screen = on_a_terminal(tmp_path, b"pizza\nsupport\nwebrtc\nhelp\n")
    assert code == 0, screen
    assert load(tmp_path / "agents.d/help.yaml", env={}).deployment.transport.type == "webrtc"
    assert "a help desk with two agents" in screen
    assert "'pizza' is not one of" in screen
    assert (tmp_path / "agents.d/help.yaml").read_text().count("billing") > 1


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["interrupt", "end of input"])
def test_leaving_the_questions_writes_nothing(tmp_path: Path, key: bytes) -> None:
    code, screen = on_a_terminal(tmp_path, key)
    assert code == 130
    assert "Traceback" not in screen
    assert screen.endswith("\n")
    assert files(tmp_path) == set()
