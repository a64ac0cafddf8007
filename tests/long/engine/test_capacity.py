"""Issue 6 whole: 20 calls, one more each second, with questions all along: nothing is dropped."""

from __future__ import annotations

import asyncio
import time

import pytest
from support.phones.crowd import Caller, Desk, desk
from support.until import until

CALLS, SECONDS, EVERY = 20, 60, 12.0


async def crowd(engine: Desk, noise: float | None) -> list[Caller]:
    callers = [Caller(number, EVERY, noise) for number in range(CALLS)]
    talking = []
    try:
        for caller in callers:
            talking.append(asyncio.ensure_future(caller.ring(engine.dial)))
            await asyncio.sleep(1)
        await until(lambda: all(c.sound.came for c in callers), 60)
        await asyncio.sleep(SECONDS)
    finally:
        for task in talking:
            task.cancel()
    for caller in callers:
        caller.leave()
    return callers


@pytest.mark.parametrize("noise", [None, -50.0])
def test_twenty_calls_lose_nothing(noise: float | None) -> None:
    with desk() as engine:
        callers = asyncio.run(crowd(engine, noise))
    last = time.monotonic() - EVERY
    for caller in callers:
        asked = [at for at in caller.asked if at < last]
        assert len(asked) >= SECONDS // EVERY - 1
        assert all(any(at < t < at + EVERY for t in caller.sound.loud) for at in asked)
        assert caller.sound.skipped == 0
