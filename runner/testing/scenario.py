"""Two sides of a test, the code under test and the script of its server, until both are done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from runner.tasks import Supervisor
from runner.testing.calls import Ledger, ScriptError

T = TypeVar("T")


async def play(
    ledger: Ledger,
    exercise: Callable[[], Awaitable[T]],
    script: Callable[[], Awaitable[object]],
) -> T:
    """See :meth:`ScriptedTransport.run_scenario`."""
    broken = ledger.begin()
    sides = Supervisor(lambda name, error: None)  # failures are raised below
    mine = sides.spawn(_of(exercise), "exercise")
    theirs = sides.spawn(_of(script), "script")
    try:
        await asyncio.wait({mine, theirs}, return_when=asyncio.FIRST_COMPLETED)
        if theirs.done() and not mine.done():
            theirs.result()
            await asyncio.wait({mine})
        result = mine.result()
        ledger.end(_ended(ledger))
        if not broken.done():
            either: set[asyncio.Future[Any]] = {theirs, broken}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            raise broken.result()
        theirs.result()
        if ledger.unseen is not None:
            raise ledger.unseen
        return result
    except BaseException as error:
        ledger.end(error)
        raise
    finally:
        await sides.close()


async def _of(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _ended(ledger: Ledger) -> ScriptError:
    still = ", ".join(ledger.waiting) or "more"
    return ScriptError(
        f"the exercise has ended, and the script still expects {still}",
        "is a call missing, or does the exercise end too early?",
    )
