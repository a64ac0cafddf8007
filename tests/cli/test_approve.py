"""`rtrun approve`: a tool of a running call is let go or refused from another terminal."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.command import Command, Row, rtrun
from support.doors import door
from support.engine import Puppet, last_words, serving

from runner.engine.ports import Call, Prompt
from runner.serve.sockets import own_folder, socket_of

SHOP = """\
name: shop
transport: websocket
session: { output_modalities: [text] }
agents:
  desk:
    instructions: You are the front desk of a bicycle shop called Spokes.
    tools: [book_repair]
tools:
  book_repair:
    python: tools.py:book_repair
    approval: operator
"""
TOOLS = '''\
from pathlib import Path

def book_repair(day: str) -> str:
    """Book a repair of a bicycle.

    Args:
        day: The day of the week.
    """
    with (Path(__file__).parent / "booked").open("a") as book:
        book.write(day + "\\n")
    return f"booked for {day}"
'''


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(TOOLS)
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file


def booked(shop: Path) -> list[str]:
    book = shop.parent / "booked"
    return book.read_text().splitlines() if book.exists() else []


class Booking(Puppet):
    """Books the day that it is told, and says what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = self.book

    def book(self, prompt: Prompt) -> list[Any]:
        if prompt.items[-1]["type"] == "function_call_output":
            return [f"I was told: {prompt.items[-1]['output']}"]
        return [Call("book_repair", json.dumps({"day": last_words(prompt)}))]


@pytest.fixture
def engine() -> Iterator[str]:
    with serving(Booking(), no_speech="typed") as running:
        yield running.url


def listed() -> list[Row]:
    done = rtrun("approve", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows: list[Row] = json.loads(done.stdout)
    return rows


def test_a_yes_from_another_terminal_lets_the_tool_run(shop: Path) -> None:
    with Command("run", str(shop), "--engine", "local", "--text") as run:
        session = run.wait_for("session_start")["session"]
        assert rtrun("approve").stdout == "nothing waits for a yes (1 process asked)\n"
        run.type("Please book a repair on Tuesday.")
        asked = run.wait_for("approval")
        assert (asked["asks"], asked["kind"]) == ("operator", "function")
        [row] = listed()
        assert row.pop("seconds") >= 0
        assert row == {
            "pid": run.process.pid,
            "deployment": "shop",
            "session": session,
            "call_id": asked["call_id"],
            "tool": "book_repair",
            "arguments": asked["arguments"],
            "agent": "desk",
            "kind": "function",
        }
        told = rtrun("approve").stdout
        assert told.startswith(f'{asked["call_id"]}  book_repair(day="Tuesday")  (shop, {session}')
        wrong = rtrun("approve", "call_of_nobody")
        assert wrong.returncode == 1
        assert "nothing with the id call_of_nobody waits" in wrong.stderr
        assert asked["call_id"] in wrong.stderr, "what does wait is told"
        assert booked(shop) == []

        done = rtrun("approve", asked["call_id"])
        assert (done.returncode, done.stdout) == (0, 'approved: book_repair(day="Tuesday")\n')
        assert run.wait_for("tool_end")["output"] == "booked for Tuesday"
        assert booked(shop) == ["Tuesday"]
        again = rtrun("approve", asked["call_id"])
        assert again.returncode == 1
        assert "Traceback" not in again.stderr
        run.wait_for("turn_end")
        run.end_input()
        assert run.finish() == 0, run.story()
    assert rtrun("approve").stdout == "no rtrun of yours is running\n"
    assert list(own_folder().iterdir()) == []


def test_a_no_is_told_to_the_agent_and_may_hold_for_the_call(shop: Path, engine: str) -> None:
    with Command("run", str(shop), "--engine", engine, "--text") as run:
        run.wait_for("session_start")
        run.type("Monday")
        asked = run.wait_for("approval")
        words = ["--reject", "--message", "The owner is away.", "--always", "--format", "json"]
        done = rtrun("approve", asked["call_id"], *words)
        assert done.returncode == 0, done.stderr
        decided = json.loads(done.stdout)
        assert (decided["decision"], decided["call_id"]) == ("rejected", asked["call_id"])
        assert run.wait_for("tool_end")["output"] == "The owner is away."
        run.wait_for("turn_end")
        run.type("Tuesday")
        assert run.wait_for("tool_end")["output"] == "The owner is away.", "it held for this one"
        run.wait_for("turn_end")
        run.end_input()
        assert run.finish() == 0, run.story()
    assert len(run.of("approval")) == 1
    assert booked(shop) == []


def test_a_yes_for_always_asks_once(shop: Path, engine: str) -> None:
    with Command("run", str(shop), "--engine", engine, "--text") as run:
        run.wait_for("session_start")
        run.type("Monday")
        asked = run.wait_for("approval")
        assert rtrun("approve", asked["call_id"], "--always").returncode == 0
        run.wait_for("turn_end")
        run.type("Tuesday")
        run.wait_for("turn_end")
        run.end_input()
        assert run.finish() == 0, run.story()
    assert booked(shop) == ["Monday", "Tuesday"]
    assert len(run.of("approval")) == 1


def test_the_line_that_people_see_can_be_pasted(shop: Path, engine: str) -> None:
    with Command("run", str(shop), "--engine", engine, "--text") as run:
        run.wait_for("session_start")
        run.type("Monday")
        asked = run.wait_for("approval")
        from runner.cli.story import Story
        from runner.core.events import ToolApproval

        [line] = Story().handle(
            "c", ToolApproval("desk", asked["call_id"], asked["name"], asked["arguments"])
        )
        command = line.text.partition("needs your yes: ")[2]
        assert rtrun(*shlex.split(command)[1:]).returncode == 0
        run.wait_for("turn_end")
    assert booked(shop) == ["Monday"]


def test_a_process_that_was_killed_is_not_asked(shop: Path, engine: str) -> None:
    with Command("run", str(shop), "--engine", engine, "--text") as run:
        run.wait_for("session_start")
        run.type("Monday")
        asked = run.wait_for("approval")
        run.process.send_signal(signal.SIGKILL)
        run.process.wait(30)
    left = socket_of(own_folder(), run.process.pid)
    assert left.exists()
    done = rtrun("approve", asked["call_id"])
    assert done.returncode == 1
    assert "no rtrun of yours is running" in done.stderr
    assert not left.exists(), "what it left is swept up"
    assert booked(shop) == []


def test_a_run_without_a_place_for_its_socket_goes_on(
    shop: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(os.environ["XDG_RUNTIME_DIR"], "rtrun").write_text("in the way")
    Path(os.environ["TMPDIR"], f"rtrun-{os.geteuid()}").write_text("in the way")
    with Command("run", str(shop), "--engine", engine, "--text") as run:
        run.wait_for("session_start")
        run.end_input()
        assert run.finish() == 0, run.story()
    assert "rtrun ps and approve cannot reach this run" in "".join(run.errors)


# -- what other processes may do -------------------------------------------------------------
Reply = dict[str, Any] | None


def waiting(session: str, call_id: str = "call_1", kind: str = "function") -> Row:
    return {
        "deployment": "shop",
        "session": session,
        "call_id": call_id,
        "tool": "book",
        "arguments": '{"day": "\\u001b[2J\u202eTuesday"}',
        "agent": "desk",
        "kind": kind,
        "seconds": 12.4,
    }


def house(*calls: Row, decided: Reply) -> tuple[Callable[[socket.socket], None], list[Row]]:
    """What a running process says; ``decided`` None: it dies instead."""
    heard: list[Row] = []

    def answer(came: socket.socket) -> None:
        request = json.loads(came.makefile("rb").readline())
        reply: Reply = {"ok": True, "pid": 1, "approvals": list(calls)}
        if request["do"] == "decide":
            heard.append(request)
            reply = decided
        if reply is not None:
            came.sendall(json.dumps(reply).encode() + b"\n")

    return answer, heard


def test_two_processes_with_one_id_are_told_apart_by_their_session() -> None:
    first, heard_first = house(waiting("sess_a"), decided={"ok": True, "done": True})
    second, heard_second = house(waiting("sess_b"), decided={"ok": True, "done": True})
    with ExitStack() as open_:
        open_.enter_context(door(first, os.getpid()))
        open_.enter_context(door(second, os.getppid()))
        unclear = rtrun("approve", "call_1")
        assert unclear.returncode == 2
        for words in ("waits in 2 sessions", "--session", "sess_a", "sess_b"):
            assert words in unclear.stderr
        assert (heard_first, heard_second) == ([], [])
        assert rtrun("approve", "call_1", "--session", "sess_b").returncode == 0
        assert heard_first == []
        assert [entry["session"] for entry in heard_second] == ["sess_b"]
        assert len(rtrun("approve").stdout.splitlines()) == 2


def test_a_process_that_dies_in_between_is_told_of() -> None:
    answer, heard = house(waiting("sess_a"), decided=None)
    with door(answer):
        done = rtrun("approve", "call_1")
    assert done.returncode == 1
    assert f"rtrun {os.getpid()} ended before it answered" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(heard) == 1


def test_a_call_that_was_decided_meanwhile_is_told_of() -> None:
    answer, _ = house(waiting("sess_a"), decided={"ok": True, "done": False})
    with door(answer):
        done = rtrun("approve", "call_1")
    assert done.returncode == 1
    assert "call_1 does not wait any more" in done.stderr


def test_what_is_listed_cannot_move_the_cursor_and_a_dumb_process_stops_nobody() -> None:
    answer, _ = house(waiting("sess_a"), decided=None)
    with ExitStack() as open_:
        open_.enter_context(door(answer, os.getpid()))
        open_.enter_context(door(lambda came: came.sendall(b"hello\n"), os.getppid()))
        done = rtrun("approve")
    assert done.returncode == 0
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    assert "call_1  book(day=" in done.stdout
    assert "waits 12.4 s" in done.stdout
    assert f"rtrun {os.getppid()} answers in words of another version" in done.stderr


def test_always_is_no_promise_for_a_hosted_server() -> None:
    answer, heard = house(waiting("s", kind="mcp"), decided={"ok": True, "done": True})
    with door(answer):
        done = rtrun("approve", "call_1", "--always")
        assert done.returncode == 2
        assert heard == []
        assert rtrun("approve", "call_1").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reject"], "which call?"),
        (["--always"], "which call?"),
        (["call_1", "--message", "no"], "--message goes with --reject"),
        (["call_1", "call_2"], "unexpected extra argument"),
    ],
)
def test_used_wrongly(arguments: list[str], words: str) -> None:
    done = rtrun("approve", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_nothing_runs() -> None:
    assert (rtrun("approve").returncode, listed()) == (0, [])
    done = rtrun("approve", "call_1")
    assert done.returncode == 1
    assert "no rtrun of yours is running" in done.stderr


def test_it_stands_in_the_help() -> None:
    assert "  approve " in rtrun("--help").stdout.partition("Live:")[2]
