"""Twenty callers with speech at one engine, and one more: nobody hears of the others."""

from __future__ import annotations

import asyncio

from support.phones.crowd import Caller, Desk, desk, lag
from support.until import until

CALLS = 20
#: The engine skips what is 200 ms late. Where this process, which does next to nothing, is held up
#: for half of that, it is the machine that has no time for either.
BUSY_MS = 100


async def crowd(engine: Desk) -> tuple[list[Caller], Caller, float]:
    """Twenty who ask at nearly the same time, one who calls while they speak, and how late this
    process was itself."""
    own: list[float] = []
    callers = [Caller(number, every=600) for number in range(CALLS)]
    work = [asyncio.ensure_future(lag(own))]
    try:
        for caller in callers:
            work.append(asyncio.ensure_future(caller.ring(engine.dial)))
            await asyncio.sleep(0.05)
        await until(lambda: all(c.sound.came for c in callers), 60)
        late = Caller(CALLS)
        await late.ring(engine.dial)
        await until(lambda: all(c.heard for c in callers), 90)
    finally:
        for task in work:
            task.cancel()
    for caller in [*callers, late]:
        caller.leave()
    return callers, late, max(own)


def test_twenty_callers_are_answered_without_a_gap_and_one_more_is_refused() -> None:
    with desk("--max-sessions", str(CALLS)) as engine:
        callers, late, own = asyncio.run(crowd(engine))
    assert late.refused == 486
    assert not any(caller.refused for caller in callers)
    skipped = [caller.sound.skipped for caller in callers]
    assert own > BUSY_MS or skipped == [0] * CALLS
