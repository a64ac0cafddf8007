"""How long the engine's event loop is held up while callers speak and are answered.

    python tests/bench/loop_lag.py --sessions 2 --seconds 20

Each session is one caller in real time: 20 ms of sound at a time through buffer and voice
detector, recognition at each pause, and an answer spoken at the end of each turn. A ticker asks
for 1 ms sleeps all the while; what comes back later is lag. Goal: p99 under 20 ms for two sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runner.audio.formats import PCM16
from runner.engine.hearing.input import InputBuffer
from runner.engine.hearing.turns import (
    Pause,
    SpeechStarted,
    SpeechStopped,
    TurnConfig,
    TurnDetector,
)
from runner.engine.speaking.models import LocalModels
from runner.media.resample import resample
from runner.tasks import Supervisor

QUESTIONS = (
    "What are your opening hours?",
    "I would like to book an appointment for Tuesday at nine.",
)
ANSWER = (
    "We are open from nine to five on Monday, Tuesday and Wednesday, and the parking behind the "
    "house is free. Your appointment is on Tuesday, March third, at nine thirty. Anything else?"
)


def flite(text: str) -> bytes:
    command = ["flite", "-voice", "slt", "-t", text, "-o", "/dev/stdout"]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    return resample(out[44:], int.from_bytes(out[24:28], "little"), PCM16.rate)


class Numbers:
    def __init__(self) -> None:
        self.lag: list[float] = []
        self.hearing: list[float] = []
        self.first_sound: list[float] = []
        self.turns = 0


async def tick(numbers: Numbers, until: float) -> None:
    while (began := time.perf_counter()) < until:
        await asyncio.sleep(0.001)
        numbers.lag.append((time.perf_counter() - began) * 1000 - 1)


async def call(models: LocalModels, sound: bytes, numbers: Numbers, until: float) -> None:
    buffer, vad = InputBuffer(PCM16), models.vad()
    detector = TurnDetector(TurnConfig("server_vad", silence_duration_ms=200))
    jobs = Supervisor(lambda name, error: print(name, error, file=sys.stderr))
    start = 0

    async def hear(pcm: bytes) -> None:
        began = time.perf_counter()
        await models.ears.transcribe(pcm)
        numbers.hearing.append((time.perf_counter() - began) * 1000)

    async def answer() -> None:
        began = time.perf_counter()
        first = True
        async for _ in models.voice.say(ANSWER, "marin", 1.0):
            if first:
                numbers.first_sound.append((time.perf_counter() - began) * 1000)
            first = False

    due = time.perf_counter()
    at = 0
    while due < until:
        due += 0.02
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        for frame in buffer.append(sound[at : at + 960]):
            for event in detector.frame(vad(frame)):
                if isinstance(event, SpeechStarted):
                    start = event.keep_from_ms
                    buffer.hold(start)
                elif isinstance(event, Pause):
                    jobs.spawn(hear(buffer.pcm16k(start)), "hear")
                elif isinstance(event, SpeechStopped):
                    buffer.commit(start, detector.position_ms)
                    numbers.turns += 1
                    jobs.spawn(answer(), "answer")
        at = (at + 960) % len(sound)
    await jobs.close()


def percentiles(name: str, values: list[float]) -> None:
    values = sorted(values) or [0.0]
    p50, p99 = (values[int(len(values) * p)] for p in (0.5, 0.99))
    print(f"{name:24} p50 {p50:7.1f}  p99 {p99:7.1f}  max {values[-1]:7.1f} ms  n {len(values)}")


async def main(sessions: int, seconds: float) -> None:
    models = LocalModels()
    began = time.perf_counter()
    models.load()
    print(f"models loaded and used   {time.perf_counter() - began:.2f} s")
    silence = bytes(48000)
    sounds = [b"".join(flite(q) + silence for q in QUESTIONS)] * sessions
    for n in (0, sessions):
        numbers = Numbers()
        jobs = Supervisor(lambda name, error: print(name, error, file=sys.stderr))
        until = time.perf_counter() + (seconds if n else min(seconds, 3))
        work = [jobs.spawn(tick(numbers, until), "tick")]
        for k in range(n):
            shift = k * 31_680 % len(sounds[k])
            sound = sounds[k][shift:] + sounds[k][:shift]
            work.append(jobs.spawn(call(models, sound, numbers, until), f"call {k}"))
        cpu = time.process_time()
        await asyncio.gather(*work)
        print(f"{n} sessions: {numbers.turns} turns, {time.process_time() - cpu:.1f} s of CPU")
        percentiles("  loop lag", numbers.lag)
        if n:
            percentiles("  recognition", numbers.hearing)
            percentiles("  first clause's sound", numbers.first_sound)
    models.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    asyncio.run(main(options.sessions, options.seconds))
