"""The control socket: one question, one answer, for whom it is, and within bounds."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.until import until

from runner.errors import InputError
from runner.serve import control as c
from runner.serve.sockets import own_folder

pytestmark = pytest.mark.quick

BOOK = c.Waiting("call_1", "c1", "book", '{"day":"Tuesday"}', "desk", "function", 1.5)


class Hall:
    """A house with one call that waits."""

    deployment = "shop"

    def __init__(self) -> None:
        self.waiting: list[c.Waiting] = [BOOK]
        self.heard: list[tuple[Any, ...]] = []
        self.slow = asyncio.Event()
        self.slow.set()

    def approvals(self) -> Sequence[c.Waiting]:
        return self.waiting

    async def decide(
        self, session: str, call_id: str, *, yes: bool, message: str | None, always: bool
    ) -> bool:
        self.heard.append((session, call_id, yes, message, always))
        await self.slow.wait()
        if call_id == "broken":
            raise RuntimeError("a house that fails")
        return any((w.session, w.call_id) == (session, call_id) for w in self.waiting)


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


DECIDE = {"do": "decide", "session": "call_1", "call_id": "c1", "yes": True}


def test_what_waits_is_told_to_this_user_alone() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert path.name == f"{os.getpid()}.sock"
        assert (mode(path), mode(path.parent)) == (0o600, 0o700)
        assert await ask(path, {"do": "approvals"}) == {
            "ok": True,
            "pid": os.getpid(),
            "deployment": "shop",
            "approvals": [asdict(BOOK)],
        }

    assert with_control(test) == []


def test_a_decision_is_passed_on() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert await ask(path, DECIDE) == {"ok": True, "done": True}
        no = {**DECIDE, "call_id": "c2", "yes": False, "message": "not today", "always": True}
        assert await ask(path, no) == {"ok": True, "done": False}
        assert hall.heard == [
            ("call_1", "c1", True, None, False),
            ("call_1", "c2", False, "not today", True),
        ]

    assert with_control(test) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"no json\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"[1]\n", "not an object"),
        (b"{}\n", "no such request"),
        (b'{"do": "leave"}\n', "no such request"),
        (b'{"do": ["approvals"]}\n', "no such request"),
        (b'{"do": "decide"}\n', "session and call_id"),
        (json.dumps({**DECIDE, "call_id": 7}).encode() + b"\n", "session and call_id"),
        (json.dumps({**DECIDE, "yes": 1}).encode() + b"\n", "yes and always"),
        (json.dumps({**DECIDE, "always": None}).encode() + b"\n", "yes and always"),
        (json.dumps({**DECIDE, "message": {}}).encode() + b"\n", "message"),
        (b'{"do": "' + b"x" * c.MAX_LINE + b'"}\n', f"at most {c.MAX_LINE}"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(line: bytes, words: str) -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        reply = json.loads(await say(path, line))
        assert reply["ok"] is False
        assert words in reply["error"]
        assert hall.heard == []
        assert (await ask(path, {"do": "approvals"}))["ok"], "the door stays open"

    assert with_control(test) == []


def test_one_question_a_connection() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        both = json.dumps({"do": "approvals"}).encode() + b"\n"
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
        hall.waiting = [c.Waiting("s", "c", "t", "x" * 8_000_000, "a", "function", 0.0)]
        reader, writer = await asyncio.open_unix_connection(path, limit=1024)
        writer.write(b'{"do": "approvals"}\n')
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
        assert (await ask(path, {"do": "approvals"}))["ok"]

    assert with_control(test) == []


def test_a_house_that_fails_is_told_of_and_the_door_stays_open() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        assert await say(path, json.dumps({**DECIDE, "call_id": "broken"}).encode() + b"\n") == b""
        assert (await ask(path, {"do": "approvals"}))["ok"]

    assert with_control(test) == ["control"]


def test_closing_cuts_off_what_is_being_answered() -> None:
    async def test(hall: Hall, path: Path, control: c.Control) -> None:
        hall.slow.clear()
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(json.dumps(DECIDE).encode() + b"\n")
        await until(lambda: hall.heard)
        await control.close()
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()

    assert with_control(test) == []


def test_a_socket_of_a_killed_namesake_is_in_nobodys_way(runtime: Path) -> None:
    # Bound, never closed by its process, and now of our number.
    path = own_folder() / f"{os.getpid()}.sock"
    path.write_text("")

    async def test(hall: Hall, opened: Path, control: c.Control) -> None:
        assert opened == path
        assert (await ask(path, {"do": "approvals"}))["ok"]

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
