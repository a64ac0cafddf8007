"""Asking running processes from outside: those that answer, and those that do not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from support.doors import door

from runner.serve import reach
from runner.serve.control import Control
from runner.serve.sockets import own_folder, socket_of
from runner.serve.verbs import Stream
from runner.tasks import in_thread

pytestmark = pytest.mark.quick

ASK = {"do": "ps"}


class Hall:
    async def answer(self, request: Any) -> Any:
        if request == ASK:
            return {"ok": True, "said": "hello"}
        if request == {"do": "tail"}:
            return Stream({"ok": True}, lines(), lambda: None)
        return {"ok": False, "error": "no", "hint": "ask otherwise"}


async def lines() -> AsyncGenerator[str, None]:
    yield "one"
    yield "two" * 50_000


def test_a_running_process_is_found_and_asked() -> None:
    async def main() -> None:
        control = Control(Hall(), lambda name, error: None)
        path = await control.open()
        found, silent = await in_thread(reach.everyone, ASK)
        assert silent == []
        assert found == [(reach.Process(os.getpid(), path), {"ok": True, "said": "hello"})]
        process = found[0][0]
        with pytest.raises(reach.Declined) as no:
            await in_thread(process.ask, {"do": "else"})
        assert str(no.value) == f"process {os.getpid()}: no\n  ask otherwise"
        first, more = await in_thread(process.stream, {"do": "tail"})
        assert first == {"ok": True}
        assert await in_thread(list, more) == [b"one", b"two" * 50_000]
        with pytest.raises(reach.Declined):
            await in_thread(process.stream, {"do": "else"})
        await control.close()
        assert await in_thread(reach.everyone, ASK) == ([], [])
        with pytest.raises(reach.Gone, match=f"rtrun {os.getpid()} ended"):
            await in_thread(process.ask, ASK)
        with pytest.raises(reach.Gone):
            await in_thread(process.stream, {"do": "tail"})

    asyncio.run(main())


def test_a_process_that_ends_before_it_answers() -> None:
    with door(lambda came: None) as path:
        process = reach.Process(os.getpid(), path)
        with pytest.raises(reach.Gone):
            process.ask(ASK)
        assert reach.everyone(ASK) == ([], [])

    def half(came: socket.socket) -> None:
        came.recv(1000)
        came.sendall(b'{"ok": tr')

    path.unlink()
    with door(half), pytest.raises(reach.Gone):
        process.ask(ASK)


def test_a_stream_that_is_killed_ends() -> None:
    def half(came: socket.socket) -> None:
        came.recv(1000)
        came.sendall(b'{"ok": true}\n{"a": 1}\n{"b": ')

    with door(half) as path:
        first, more = reach.Process(os.getpid(), path).stream({"do": "tail"})
        assert first == {"ok": True}
        assert list(more) == [b'{"a": 1}'], "half a line is none"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"hello\n", "another version"),
        (b"[]\n", "another version"),
        (b'{"ok": false, "error": "busy, try again"}\n', "busy, try again"),
    ],
)
def test_who_answers_otherwise_is_named_and_the_others_are_asked(answer: bytes, words: str) -> None:
    def serve(came: socket.socket) -> None:
        came.recv(1000)
        came.sendall(answer)

    with door(serve):
        found, [silent] = reach.everyone(ASK)
    assert found == []
    assert words in silent.message


def test_who_answers_unasked_and_closes_is_heard() -> None:
    refusal = b'{"ok": false, "error": "busy, try again"}\n'
    with door(lambda came: came.sendall(refusal)):
        for _ in range(50):  # before the question was sent, and after
            found, [silent] = reach.everyone(ASK)
            assert found == []
            assert "busy, try again" in silent.message


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.1)
    enough = threading.Event()
    with door(lambda came: enough.wait(20) and None):
        found, [silent] = reach.everyone(ASK)
        enough.set()
    assert found == []
    assert "did not answer" in silent.message


def test_an_answer_without_end_is_not_read_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "MAX_RESPONSE", 1000)

    def flood(came: socket.socket) -> None:
        came.recv(1000)
        try:
            for _ in range(1000):
                came.sendall(b"x" * 100_000)
        except OSError:
            return

    with door(flood):
        found, silent = reach.everyone(ASK)
    assert found == []
    assert silent == []


def test_a_socket_that_nobody_serves_is_swept_up() -> None:
    path = socket_of(own_folder(), 2**22 + 1)  # no process has a number that high
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(path))
    assert reach.everyone(ASK) == ([], [])
    assert not path.exists()
