"""How many telephone calls one engine carries before its sound comes late.

    PYTHONPATH=.:tests python tests/bench/calls.py [--calls 20] [--step 5] [--most 60]

`rtrun engine --sip` with the rehearsal brain, real ears and voice, in a process of its own;
callers of ours on UDP, one more each second, each with a spoken question every 12 s (flite) and
quiet otherwise. When `--calls` are there, 24 s are measured (`--seconds`); then `--step` more
come, until the 99th percentile of the lateness of the engine's packets passes 20 ms. A packet is
late by how long it comes behind its own timestamp, measured from the earliest of its call.
`--write docs/performance.md` puts the table there, with the machine, the day and the command.
`waited` is the time in which the engine's loop had no core though it could have run, `callers` how
late this process is itself: on a machine with other work they say so. Needs the engine's models
and flite; the callers need a core beside the engine's.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import platform
import secrets
import shlex
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support.engine import spoken
from support.phones.operator import SECRET, SESSION, Operator
from support.until import until

from runner.audio.g711 import ulaw_decode, ulaw_encode
from runner.engine.sip.media.rtp import pack, unpack
from runner.media.resample import resample

QUESTIONS = (
    "What are your opening hours?",
    "How much is a cleaning?",
    "Where can I find you?",
    "What does it cost to have my teeth cleaned?",
)
INSTRUCTIONS = """You are the front desk of Northwind Dental.
We are open from 9 to 5, Monday to Friday, and from 10 to 2 on Saturday.
A cleaning costs 90 dollars. We are at 12 Main Street."""
EVERY = 12.0
ANSWER_WITHIN = 10.0
PACKET = 160
HEAD = """\
| calls | late p50, ms | p99 | skipped, % | asked | answered | cores | waited, % | callers, p99 |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
QUIET = b"\xff" * PACKET


class Sound(asyncio.DatagramProtocol):
    """A call's RTP: what came when, and when there was a voice in it."""

    def __init__(self) -> None:
        self.came: list[tuple[float, int]] = []
        self.loud: list[float] = []
        self.first: int | None = None

    def datagram_received(self, data: bytes, addr: object) -> None:
        packet = unpack(data)
        if packet is None:
            return
        now = time.monotonic()
        self.first = packet.timestamp if self.first is None else self.first
        self.came.append((now, packet.timestamp - self.first & 0xFFFFFFFF))
        if packet.payload != QUIET:
            level = np.abs(np.frombuffer(ulaw_decode(packet.payload), "<i2").astype(int)).max()
            if level > 500:
                self.loud.append(now)


class Caller(asyncio.DatagramProtocol):
    """One phone, with just the signalling that a call needs."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answer = b""
        self.sound = Sound()
        self.asked: list[float] = []
        self.words = b""
        self.tag = secrets.token_hex(4)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data.startswith(b"SIP/2.0 2") and b"INVITE" in data:
            self.answer = data
        elif data.startswith(b"SIP/2.0") and int(data[8:11]) >= 300:
            raise SystemExit(f"call {self.number}: {data.splitlines()[0].decode()}")

    def request(self, method: str, cseq: int, to: str, body: str = "") -> bytes:
        here = f"127.0.0.1:{self.port}"
        lines = [
            f"{method} sip:agent@{self.dial[0]}:{self.dial[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: <sip:c{self.number}@{here}>;tag={self.tag}",
            f"To: {to}",
            f"Call-ID: {self.tag}@bench",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:c{self.number}@{here}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join([*lines, "", ""]) + body).encode()

    async def ring(self, dial: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        self.dial = dial
        self.line, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = self.line.get_extra_info("sockname")[1]
        self.rtp, _ = await loop.create_datagram_endpoint(lambda: self.sound, ("127.0.0.1", 0))
        rtp = self.rtp.get_extra_info("sockname")[1]
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {rtp} RTP/AVP 0\r\n"
        )
        to = f"<sip:agent@{dial[0]}:{dial[1]}>"
        self.line.sendto(self.request("INVITE", 1, to, sdp), dial)
        await until(lambda: self.answer, 30)
        head, _, body = self.answer.decode().partition("\r\n\r\n")
        [self.to] = [line[4:] for line in head.split("\r\n") if line.startswith("To: ")]
        [port] = [line.split()[1] for line in body.split("\r\n") if line.startswith("m=audio")]
        self.line.sendto(self.request("ACK", 1, self.to), dial)
        await self.talk(("127.0.0.1", int(port)))

    async def talk(self, target: tuple[str, int]) -> None:
        begun = time.monotonic()
        for n in range(1_000_000):
            if n % round(EVERY * 50) == 100:
                question = QUESTIONS[(self.number + n) % len(QUESTIONS)]
                self.words = ulaw_encode(resample(spoken(question), 24_000, 8_000))
                self.asked.append(time.monotonic() + len(self.words) / 8000)
            payload, self.words = self.words[:PACKET], self.words[PACKET:]
            self.rtp.sendto(
                pack(0, n, PACKET * n, 7, payload.ljust(PACKET, b"\xff"), False), target
            )
            await asyncio.sleep(max(0.0, begun + (n + 1) * 0.02 - time.monotonic()))

    def leave(self) -> None:
        self.line.sendto(self.request("BYE", 2, self.to), self.dial)
        self.line.close()
        self.rtp.close()


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
    lost = 0
    for caller in callers:
        stamps = [stamp for when, stamp in caller.sound.came if since <= when < to]
        lost += (max(stamps) - min(stamps)) // PACKET + 1 - len(stamps)
    return lost


def answers(callers: list[Caller], since: float, to: float) -> tuple[int, int]:
    """Questions of that time, and how many were answered within 10 s."""
    asked = [(c, at) for c in callers for at in c.asked if since <= at < to - ANSWER_WITHIN]
    heard = [any(at < t < at + ANSWER_WITHIN for t in c.sound.loud) for c, at in asked]
    return len(asked), sum(heard)


async def lag(worst: list[float]) -> None:
    """How late this process itself is, so that its own delays are not taken for the engine's."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        worst.append((time.monotonic() - due) * 1000)


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
            caller = Caller(len(callers))
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
    parser.add_argument("--write", type=Path, help="a page whose <!-- calls: --> part is made anew")
    args = parser.parse_args()
    for question in QUESTIONS:
        spoken(question)
    operator = Operator()
    operator.decide = lambda it, call_id: it.post(
        call_id, "accept", {**SESSION, "instructions": INSTRUCTIONS}
    )
    command = [sys.executable, "-m", "runner.cli.main", "engine", "--port", "0", "--sip", "0"]
    command += ["--webhook", operator.webhook, "--log-format", "json", "--parent"]
    command += ["--max-sessions", str(args.most + 1)]
    environment = {**os.environ, "RTRUN_WEBHOOK_SECRET": SECRET}
    engine = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert engine.stdout is not None
        urls = json.loads(engine.stdout.readline())["urls"]
        operator.http = urls["http"]
        host, _, port = urls["sip"].removeprefix("sip:").rpartition(":")
        where = machine()
        print(where, flush=True)
        rows = asyncio.run(measure(args, (host, int(port)), engine.pid))
    finally:
        engine.terminate()
        engine.wait(20)
        operator.close()
    if args.write is not None:
        write(args.write, "\n".join([HEAD, *rows, "", f"{where}."]))


if __name__ == "__main__":
    main()
