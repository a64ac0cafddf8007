"""How many telephone calls one engine carries before its sound comes late.

    PYTHONPATH=.:tests python tests/bench/calls.py [--calls 20] [--step 5] [--most 60]
        [--every 12] [--noise -50]

`rtrun engine --sip` with the rehearsal brain, real ears and voice, in a process of its own;
callers of ours on UDP, one more each second, each with a spoken question every 12 s (flite) and
quiet, or noise, otherwise. When `--calls` are there, 24 s are measured (`--seconds`); then `--step`
more come, until the 99th percentile of the lateness of the engine's packets passes 20 ms. A packet
is late by how long it comes behind its own timestamp, measured from the earliest of its call.
`--write docs/performance.md` puts the table there, with the machine, the day and the command.
`waited` is the time in which the engine's loop had no core though it could have run, `callers` how
late this process is itself: on a machine with other work they say so. Needs the engine's models
and flite; the callers need a core beside the engine's.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import platform
import shlex
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support.phones.crowd import Caller, desk, lag, missing
from support.until import until

ANSWER_WITHIN = 10.0
HEAD = """\
| calls | late p50, ms | p99 | skipped, % | asked | answered | cores | waited, % | callers, p99 |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def lateness(callers: list[Caller], since: float, to: float) -> np.ndarray:
    """Milliseconds, of each packet that came in that time."""
    out = []
    for caller in callers:
        came = np.array(caller.sound.came)
        late = came[:, 0] - came[:, 1] / 8000
        out.append((late - late.min())[(came[:, 0] >= since) & (came[:, 0] < to)] * 1000)
    return np.concatenate(out)


def skipped(callers: list[Caller], since: float, to: float) -> int:
    """Packets of that time that were not sent, since their time had passed, or were lost."""
    return sum(missing([t for when, t in c.sound.came if since <= when < to]) for c in callers)


def answers(callers: list[Caller], since: float, to: float) -> tuple[int, int]:
    """Questions of that time, and how many were answered within 10 s."""
    asked = [(c, at) for c in callers for at in c.asked if since <= at < to - ANSWER_WITHIN]
    heard = [any(at < t < at + ANSWER_WITHIN for t in c.sound.loud) for c, at in asked]
    return len(asked), sum(heard)


async def measure(args: argparse.Namespace, dial: tuple[str, int], engine: int) -> list[str]:
    """The rows of the table."""
    rows: list[str] = []
    callers: list[Caller] = []
    tasks: list[asyncio.Task[None]] = []
    loop = asyncio.get_running_loop()
    own: list[float] = []
    tasks.append(loop.create_task(lag(own)))
    print(HEAD, flush=True)
    wanted = args.calls
    while wanted <= args.most:
        while len(callers) < wanted:
            caller = Caller(len(callers), args.every, args.noise)
            callers.append(caller)
            tasks.append(loop.create_task(caller.ring(dial)))
            await asyncio.sleep(1)
        await until(lambda: all(c.sound.came for c in callers), 60)
        own.clear()
        since, used, stood = time.monotonic(), cpu(engine), waited(engine)
        await asyncio.sleep(args.seconds)
        to = time.monotonic()
        late = lateness(callers, since, to)
        asked, heard = answers(callers, since, to)
        p99 = float(np.percentile(late, 99))
        rows.append(
            f"| {wanted} | {np.median(late):.1f} | {p99:.1f} "
            f"| {100 * skipped(callers, since, to) / len(late):.2f} "
            f"| {asked} | {heard} | {(cpu(engine) - used) / (to - since):.2f} "
            f"| {100 * (waited(engine) - stood) / (to - since):.0f} "
            f"| {np.percentile(own, 99):.1f} |"
        )
        print(rows[-1], flush=True)
        if p99 > 20:
            break
        wanted += args.step
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception():
            print(f"a caller failed: {task.exception()!r}", file=sys.stderr)
        task.cancel()
    for caller in callers:
        caller.leave()
    await asyncio.sleep(0.5)
    return rows


def machine() -> str:
    """What it was measured on, and when."""
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    loop = "uvloop" if find_spec("uvloop") else "asyncio"
    today = datetime.datetime.now(datetime.UTC).date()
    command = f"PYTHONPATH=.:tests python tests/bench/calls.py {shlex.join(sys.argv[1:])}"
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores that the callers use "
        f"as well, load {os.getloadavg()[0]:.1f} before, Python {platform.python_version()}, "
        f"{loop}, {today}: `{command.strip()}`"
    )


def write(page: Path, made: str) -> None:
    head, begin, rest = page.read_text(encoding="utf-8").partition("<!-- calls: -->\n\n")
    end = "\n\n<!-- end -->"
    page.write_text(head + begin + made + end + rest.partition(end)[2], encoding="utf-8")


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited(pid: int) -> float:
    """Seconds in which its main thread could have run and had no core."""
    with open(f"/proc/{pid}/task/{pid}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--step", type=int, default=5)
    parser.add_argument("--most", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=24)
    parser.add_argument("--every", type=float, default=12, help="seconds from question to question")
    parser.add_argument("--noise", type=float, help="dB of full scale, on every line")
    parser.add_argument("--write", type=Path, help="a page whose <!-- calls: --> part is made anew")
    args = parser.parse_args()
    where = machine()
    print(where, flush=True)
    with desk("--max-sessions", str(args.most + 1)) as engine:
        rows = asyncio.run(measure(args, engine.dial, engine.pid))
    if args.write is not None:
        write(args.write, "\n".join([HEAD, *rows, "", f"{where}."]))


if __name__ == "__main__":
    main()
