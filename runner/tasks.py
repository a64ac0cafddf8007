"""The one place that creates tasks: a supervisor whose children report a failure
and do not cancel their siblings.

``asyncio.TaskGroup`` cancels everything when one child fails; in a call, a tool that
raises must not take the line down. Here a failure goes to ``on_failure`` and the rest
goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")

OnFailure = Callable[[str, BaseException], None]


class Supervisor:
    """Owns tasks. ``on_failure(name, error)`` is called in the loop for each child that raised."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._on_failure = on_failure
        self._children: set[asyncio.Task[Any]] = set()
        self._closing = False

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start ``work`` as a child. RuntimeError after close()."""
        if self._closing:
            work.close()
            raise RuntimeError(f"supervisor is closed, {name} was not started")
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._children.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._children.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_failure(task.get_name(), error)

    def __len__(self) -> int:
        return len(self._children)

    async def finish(self, within: float = 2.0) -> None:
        """Wait until all children are done by themselves, at most ``within`` seconds."""
        if self._children:
            await asyncio.wait(set(self._children), timeout=within)

    async def close(self, within: float = 1.0) -> None:
        """Cancel all children and wait for them, at most ``within`` seconds. Idempotent."""
        self._closing = True
        me = asyncio.current_task()
        pending = [t for t in self._children if t is not me]
        for task in pending:
            task.cancel()
        if pending:
            await asyncio.wait(pending, timeout=within)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program's main coroutine to its end, on uvloop when that is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def call_at(
    loop: asyncio.AbstractEventLoop, when: float, callback: Callable[[], object]
) -> asyncio.TimerHandle:
    """``callback`` at ``when`` of the loop's clock, or at once when that is over: asyncio's own
    loops take such a time, the one of Pyodide raises."""
    return loop.call_later(max(0.0, when - loop.time()), callback)


async def in_thread(work: Callable[..., T], *args: Any) -> T:
    """Run blocking ``work(*args)`` in the default executor, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *args)


class Done:
    """What has happened already, and may be awaited all the same."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


DONE = Done()
