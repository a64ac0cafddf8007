from __future__ import annotations

import asyncio
import importlib.util
import threading
from typing import Any

import pytest
from support.until import until

from runner import tasks
from runner.tasks import Supervisor, call_at, in_thread

pytestmark = pytest.mark.quick


def test_a_failure_is_reported_and_the_siblings_go_on() -> None:
    async def main() -> None:
        failures: list[tuple[str, BaseException]] = []
        tasks = Supervisor(lambda name, error: failures.append((name, error)))
        go = asyncio.Event()

        async def falls() -> None:
            raise ValueError("broken")

        async def stands() -> str:
            await go.wait()
            return "still here"

        other = tasks.spawn(stands(), "other")
        tasks.spawn(falls(), "tool weather")
        await until(lambda: failures)
        assert [(name, str(error)) for name, error in failures] == [("tool weather", "broken")]
        go.set()
        assert await other == "still here"
        assert len(tasks) == 0
        await tasks.close()

    asyncio.run(main())


def test_close_cancels_waits_and_takes_nothing_more() -> None:
    async def main() -> None:
        failures: list[str] = []
        tasks = Supervisor(lambda name, error: failures.append(name))
        cleaned = False

        async def works() -> None:
            nonlocal cleaned
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned = True

        child = tasks.spawn(works(), "child")
        await asyncio.sleep(0)
        await tasks.close()
        assert cleaned
        assert child.cancelled()
        assert failures == []
        await tasks.close()
        with pytest.raises(RuntimeError, match="late was not started"):
            tasks.spawn(works(), "late")

    asyncio.run(main())


def test_close_is_bounded_by_a_child_that_will_not_end() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def stubborn() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        tasks = Supervisor(lambda name, error: None)
        child = tasks.spawn(stubborn(), "stubborn")
        await asyncio.sleep(0)
        await tasks.close(within=0.01)
        assert not child.done()
        release.set()
        await child

    asyncio.run(main())


def test_a_child_may_close_its_own_supervisor() -> None:
    async def main() -> None:
        tasks = Supervisor(lambda name, error: None)

        async def ends_it() -> str:
            await tasks.close()
            return "done"

        assert await tasks.spawn(ends_it(), "ends") == "done"

    asyncio.run(main())


def test_in_thread_runs_off_the_loop() -> None:
    async def main() -> None:
        assert await in_thread(threading.get_ident) != threading.get_ident()

    asyncio.run(main())


def test_a_program_runs_to_its_end_on_the_fastest_loop_there_is() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    found = importlib.util.find_spec("uvloop")
    assert tasks.run(main()).partition(".")[0] == ("uvloop" if found else "asyncio")


def test_a_time_that_is_over_is_now() -> None:
    """Pyodide's loop, in a Worker, takes no delay below nothing."""

    class Strict(asyncio.SelectorEventLoop):
        def call_later(self, delay: float, *args: Any, **more: Any) -> asyncio.TimerHandle:
            if delay < 0:
                raise ValueError("Can't schedule in the past")
            return super().call_later(delay, *args, **more)

    async def main() -> None:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        call_at(loop, loop.time() - 60, called.set)
        async with asyncio.timeout(20):
            await called.wait()
        timer = call_at(loop, loop.time() + 60, called.set)
        assert timer.when() > loop.time() + 30
        timer.cancel()

    with asyncio.Runner(loop_factory=Strict) as runs:
        runs.run(main())
