from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from runner.errors import ToolError
from runner.tools.base import ToolContext, as_output
from runner.tools.schema import function_tool

pytestmark = pytest.mark.quick

CONTEXT = ToolContext(agent="desk", name="tool", call_id="call_1", context={"user": 7})


def run(function: Callable[..., Any], arguments: str = "{}", timeout: float = 5.0) -> str:
    tool = function_tool(function, name="it", timeout=timeout)
    return asyncio.run(tool.run(arguments, CONTEXT))


def test_arguments_arrive_by_name() -> None:
    assert run(lambda: "nothing", "") == "nothing"

    def add(a: int, b: int = 1) -> int:
        return a + b

    assert run(add, '{"a": 2}') == "3"
    assert run(add, '{"b": 3, "a": 2}') == "5"


def test_a_sync_tool_runs_in_a_thread_of_its_own() -> None:
    def where() -> bool:
        return threading.current_thread() is not threading.main_thread()

    assert run(where) == "true"


def test_an_async_tool_runs_on_the_loop() -> None:
    async def where() -> bool:
        await asyncio.sleep(0)
        return threading.current_thread() is threading.main_thread()

    assert run(where) == "true"


def test_an_object_with_an_async_call() -> None:
    class Adder:
        async def __call__(self, a: int) -> int:
            return a + 1

    async def main() -> str:
        return await function_tool(lambda a: Adder()(a), name="adder").run('{"a": 1}', CONTEXT)

    assert asyncio.run(main()) == "2"


def test_a_sync_tool_that_hangs_times_out_and_holds_up_nobody() -> None:
    release = threading.Event()

    def hangs() -> None:
        release.wait()

    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(tick())
            with pytest.raises(ToolError, match=r"Tool 'it' timed out after 50ms\."):
                await function_tool(hangs, name="it", timeout=0.05).run("{}", CONTEXT)
            ticking.cancel()
        return ticks

    # asyncio.run returns: the loop does not wait for the thread.
    try:
        assert asyncio.run(main()) > 10
        hanging = [t for t in threading.enumerate() if t.name == "tool it"]
        assert [t.daemon for t in hanging] == [True]
    finally:
        release.set()
        for thread in hanging:
            thread.join()


def test_a_tool_that_ends_after_the_loop_has_gone_is_silent() -> None:
    release, failures = threading.Event(), []
    before = threading.excepthook
    threading.excepthook = failures.append
    try:
        with pytest.raises(ToolError, match="timed out"):
            run(release.wait, timeout=0.01)
        late = [t for t in threading.enumerate() if t.name == "tool it"]
        release.set()
        for thread in late:
            thread.join()
    finally:
        threading.excepthook = before
    assert late
    assert failures == []


def test_an_async_tool_that_hangs_is_cancelled() -> None:
    ended: list[str] = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    with pytest.raises(ToolError, match="timed out after 20ms"):
        run(hangs, timeout=0.02)
    assert ended == ["ended"]


def _raises(error: BaseException) -> Callable[[], None]:
    def broken() -> None:
        raise error

    return broken


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such day"), "ValueError: no such day"),
        (KeyError(), "KeyError"),
        (StopIteration(3), "StopIteration: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SystemExit(2), r"called exit\(2\)"),
        (TimeoutError("the database"), "TimeoutError: the database"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tool_that_raises_is_a_tool_error(error: BaseException, words: str) -> None:
    with pytest.raises(ToolError, match=words):
        run(_raises(error))


def test_an_async_tool_that_exits_does_not_end_the_process() -> None:
    async def leaves() -> None:
        sys.exit("bye")

    with pytest.raises(ToolError, match=r"called exit\(bye\)"):
        run(leaves)


def test_cancelling_a_tool_cancels_it() -> None:
    async def main() -> None:
        started = asyncio.Event()

        async def waits() -> None:
            started.set()
            await asyncio.Event().wait()

        work = asyncio.ensure_future(function_tool(waits, name="it").run("{}", CONTEXT))
        await started.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(main())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{", "the arguments are no JSON"),
        ("[1]", "the arguments are no JSON object"),
        ('"x"', "the arguments are no JSON object"),
        ("{}", "missing argument: day"),
        ('{"day": "2026-03-01", "dya": 1, "x": 2}', "unknown argument: dya, x"),
        ('{"day": "soon"}', "argument day: 'soon' is not a date such as 2026-03-01"),
        ('{"day": "2026-03-01", "context": 1}', "unknown argument: context"),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: str, words: str) -> None:
    called: list[date] = []

    def book(context: ToolContext, day: date) -> None:
        called.append(day)

    with pytest.raises(ToolError, match=words):
        run(book, arguments)
    assert called == []


def test_the_context_is_handed_in_by_its_annotation() -> None:
    def who(day: date, call: ToolContext) -> list[Any]:
        return [call.agent, call.call_id, call.context["user"], day.year]

    tool = function_tool(who)
    assert "call" not in tool.parameters["properties"]
    assert run(who, '{"day": "2026-03-01"}') == '["desk","call_1",7,2026]'


def test_a_schema_that_allows_more_takes_more_but_not_the_context() -> None:
    def free(context: ToolContext, **rest: Any) -> str:
        return f"{context.agent} {sorted(rest)}"

    tool = function_tool(free, parameters={"type": "object", "additionalProperties": True})
    given = '{"a": 1, "context": "forged"}'
    assert asyncio.run(tool.run(given, CONTEXT)) == "desk ['a']"


@dataclass
class Slot:
    day: date


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        (5, "5"),
        ({"a": [1, "ä"]}, '{"a":[1,"ä"]}'),
        (Slot(date(2026, 3, 1)), '{"day":"2026-03-01"}'),
        ({1, 2}, "{1, 2}"),
        (float("nan"), "nan"),
    ],
    ids=str,
)
def test_a_result_becomes_text(result: Any, text: str) -> None:
    assert as_output(result) == text
