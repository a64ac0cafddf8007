"""The control socket: one question, one answer, for whom it is, and within bounds."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.until import until

from runner.errors import InputError
from runner.serve import control as c
from runner.serve.sockets import own_folder
from runner.serve.verbs import Stream

pytestmark = pytest.mark.quick

HELLO = {"ok": True, "said": "hello"}


class Hall:
    """What answers behind the door: each request in words of a test."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.reply: Any = HELLO
        self.slow = asyncio.Event()
        self.slow.set()

    async def answer(self, request: Any) -> Any:
        self.heard.append(request)
        await self.slow.wait()
        if request == {"do": "break"}:
            raise RuntimeError("a house that fails")
        return self.reply

    def stream(self, *lines: str, forever: bool = False) -> asyncio.Event:
        """The next reply is a stream; the event is set when it is closed."""
        closed = asyncio.Event()

        async def give() -> AsyncGenerator[str, None]:
            for line in lines:
                yield line
            if forever:
                await asyncio.Event().wait()

        self.reply = Stream(HELLO, give(), closed.set)
        return closed


Test = Callable[[Hall, Path, c.Control], Awaitable[None]]


def with_control(test: Test, *, seconds: float = 20.0) -> list[str]:
    """Runs it, and gives the names of what failed inside."""
    failed: list[str] = []

    async def main() -> None:
        hall = Hall()
        control = c.Control(hall, lambda name, error: failed.append(name), seconds=seconds)
        path = await control.open()
        try:
            await test(hall, path, control)
        finally:
            await control.close()
        assert not path.exists()
        await control.close()

    asyncio.run(main())
    return failed


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def say(path: Path, text: bytes, *, end: bool = False) -> bytes:
    """What comes back, up to the end of the connection."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(text)
        if end:
            writer.write_eof()
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def ask(path: Path, request: Any) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(await say(path, json.dumps(request).encode() + b"\n"))
    return reply


ASK = {"do": "ps"}


def test_what_is_asked_is_answered_to_this_user_alone() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert path.name == f"{os.getpid()}.sock"
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
        assert await ask(path, ASK) == HELLO
        assert hall.heard == [ASK]

    assert with_control(test) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"no json\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b'{"do": "' + b"x" * c.MAX_LINE + b'"}\n', f"at most {c.MAX_LINE}"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(line: bytes, words: str) -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        reply = json.loads(await say(path, line))
        assert reply["ok"] is False
        assert words in reply["error"]
        assert hall.heard == []
        assert (await ask(path, ASK))["ok"], "the door stays open"

    assert with_control(test) == []


def test_what_cannot_be_encoded_is_answered_all_the_same() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        hall.reply = {"ok": True, "said": "\ud800"}
        assert (await ask(path, ASK))["said"] == "?"

    assert with_control(test) == []


def test_one_question_a_connection() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        both = json.dumps(ASK).encode() + b"\n"
        assert (await say(path, both + both)).count(b"\n") == 1
        assert await say(path, b'{"do": "approv', end=True) == b"", "half a question is none"

    assert with_control(test) == []


def test_who_asks_nothing_is_let_go() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert await say(path, b"") == b""
        assert await say(path, b'{"do":') == b""

    assert with_control(test, seconds=0.05) == []


def test_who_does_not_read_is_let_go() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        hall.reply = {"ok": True, "said": "x" * 8_000_000}
        reader, writer = await asyncio.open_unix_connection(path, limit=1024)
        writer.write(b'{"do": "ps"}\n')
        await until(lambda: len(control._tasks) == 1)
        await until(lambda: len(control._tasks) == 0)
        writer.transport.abort()
        del reader

    assert with_control(test, seconds=0.2) == []


def test_so_many_at_once_and_no_more() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        idle = [await asyncio.open_unix_connection(path) for _ in range(c.MAX_CLIENTS)]
        await until(lambda: len(control._tasks) == c.MAX_CLIENTS)
        reply = json.loads(await say(path, b""))
        assert reply == {"ok": False, "error": "busy, try again"}
        for _, writer in idle:
            writer.transport.abort()
        await until(lambda: len(control._tasks) == 0)
        assert (await ask(path, ASK))["ok"]

    assert with_control(test) == []


def test_a_house_that_fails_is_told_of_and_the_door_stays_open() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert await say(path, json.dumps({"do": "break"}).encode() + b"\n") == b""
        assert (await ask(path, ASK))["ok"]

    assert with_control(test) == ["control"]


def test_closing_cuts_off_what_is_being_answered() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        hall.slow.clear()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(json.dumps(ASK).encode() + b"\n")
        await until(lambda: hall.heard)
        await control.close()
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()

    assert with_control(test) == []


def test_a_stream_is_given_line_by_line_until_it_ends() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        closed = hall.stream('{"a":1}', '{"b":"\ud800"}')
        got = (await say(path, json.dumps(ASK).encode() + b"\n")).splitlines()
        assert json.loads(got[0]) == HELLO
        assert got[1:] == [b'{"a":1}', b'{"b":"?"}']
        assert closed.is_set()
        hall.reply = HELLO
        assert (await ask(path, ASK))["ok"]

    assert with_control(test) == []


def test_a_stream_is_closed_when_its_reader_goes() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        closed = hall.stream(forever=True)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(json.dumps(ASK).encode() + b"\n")
        await reader.readline()
        assert not closed.is_set()
        writer.close()
        async with asyncio.timeout(20):
            await closed.wait()
        await until(lambda: len(control._tasks) == 0)

    assert with_control(test) == []


def test_streams_take_no_room_from_those_who_ask_and_have_a_bound_of_their_own() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        looking = []
        for _ in range(c.MAX_STREAMS):
            hall.stream(forever=True)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(json.dumps(ASK).encode() + b"\n")
            assert json.loads(await reader.readline()) == HELLO
            looking.append(writer)
        closed = hall.stream(forever=True)
        refused = json.loads(await say(path, json.dumps(ASK).encode() + b"\n"))
        assert refused == {"ok": False, "error": f"{c.MAX_STREAMS} are looking already"}
        assert closed.is_set()
        hall.reply = HELLO
        assert (await ask(path, ASK))["ok"]
        for writer in looking:
            writer.transport.abort()

    assert with_control(test) == []


def test_a_socket_of_a_killed_namesake_is_in_nobodys_way(runtime: Path) -> None:
    # Bound, never closed by its process, and now of our number.
    path = own_folder() / f"{os.getpid()}.sock"
    path.write_text("")

    async def test(hall: Hall, opened: Path, control: c.Control) -> None:
        assert opened == path
        assert (await ask(path, ASK))["ok"]

    assert with_control(test) == []


def test_where_no_socket_can_stand_it_says_so(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (runtime / "rtrun").write_text("in the way")
    monkeypatch.setattr("tempfile.tempdir", str(runtime / ("x" * 100)))

    async def main() -> None:
        control = c.Control(Hall(), lambda name, error: None)
        with pytest.raises(InputError):
            await control.open()
        await control.close()

    asyncio.run(main())
