"""`rtrun engine`: the ready line, its end, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import websockets
from support.command import environment, rtrun


@contextmanager
def engine(*args: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", "engine", "--port", "0", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        process.kill()
        process.communicate()


def ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    return line


async def ask(url: str, key: str, text: str, instructions: str) -> str:
    """One typed turn in a text session; the answer."""
    headers = {"Authorization": f"Bearer {key}"}
    async with asyncio.timeout(30), websockets.connect(url, additional_headers=headers) as line:

        async def until(kind: str) -> dict:
            while (event := json.loads(await line.recv()))["type"] != kind:
                assert event["type"] != "error", event
            return event

        session = {"type": "realtime", "instructions": instructions, "output_modalities": ["text"]}
        await line.send(json.dumps({"type": "session.update", "session": session}))
        await until("session.updated")
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await line.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await line.send(json.dumps({"type": "response.create"}))
        done = await until("response.done")
        return done["response"]["output"][0]["content"][0]["text"]


def test_the_ready_line_tells_where_it_is_and_it_answers() -> None:
    with engine("--log-format", "json", RTRUN_ENGINE_KEY="sk-child") as process:
        ready = json.loads(ready_line(process))
        assert ready["event"] == "ready"
        assert ready["t"] > 0
        assert ready["engine"]["brain"] == "rehearsal"
        assert ready["engine"]["voice"] is True
        assert "voice" in ready["engine"]["note"]
        health = httpx.get(ready["urls"]["http"].removesuffix("/v1") + "/healthz")
        assert health.json()["status"] == "ok"
        said = asyncio.run(
            ask(
                ready["urls"]["ws"],
                "sk-child",
                "What are your opening hours?",
                "You are the front desk of a bicycle shop. We are open from 9 to 5 every day.",
            )
        )
        assert "9" in said
        with pytest.raises(websockets.InvalidStatus):
            asyncio.run(ask(ready["urls"]["ws"], "sk-wrong", "hello", ""))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_the_ready_line_as_text_and_an_interrupt() -> None:
    with engine() as process:
        word, url = ready_line(process).split()
        assert word == "ready"
        assert url.startswith("ws://127.0.0.1:")
        assert url.endswith("/v1/realtime")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_child_ends_with_its_parent() -> None:
    with engine("--parent") as process:
        ready_line(process)
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(10) == 0


def test_an_engine_of_its_own_outlives_its_input() -> None:
    with engine() as process:
        url = ready_line(process).split()[1]
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        http = url.replace("ws://", "http://").removesuffix("/v1/realtime")
        health = httpx.get(http + "/healthz")
        assert health.status_code == 200
        # As many as the cores are good for, when nobody says.
        cores = len(os.sched_getaffinity(0))
        assert health.json()["max_sessions"] == min(64, 20 * cores)


def test_without_models_it_starts_typed_and_says_why(tmp_path) -> None:
    # A package that cannot be found, as on a machine where the wheels do not exist.
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'moonshine_voice' else find(name, *a)\n"
    )
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    with engine("--log-format", "json", PYTHONPATH=path) as process:
        ready = json.loads(ready_line(process))
        assert ready["engine"]["voice"] is False
        assert "moonshine-voice" in ready["engine"]["reason"]
        assert process.stderr is not None
        assert "moonshine-voice" in process.stderr.readline()


def test_what_cannot_be_is_refused_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = rtrun("engine", "--port", port)
    assert done.returncode == 2
    assert port in done.stderr
    for args, words in (
        (["--host", "0.0.0.0"], "key"),
        (["--brain", "{nonsense"], "JSON"),
        (["--brain", "no-such-brain"], "no-such-brain"),
        (["--port", "99999"], "99999"),
        (["--max-sessions", "0"], "max-sessions"),
    ):
        done = rtrun("engine", *args)
        assert done.returncode == 2, (args, done.stderr)
        assert words in done.stderr
        assert "Traceback" not in done.stderr
