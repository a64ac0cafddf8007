"""Readers of what happens: in order, bounded, each for itself, and told what they lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.serve import tail as t

pytestmark = pytest.mark.quick


def row(number: int, deployment: str = "shop", session: str | None = "a", **more: Any) -> t.Row:
    at = {} if session is None else {"session": session}
    return {"event": "x", "deployment": deployment, **at, "n": number, **more}


def run(test: Callable[[t.Tails], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await test(t.Tails())

    asyncio.run(main())


async def read(reader: t.Reader) -> list[dict[str, Any]]:
    """What is left when the reader is closed."""
    reader.close()
    return [json.loads(line) async for line in reader.lines()]


def test_lines_come_in_order_from_the_moment_of_opening() -> None:
    async def test(tails: t.Tails) -> None:
        tails.put("log", row(1))
        reader = tails.open("log")
        for n in (2, 3):
            tails.put("log", row(n))
        assert [line["n"] for line in await read(reader)] == [2, 3]
        tails.put("log", row(4))
        assert len(tails) == 0

    run(test)


def test_a_reader_waits_for_the_next_line() -> None:
    async def test(tails: t.Tails) -> None:
        lines = tails.open("log").lines()
        asyncio.get_running_loop().call_later(0.02, tails.put, "log", row(1))
        assert json.loads(await anext(lines))["n"] == 1
        asyncio.get_running_loop().call_later(0.02, tails.close)
        assert [line async for line in lines] == []

    run(test)


@pytest.mark.parametrize(
    ("deployment", "session", "seen"),
    [
        (None, None, [1, 2, 3, 4]),
        ("shop", None, [1, 2, 4]),
        ("shop", "a", [1, 4]),  # what concerns all calls concerns each
        ("bar", "a", []),
        ("bar", "c", [3]),
    ],
)
def test_a_reader_gets_what_it_asked_for(
    deployment: str | None, session: str | None, seen: list[int]
) -> None:
    async def test(tails: t.Tails) -> None:
        reader = tails.open("log", deployment, session)
        raw = tails.open("wire", deployment, session)
        tails.put("log", row(1))
        tails.put("log", row(2, session="b"))
        tails.put("log", row(3, "bar", "c"))
        tails.put("log", row(4, session=None))
        assert [line["n"] for line in await read(reader)] == seen
        assert await read(raw) == [], "of one kind alone"

    run(test)


def test_who_does_not_read_loses_the_oldest_and_is_told_how_many() -> None:
    async def test(tails: t.Tails) -> None:
        slow, quick = tails.open("log"), tails.open("log")
        quick_lines = quick.lines()
        for n in range(t.MAX_LINES + 7):
            tails.put("log", row(n))
            assert json.loads(await anext(quick_lines))["n"] == n, "others lose nothing"
        got = await read(slow)
        assert got[0] == {"event": "lost", "lines": 7}
        assert [line["n"] for line in got[1:]] == list(range(7, t.MAX_LINES + 7))

    run(test)


def test_large_lines_have_a_bound_together_and_the_newest_stays() -> None:
    async def test(tails: t.Tails) -> None:
        reader = tails.open("audio")
        for n in range(6):
            tails.put("audio", row(n, data="x" * (t.MAX_TEXT // 3)))
        tails.put("audio", row(6, data="x" * (2 * t.MAX_TEXT)))
        got = await read(reader)
        assert got[0] == {"event": "lost", "lines": 6}
        assert [line["n"] for line in got[1:]] == [6]

    run(test)


@given(st.lists(st.booleans(), max_size=60))
def test_what_is_read_and_what_is_lost_is_what_was_put(steps: list[bool]) -> None:
    """True puts a line, False reads one."""

    async def test(tails: t.Tails) -> None:
        reader = tails.open("log")
        lines, waiting, put, got = reader.lines(), 0, 0, 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(t, "MAX_LINES", 5)
            for step in steps:
                if step:
                    tails.put("log", row(put))
                    put, waiting = put + 1, min(5, waiting + 1)
                elif waiting:
                    line = json.loads(await anext(lines))
                    if line["event"] == "lost":
                        got += line["lines"]
                    else:
                        assert line["n"] == got, "in order, nothing twice"
                        got, waiting = got + 1, waiting - 1
            reader.close()
            async for text in lines:
                line = json.loads(text)
                got += line["lines"] if line["event"] == "lost" else 1
        assert got == put

    run(test)


def test_a_line_is_one_line_and_has_no_secrets() -> None:
    async def test(tails: t.Tails) -> None:
        tails.masked = lambda name, value: {**value, "text": f"{name}: ***"}
        reader = tails.open("log")
        tails.put("log", row(1, text="sk-123"))
        tails.masked = lambda name, value: value
        tails.put("log", row(2, text="a\u2028b\nc\x85"))
        reader.close()
        first, second = [line async for line in reader.lines()]
        assert json.loads(first)["text"] == "shop: ***"
        assert len(second.splitlines()) == 1
        assert json.loads(second)["text"] == "a\u2028b\nc\x85"

    run(test)
