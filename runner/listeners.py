"""on, off, once: listeners by name, sync or async, whose faults stay their own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from runner.tasks import Supervisor

Handler = Callable[..., Any]


class Listeners:
    """A set of handlers by event name. One that raises is shown by the loop's exception handler
    and stops neither the others nor the call."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}
        self._tasks: Supervisor | None = None

    def on(self, name: str, handler: Handler) -> None:
        """Call ``handler(event)`` for each event of this name, ``*`` for all; sync or async."""
        self._handlers.setdefault(name, []).append(handler)

    def off(self, name: str, handler: Handler) -> None:
        """Take a handler back; one that is not there is no error."""
        handlers = self._handlers.get(name, [])
        for one in handlers:
            if handler in (one, getattr(one, "once_for", None)):
                handlers.remove(one)
                break
        if not handlers:
            self._handlers.pop(name, None)

    def once(self, name: str, handler: Handler) -> None:
        """Like :meth:`on`, for the next such event alone."""

        def run_once(*args: Any) -> Any:
            self.off(name, run_once)
            return handler(*args)

        run_once.once_for = handler  # type: ignore[attr-defined]  # so that off(handler) finds it
        self.on(name, run_once)

    def listens(self, name: str) -> bool:
        """Does anybody want events of this name?"""
        return name in self._handlers

    def call(self, name: str, *args: Any) -> None:
        """Call the handlers of ``name``, in the order in which they came."""
        handlers = self._handlers.get(name)
        if handlers is None:
            return
        for handler in tuple(handlers):
            try:
                result = handler(*args)
            except Exception as error:
                report(f"a listener of {name} raised", error)
                continue
            if result is not None and inspect.isawaitable(result):
                self._carry_on(name, result)

    def _carry_on(self, name: str, work: Any) -> None:
        if self._tasks is None:
            self._tasks = Supervisor(report)

        async def finish() -> None:
            await work

        # A coroutine is the task itself: cancelled before its first step, it leaves nothing behind.
        task = work if inspect.iscoroutine(work) else finish()
        self._tasks.spawn(task, f"a listener of {name}")

    async def stop_listeners(self) -> None:
        """End async handlers that still run, within a second."""
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            await tasks.close()


def report(what: str, error: BaseException) -> None:
    """Show a fault that concerns nobody else by the loop's exception handler."""
    asyncio.get_running_loop().call_exception_handler({"message": what, "exception": error})
