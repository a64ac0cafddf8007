"""End of the caller's speech to the first audio of the answer, and where the time goes.

    PYTHONPATH=.:tests python tests/bench/first_audio.py [--turns 40] [--sessions 1]

An engine with the rehearsal brain in a thread of this process, real ears and voice, over a real
WebSocket; callers (flite) speak utterances of 1 to 3 s in frames of 20 ms at real time, with
silence_duration_ms 200. The end of speech is the moment at which the frame with the last audible
sample of the utterance is due; the first audio is the arrival of the first audio delta. Needs the
engine's models and flite.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import platform
import statistics
import time
from typing import Any

import numpy as np
from support.engine import Client, Serving, connected, serving, speech_models, spoken
from support.speech import voiced_ms

from runner.engine.brain import make_brain

FRAME = 960  # 20 ms of pcm 24 kHz
SILENCE_MS = 200
INSTRUCTIONS = """You are the front desk of Northwind Dental.
We are open from 9 to 5, Monday to Friday, and from 10 to 2 on Saturday.
A cleaning costs 90 dollars. We are at 12 Main Street. Parking is behind the building."""
UTTERANCES = (
    "Hello.",
    "What are your opening hours?",
    "And on Saturday?",
    "How much is a cleaning?",
    "Where can I find you?",
    "Can I park my car somewhere near your office?",
    "What does it cost to have my teeth cleaned?",
    "Thank you very much.",
)


class Steps(logging.Handler):
    """What the engine notes of each spoken turn, in its own log."""

    def __init__(self) -> None:
        super().__init__()
        self.by_response: dict[str, dict[str, float]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        steps: dict[str, Any] | None = getattr(record, "steps", None)
        if steps is not None:
            self.by_response[steps["response"]] = steps


async def caller(server: Serving, turns: int, first: int, steps: Steps, rows: list) -> None:
    async with connected(server, judge=False) as client:
        await client.update(instructions=INSTRUCTIONS)
        await client.detection(type="server_vad", silence_duration_ms=SILENCE_MS)
        for n in range(turns):
            text = UTTERANCES[(first + n) % len(UTTERANCES)]
            rows.append(await one_turn(client, spoken(text), steps))


async def one_turn(client: Client, pcm: bytes, steps: Steps) -> dict[str, float]:
    stop = asyncio.Event()
    began: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def microphone() -> None:
        frames = [pcm[i : i + FRAME].ljust(FRAME, b"\0") for i in range(0, len(pcm), FRAME)]
        due = time.monotonic()
        began.set_result(due)
        sent = 0
        while not stop.is_set():
            await client.append(frames[sent] if sent < len(frames) else bytes(FRAME))
            sent += 1
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def ears() -> tuple[float, dict]:
        delta = await client.until("response.output_audio.delta")
        arrived = time.monotonic()
        done = await client.until("response.done")
        await asyncio.sleep(0.3)
        stop.set()
        client.events.clear()
        client._from = 0
        return arrived, {"delta": delta, "done": done}

    _, (arrived, events) = await asyncio.gather(microphone(), ears())
    end = began.result() + voiced_ms(np.frombuffer(pcm, "<i2"), 300)[1] / 1000 + 0.02
    step = steps.by_response[events["delta"]["response_id"]]
    row = {
        "total": arrived - end,
        "pause seen": step["paused"] - end,
        "recognised": step["recognised"] - step["paused"],
        "turn over": step["stopped"] - end,
        "thought": step["words"] - step["recognised"],
        "spoken": step["sound"] - step["words"],
        "waited for the end of turn": max(0.0, step["stopped"] - step["sound"]),
        "sent": step["sent"] - max(step["stopped"], step["sound"]),
        "on the wire": arrived - step["sent"],
    }
    return {name: value * 1000 for name, value in row.items()}


async def lag(worst: list[float], stop: asyncio.Event) -> None:
    while not stop.is_set():
        before = time.monotonic()
        await asyncio.sleep(0.005)
        worst.append((time.monotonic() - before - 0.005) * 1000)


async def measure(server: Serving, turns: int, sessions: int, steps: Steps) -> list[dict]:
    rows: list[dict] = []
    await asyncio.gather(*(caller(server, turns, n * 3, steps, rows) for n in range(sessions)))
    return rows


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--turns", type=int, default=40, help="turns a session")
    options.add_argument("--sessions", type=int, default=1)
    asked = options.parse_args()

    steps = Steps()
    log = logging.getLogger("runner.engine")
    log.setLevel(logging.DEBUG)
    log.addHandler(steps)
    log.propagate = False
    lags: list[float] = []
    with serving(make_brain(), speech_models()) as server:
        assert server.loop is not None
        stop = asyncio.Event()
        watching = asyncio.run_coroutine_threadsafe(lag(lags, stop), server.loop)
        rows = asyncio.run(measure(server, asked.turns, asked.sessions, steps))
        server.loop.call_soon_threadsafe(stop.set)
        watching.result(5)

    lengths = [len(spoken(text)) / 48000 for text in UTTERANCES]
    print(f"{platform.machine()}, {len(rows)} turns, {asked.sessions} session(s), ", end="")
    print(f"utterances {min(lengths):.1f} to {max(lengths):.1f} s, silence {SILENCE_MS} ms")
    print(f"{'ms':<28}{'p50':>8}{'p95':>8}")
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:<28}{statistics.median(values):>8.0f}{quantile(values, 0.95):>8.0f}")
    worst = quantile(lags, 0.99)
    print(f"{'engine loop lag':<28}{statistics.median(lags):>8.1f}{worst:>8.1f} (p99)")


if __name__ == "__main__":
    main()
