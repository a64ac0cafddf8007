"""How long a call is without a line after a reset: until the next one has its history.

    PYTHONPATH=tests:. python tests/bench/reconnect.py [resets]

A real session, a proxy that resets its socket, the real engine (without voices), 50 items of
history; one line of numbers in milliseconds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys

from support.engine import Puppet, serving
from support.faults import Proxy
from support.until import until

from runner import RealtimeAgent, RealtimeSession

ITEMS = 50


async def reset(port: int) -> float:
    """One call that loses its line once."""
    times: list[float] = []
    async with Proxy(port) as proxy:
        session = RealtimeSession(
            RealtimeAgent("desk", "Be kind."), config={"output_modalities": ["text"]}
        )
        session.on("reconnected", lambda event: times.append(event.ms))
        await session.connect(api_key="key", url=f"ws://127.0.0.1:{proxy.port}/v1/realtime")
        for n in range(ITEMS):
            session.send_message(f"This is message number {n}.", respond=False)
        await until(lambda: len(session.history) == ITEMS)
        proxy.rst()
        await until(lambda: times)
        assert len(session.history) == ITEMS
        await session.close()
    return times[0]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200

    async def measure(port: int) -> list[float]:
        return sorted([await reset(port) for _ in range(count)])

    with serving(Puppet()) as server:
        times = asyncio.run(measure(server.port))
    p50, p99 = statistics.median(times), times[min(count - 1, int(count * 0.99))]
    print(
        f"reset to reconnected, {ITEMS} items, {count} resets: "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {times[-1]:.1f} ms"
    )


if __name__ == "__main__":
    main()
