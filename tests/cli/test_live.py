"""ps, tail, send and reload, asked of real processes from another terminal."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from support.command import Row, environment, rtrun
from support.doors import door
from support.engine import Puppet, serving
from support.live import ended, running, sessions, shop, tailing
from support.until import until_sync

from runner.serve.sockets import own_folder, socket_of


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    with serving(Puppet(), no_speech="typed") as running:
        yield running.url


def test_ps_shows_what_runs_in_every_process(tmp_path: Path, engine: str) -> None:
    assert rtrun("ps").stdout == "no rtrun of yours is running\n"
    first, second = shop(tmp_path), shop(tmp_path, "bar")
    third = shop(tmp_path, "pub")
    with running(engine, first, second) as two, running(engine, third) as one:
        done = rtrun("ps")
        assert done.returncode == 0
        heads, calls = done.stdout.split("\n\n")
        table = [re.split(r"\s{2,}", line) for line in heads.splitlines()]
        assert table[0] == ["DEPLOYMENT", "PID", "REVISION", "CALLS", "STATE"]
        assert sorted(row[:2] for row in table[1:]) == [
            ["bar", str(two.process.pid)],
            ["pub", str(one.process.pid)],
            ["shop", str(two.process.pid)],
        ]
        ids = {**sessions(two), **sessions(one)}
        rows = [re.split(r"\s{2,}", line) for line in calls.splitlines()[1:]]
        assert {row[1]: row[0] for row in rows} == ids
        assert all(row[2] == "desk" and row[4:] == ["0", "idle"] for row in rows)
        told = json.loads(rtrun("ps", "--format", "json").stdout)
        assert {process["pid"] for process in told} == {two.process.pid, one.process.pid}
        [only] = json.loads(rtrun("ps", "--deployment", "bar", "--format", "json").stdout)
        assert [row["deployment"] for row in only["deployments"]] == ["bar"]
        first.write_text("agents: 7\n")
        two.wait_for("config_rejected")
        assert "shop: refused: " in rtrun("ps").stdout
        assert ended(one) == 0


def test_tail_shows_the_log_of_a_call_until_it_ends(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path), shop(tmp_path, "bar")) as run:
        ids = sessions(run)
        with tailing(ids["bar"][:12], "--deployment", "bar") as tail:
            run.type("hello")
            run.wait_for("turn_end", lambda row: row["deployment"] == "shop")
            assert ended(run) == 0
            rows = tail.rows()
        logged = [row for row in run.rows if row.get("session") == ids["bar"]][1:]
        times = [(row.pop("t"), own.pop("t")) for row, own in zip(rows, logged, strict=True)]
        assert rows == logged, "the same lines as the process's own log has"
        assert all(abs(seen - written) < 1 for seen, written in times)
        assert [row["event"] for row in rows][-1] == "session_end"


def test_raw_shows_the_wire_both_ways_and_ctrl_c_ends_it(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run:
        with tailing("--raw") as tail:
            run.type("hello")
            rows = [tail.next()]
            while rows[-1]["wire"]["type"] != "response.done":
                rows.append(tail.next())
            assert tail.stop() == 130
        assert [row["wire"]["type"] for row in rows if row["from"] == "client"] == [
            "conversation.item.create",
            "response.create",
        ]
        run.type("again")
        run.wait_for("turn_end")
        run.wait_for("turn_end")
        assert ended(run) == 0, "the call has not noticed"


def test_a_reader_that_stops_reading_holds_up_no_call(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run:
        pid = run.process.pid
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as deaf:
            deaf.connect(str(socket_of(own_folder(), pid)))
            deaf.sendall(b'{"do": "tail", "raw": true, "audio": true}\n')
            text = "x" * 60_000
            event = {"type": "conversation.item.create", "item": user(text)}
            for _ in range(4):
                assert rtrun("send", "call_", json.dumps(event)).returncode == 0
            run.type("hello")
            run.wait_for("turn_end")
            assert ended(run) == 0


def user(text: str) -> Row:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_send_says_what_the_service_said(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run:
        session = run.rows[-1]["session"]
        event = json.dumps({"type": "conversation.item.create", "item": user("hello")})
        done = rtrun("send", session, event)
        assert (done.returncode, done.stdout) == (
            0,
            "sent; the service answered conversation.item.added\n",
        )
        assert run.wait_for("transcript")["text"] == "hello"
        from_stdin = rtrun("send", session[:9], "-", stdin='{"type": "response.create"}')
        assert from_stdin.returncode == 0, from_stdin.stderr
        assert run.wait_for("transcript")["text"] == "You said: hello"
        refused = rtrun("send", session, '{"type": "nonsense"}')
        assert refused.returncode == 1
        assert "the service refused it: Invalid value: 'nonsense'" in refused.stderr
        told = json.loads(rtrun("send", session, '{"type": "nonsense"}', "--format", "json").stdout)
        assert told["error"]["code"] == "invalid_value"
        quiet = rtrun("send", session, '{"type": "nonsense"}', "--wait", "0")
        assert (quiet.returncode, quiet.stdout) == (0, "sent; the service said nothing to it\n")
        for wrong, words in (("{", "no JSON"), ("[]", "a JSON object"), ('{"a": 1}', "a type")):
            done = rtrun("send", session, wrong)
            assert done.returncode == 2
            assert words in done.stderr
        done = rtrun("send", "call_of_nobody", '{"type": "x"}')
        assert done.returncode == 1
        assert "no call call_of_nobody is on the line" in done.stderr
        large = rtrun("send", session, "-", stdin=json.dumps({"type": "x", "y": "z" * 70_000}))
        assert large.returncode in (1, 2)
        assert "Traceback" not in large.stderr
        assert ended(run) == 0


def test_what_could_mean_two_is_refused_with_the_list(tmp_path: Path, engine: str) -> None:
    with (
        running(engine, shop(tmp_path), shop(tmp_path, "bar")) as two,
        running(engine, tmp_path / "shop.yaml") as one,
    ):
        done = rtrun("reload", "--deployment", "shop")
        assert done.returncode == 2
        for words in ("--pid", f"process {two.process.pid}", f"process {one.process.pid}"):
            assert words in done.stderr
        done = rtrun("reload", "--pid", str(two.process.pid))
        assert done.returncode == 2
        assert "choose one with --deployment" in done.stderr
        assert (
            rtrun("reload", "--deployment", "shop", "--pid", str(one.process.pid)).returncode == 0
        )
        done = rtrun("send", "call_", '{"type": "response.create"}')
        assert done.returncode == 2
        assert "3 calls begin with call_" in done.stderr
        done = rtrun("tail")
        assert done.returncode == 2
        assert "2 processes run" in done.stderr
        done = rtrun("drain", "--deployment", "bar")
        assert done.returncode == 2
        assert f"rtrun drain --pid {two.process.pid}" in done.stderr
        typo = rtrun("reload", "--deployment", "shp")
        assert typo.returncode == 1
        assert "did you mean shop?" in typo.stderr


def test_a_save_is_planned_taken_and_taken_back(tmp_path: Path, engine: str) -> None:
    file = shop(tmp_path)
    with running(engine, file, flags=("--no-watch",)) as run:
        nothing = rtrun("diff", str(file), "--live")
        assert (nothing.returncode, nothing.stdout) == (0, "shop: no change that acts\n")
        shop(tmp_path, words="Say two.")
        live = rtrun("diff", str(file), "--live", "--exit-code")
        assert live.returncode == 1
        assert f"1 change to shop (process {run.process.pid}), revision 0, 1 call" in live.stdout
        assert "agents.desk.instructions: Say one. → Say two.  (1 call)" in live.stdout
        dry = rtrun("reload", "--dry-run")
        assert (dry.returncode, dry.stdout) == (0, live.stdout), "the same answer"
        told = json.loads(rtrun("reload", "--dry-run", "--format", "json").stdout)
        assert (told["calls"], told["changes"][0]["calls"]) == (1, 1)
        assert told["file"] == str(file)
        candidate = shop(tmp_path, "candidate", "Say three.")
        beside = rtrun("diff", str(candidate), "--live").stdout
        assert "Say one. → Say three." in beside
        assert run.of("config_applied") == []

        taken = rtrun("reload")
        assert taken.returncode == 0
        assert re.match(r"shop: revision 1 applied in .* \(1 of 1 call\): agents", taken.stdout)
        assert run.wait_for("config_applied")["revision"] == 1
        back = rtrun("reload", "--to", "0")
        assert back.stdout.startswith("shop: revision 2 applied")
        listed = rtrun("reload", "--list").stdout.splitlines()
        assert [line.split()[1] for line in listed] == ["0", "1", "2"]
        assert "back to 0, in force" in listed[2]
        none = rtrun("reload", "--to", "9")
        assert none.returncode == 1
        assert "no revision 9" in none.stderr

        file.write_text("agents: 7\n")
        for verb in (("reload",), ("reload", "--dry-run"), ("diff", str(file), "--live")):
            bad = rtrun(*verb)
            assert bad.returncode == 1
            assert f"{file}:1:9: agents: " in bad.stdout
        assert ended(run) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["reload", "--to", "1", "--list"], 2, "exclude each other"),
        (["reload", "--to", "x"], 2, "not a valid integer"),
        (["reload"], 1, "no rtrun of yours is running"),
        (["reload", "--pid", "1"], 1, "no rtrun 1 is running"),
        (["tail", "--audio"], 2, "--audio goes with --raw"),
        (["drain", "--all", "--pid", "1"], 1, "no rtrun 1 is running"),
        (["diff", "a.yaml"], 2, "two files are compared"),
        (["diff", "a.yaml", "--live"], 2, "no such file"),
        (["diff", "a.yaml", "b.yaml", "--live"], 2, "--live takes one file"),
        (["diff", "a.yaml", "b.yaml", "--pid", "1"], 2, "go with --live"),
        (["run", "agents.d/hello.yaml", "--admin", "x"], 2, "not [HOST:]PORT"),
    ],
)
def test_used_wrongly_or_too_early(arguments: list[str], code: int, words: str) -> None:
    done = rtrun(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_process_that_is_killed_meanwhile(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run:
        with tailing() as tail:
            run.process.kill()
            run.process.wait(30)
            assert tail.rows() == []
        left = socket_of(own_folder(), run.process.pid)
        assert left.exists()
        assert rtrun("ps").stdout == "no rtrun of yours is running\n"
        assert not left.exists(), "what it left is swept up"


def test_a_process_that_answers_otherwise_stops_nobody(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path)) as run, ExitStack() as open_:
        open_.enter_context(door(lambda came: came.sendall(b"hello\n"), os.getppid()))
        done = rtrun("ps")
        assert done.returncode == 0
        assert str(run.process.pid) in done.stdout
        assert f"rtrun {os.getppid()} answers in words of another version" in done.stderr
        with ExitStack() as other:
            other.enter_context(door(lambda came: came.sendall(b'{"ok": true}\n'), os.getpid()))
            for verb in (("ps", "--format", "json"), ("ps",), ("reload", "--deployment", "shop")):
                done = rtrun(*verb)
                assert done.returncode == 0, done.stderr
                assert f"rtrun {os.getpid()} answers in words of another version" in done.stderr


def test_the_port_is_there_when_it_is_asked_for(tmp_path: Path, engine: str) -> None:
    with running(engine, shop(tmp_path), flags=("--admin", "0")) as run:
        until_sync(lambda: any("admin: " in line for line in run.errors))
        [line] = [line for line in run.errors if "admin: " in line]
        found = re.search(r"admin: (http://127\.0\.0\.1:\d+), token (\S+)", line)
        assert found is not None
        url, token = found.groups()
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.get("/readyz").status_code == 200
            assert 'rtrun_sessions{deployment="shop",revision="0"} 1' in client.get("/metrics").text
            assert client.get("/config").status_code == 401
            auth = {"Authorization": f"Bearer {token}"}
            assert client.get("/config", headers=auth).status_code == 200
        run.process.terminate()
        assert run.finish() == 0, run.story()


def test_nothing_of_the_port_is_imported_without_it() -> None:
    code = (
        "import sys, runner.cli.runs, runner.cli.run\n"
        "print([m for m in ('starlette', 'uvicorn', 'runner.serve.admin') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout == "[]\n"


def test_the_verbs_stand_in_the_help() -> None:
    live = rtrun("--help").stdout.partition("Live:")[2]
    for verb in ("ps", "tail", "send", "reload", "drain", "approve"):
        assert re.search(rf"^  {verb} ", live, re.MULTILINE)
