"""Asking running processes from outside: those that answer, and those that do not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest
from support.doors import door

from runner.serve import reach
from runner.serve.control import Control, Waiting
from runner.serve.sockets import own_folder, socket_of
from runner.tasks import in_thread

pytestmark = pytest.mark.quick

BOOK = Waiting("call_1", "c1", "book", '{"day":"Tuesday"}', "desk", "function", 1.5)


class Hall:
    deployment = "shop"
    yes = False

    def approvals(self) -> list[Waiting]:
        return [BOOK]

    async def decide(
        self, session: str, call_id: str, *, yes: bool, message: str | None, always: bool
    ) -> bool:
        self.yes = yes
        return (session, call_id) == ("call_1", "c1")


def test_a_running_process_is_found_asked_and_told() -> None:
    async def main() -> None:
        hall = Hall()
        control = Control(hall, lambda name, error: None)
        path = await control.open()
        found, silent = await in_thread(reach.processes)
        assert silent == []
        assert found == [reach.Process(os.getpid(), path, "shop", (BOOK,))]
        assert await in_thread(lambda: found[0].decide(BOOK, yes=True))
        assert hall.yes
        gone = Waiting("call_1", "c2", "book", "{}", "desk", "function", 0.0)
        assert not await in_thread(lambda: found[0].decide(gone, yes=True))
        await control.close()
        assert await in_thread(reach.processes) == ([], [])
        with pytest.raises(reach.Gone, match=f"rtrun {os.getpid()} ended"):
            await in_thread(lambda: found[0].decide(BOOK, yes=True))

    asyncio.run(main())


def test_a_process_that_ends_before_it_answers() -> None:
    with door(lambda came: None) as path:
        process = reach.Process(os.getpid(), path, "shop", (BOOK,))
        with pytest.raises(reach.Gone):
            process.decide(BOOK, yes=True)
        assert reach.processes() == ([], [])

    def half(came: socket.socket) -> None:
        came.recv(1000)
        came.sendall(b'{"ok": tr')

    path.unlink()
    with door(half), pytest.raises(reach.Gone):
        process.decide(BOOK, yes=True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"hello\n", "another version"),
        (b"[]\n", "another version"),
        (b'{"ok": true}\n', "another version"),
        (b'{"ok": true, "deployment": "x", "approvals": [{"new": 1}]}\n', "another version"),
        (b'{"ok": false, "error": "busy, try again"}\n', "busy, try again"),
    ],
)
def test_who_answers_otherwise_is_named_and_the_others_are_asked(answer: bytes, words: str) -> None:
    def serve(came: socket.socket) -> None:
        came.recv(1000)
        came.sendall(answer)

    with door(serve):
        found, [silent] = reach.processes()
    assert found == []
    assert words in silent.message


def test_who_answers_unasked_and_closes_is_heard() -> None:
    refusal = b'{"ok": false, "error": "busy, try again"}\n'
    with door(lambda came: came.sendall(refusal)):
        for _ in range(50):  # before the question was sent, and after
            found, [silent] = reach.processes()
            assert found == []
            assert "busy, try again" in silent.message


def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "SECONDS", 0.1)
    enough = threading.Event()
    with door(lambda came: enough.wait(20) and None):
        found, [silent] = reach.processes()
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
        found, silent = reach.processes()
    assert found == []
    assert silent == []


def test_a_socket_that_nobody_serves_is_swept_up() -> None:
    path = socket_of(own_folder(), 2**22 + 1)  # no process has a number that high
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(path))
    assert reach.processes() == ([], [])
    assert not path.exists()
