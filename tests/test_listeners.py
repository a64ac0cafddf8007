from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.until import until

from runner.listeners import Listeners

pytestmark = pytest.mark.quick


def test_listeners_are_called_in_the_order_they_came() -> None:
    heard: list[str] = []
    events = Listeners()
    events.on("turn", lambda e: heard.append(f"a{e}"))
    events.on("turn", lambda e: heard.append(f"b{e}"))
    events.call("turn", 1)
    events.call("other", 2)
    assert heard == ["a1", "b1"]


def test_off_and_listens() -> None:
    heard: list[int] = []
    events = Listeners()
    assert not events.listens("turn")
    events.on("turn", heard.append)
    assert events.listens("turn")
    events.off("turn", heard.append)
    events.off("turn", heard.append)
    events.off("never", heard.append)
    assert not events.listens("turn")
    events.call("turn", 1)
    assert heard == []


def test_once_is_once_and_can_be_taken_back() -> None:
    heard: list[int] = []
    events = Listeners()
    events.once("turn", heard.append)
    events.call("turn", 1)
    events.call("turn", 2)
    events.once("turn", heard.append)
    events.off("turn", heard.append)
    events.call("turn", 3)
    assert heard == [1]
    assert not events.listens("turn")


def test_a_listener_may_change_the_listeners() -> None:
    heard: list[str] = []
    events = Listeners()

    def first(_: Any) -> None:
        heard.append("first")
        events.off("turn", first)
        events.on("turn", lambda _: heard.append("new"))

    events.on("turn", first)
    events.on("turn", lambda _: heard.append("second"))
    events.call("turn", 0)
    assert heard == ["first", "second"]
    events.call("turn", 0)
    assert heard == ["first", "second", "second", "new"]


def _reports(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: seen.append(context))
    return seen


def test_a_listener_that_raises_stops_nobody() -> None:
    async def main() -> None:
        seen = _reports(asyncio.get_running_loop())
        heard: list[int] = []
        events = Listeners()

        def broken(_: Any) -> None:
            raise KeyError("oops")

        events.on("turn", broken)
        events.on("turn", heard.append)
        events.call("turn", 1)
        assert heard == [1]
        assert [(s["message"], type(s["exception"])) for s in seen] == [
            ("a listener of turn raised", KeyError)
        ]

    asyncio.run(main())


def test_async_listeners_run_and_their_faults_are_shown() -> None:
    async def main() -> None:
        seen = _reports(asyncio.get_running_loop())
        heard: list[int] = []
        events = Listeners()

        async def later(value: int) -> None:
            await asyncio.sleep(0)
            heard.append(value)

        async def broken(_: int) -> None:
            raise RuntimeError("oops")

        events.on("turn", later)
        events.on("turn", broken)
        events.call("turn", 7)
        await until(lambda: heard and seen)
        assert heard == [7]
        assert str(seen[0]["exception"]) == "oops"
        await events.stop_listeners()

    asyncio.run(main())


def test_stop_ends_async_listeners_and_new_ones_may_follow() -> None:
    async def main() -> None:
        ended: list[str] = []
        events = Listeners()

        async def waits(_: Any) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        events.on("turn", waits)
        events.call("turn", None)
        await asyncio.sleep(0)
        await events.stop_listeners()
        await events.stop_listeners()
        assert ended == ["ended"]
        events.call("turn", None)
        await asyncio.sleep(0)
        await events.stop_listeners()
        assert ended == ["ended", "ended"]

    asyncio.run(main())
