"""Wait for a condition, with a deadline instead of a sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], deadline: float = 10.0) -> None:
    """Return as soon as ``condition()`` is true; TimeoutError after ``deadline`` seconds."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110 - the thing waited for has no event to offer
            await asyncio.sleep(0.005)


def until_sync(condition: Callable[[], object], deadline: float = 10.0) -> None:
    """The same outside a loop."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.005)
