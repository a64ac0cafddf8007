"""Many callers at one engine, and what each of them heard: on time, late, or not at all.

A caller has just the signalling that a call needs, so that twenty of them leave the machine to the
engine, which is a process of its own: ``rtrun engine --sip`` with real ears and voice.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from support.engine import spoken
from support.phones.operator import SECRET, SESSION, Operator
from support.until import until

from runner.audio.g711 import ulaw_decode, ulaw_encode
from runner.engine.sip.media.rtp import pack, unpack
from runner.media.resample import resample

INSTRUCTIONS = """You are the front desk of Northwind Dental.
We are open from 9 to 5, Monday to Friday, and from 10 to 2 on Saturday.
A cleaning costs 90 dollars. We are at 12 Main Street."""
QUESTIONS = (
    "What are your opening hours?",
    "How much is a cleaning?",
    "Where can I find you?",
    "What does it cost to have my teeth cleaned?",
)
PACKET = 160
QUIET = b"\xff" * PACKET
_FIRST = 100  # packets before the first question


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

    @property
    def skipped(self) -> int:
        """Packets that were lost, or not sent since their time had passed."""
        return missing([stamp for _, stamp in self.came])


def missing(stamps: list[int]) -> int:
    return (max(stamps) - min(stamps)) // PACKET + 1 - len(stamps)


class Caller(asyncio.DatagramProtocol):
    """One phone, with a question 2 s into the call and then every ``every`` seconds, over white
    noise of ``noise`` dB of full scale, or over nothing. ``refused``: the status, or 0."""

    def __init__(self, number: int, every: float = 12.0, noise: float | None = None) -> None:
        self.number = number
        self.refused = 0
        self.sound = Sound()
        #: When the last word of each question was said.
        self.asked: list[float] = []
        self._every = every
        self._quiet = QUIET if noise is None else hiss(noise, number)
        self._answer = b""
        self._words = b""
        self._tag = secrets.token_hex(4)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data.startswith(b"SIP/2.0 2") and b"INVITE" in data:
            self._answer = data
        elif data.startswith(b"SIP/2.0") and int(data[8:11]) >= 300:
            self.refused = int(data[8:11])

    def _request(self, method: str, cseq: int, to: str, body: str = "") -> bytes:
        here = f"127.0.0.1:{self._port}"
        lines = [
            f"{method} sip:agent@{self._dial[0]}:{self._dial[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{secrets.token_hex(8)}",
            f"From: <sip:c{self.number}@{here}>;tag={self._tag}",
            f"To: {to}",
            f"Call-ID: {self._tag}@crowd",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:c{self.number}@{here}>",
            "Max-Forwards: 70",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join([*lines, "", ""]) + body).encode()

    async def ring(self, dial: tuple[str, int]) -> None:
        """Call, and talk until cancelled; return when the call was refused."""
        loop = asyncio.get_running_loop()
        self._dial = dial
        self._line, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self._port = self._line.get_extra_info("sockname")[1]
        self._rtp, _ = await loop.create_datagram_endpoint(lambda: self.sound, ("127.0.0.1", 0))
        rtp = self._rtp.get_extra_info("sockname")[1]
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {rtp} RTP/AVP 0\r\n"
        )
        to = f"<sip:agent@{dial[0]}:{dial[1]}>"
        self._line.sendto(self._request("INVITE", 1, to, sdp), dial)
        await until(lambda: self._answer or self.refused, 30)
        if self.refused:
            return
        head, _, body = self._answer.decode().partition("\r\n\r\n")
        [self._to] = [line[4:] for line in head.split("\r\n") if line.startswith("To: ")]
        [port] = [line.split()[1] for line in body.split("\r\n") if line.startswith("m=audio")]
        self._line.sendto(self._request("ACK", 1, self._to), dial)
        await self._talk(("127.0.0.1", int(port)))

    async def _talk(self, target: tuple[str, int]) -> None:
        begun = time.monotonic()
        for n in range(1_000_000):
            if n >= _FIRST and (n - _FIRST) % round(self._every * 50) == 0:
                question = QUESTIONS[(self.number + n) % len(QUESTIONS)]
                self._words = ulaw_encode(resample(spoken(question), 24_000, 8_000))
                self.asked.append(time.monotonic() + len(self._words) / 8000)
            at = n * PACKET % len(self._quiet)
            payload, self._words = self._words[:PACKET], self._words[PACKET:]
            payload += self._quiet[at + len(payload) : at + PACKET]
            self._rtp.sendto(pack(0, n, PACKET * n, 7, payload, False), target)
            await asyncio.sleep(max(0.0, begun + (n + 1) * 0.02 - time.monotonic()))

    @property
    def heard(self) -> bool:
        """Has the first question been answered?"""
        return bool(self.asked) and any(at > self.asked[0] for at in self.sound.loud)

    def leave(self) -> None:
        if not self.refused:
            self._line.sendto(self._request("BYE", 2, self._to), self._dial)
        self._line.close()
        self._rtp.close()


async def lag(worst: list[float]) -> None:
    """How late this process itself is, so that its own delays are not taken for the engine's."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        worst.append((time.monotonic() - due) * 1000)


def hiss(level: float, seed: int) -> bytes:
    """A second of white noise, ``level`` dB of full scale, mu-law."""
    samples = np.random.default_rng(seed).normal(0, 32768 * 10 ** (level / 20), 8000)
    return ulaw_encode(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


@dataclass(frozen=True, slots=True)
class Desk:
    """Where calls are taken, and the process that takes them."""

    dial: tuple[str, int]
    pid: int


@contextmanager
def desk(*options: str) -> Iterator[Desk]:
    """``rtrun engine --sip``, each call accepted with the rehearsal brain. ``options`` more."""
    for question in QUESTIONS:
        spoken(question)
    operator = Operator()
    operator.decide = lambda it, call_id: it.post(
        call_id, "accept", {**SESSION, "instructions": INSTRUCTIONS}
    )
    command = [sys.executable, "-m", "runner.cli.main", "engine", "--port", "0", "--sip", "0"]
    command += ["--webhook", operator.webhook, "--log-format", "json", "--parent", *options]
    engine = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "RTRUN_WEBHOOK_SECRET": SECRET},
        text=True,
    )
    try:
        assert engine.stdin is not None
        assert engine.stdout is not None
        urls = json.loads(engine.stdout.readline())["urls"]
        operator.http = urls["http"]
        host, _, port = urls["sip"].removeprefix("sip:").rpartition(":")
        yield Desk((host, int(port)), engine.pid)
    finally:
        engine.terminate()
        engine.wait(20)
        for pipe in (engine.stdin, engine.stdout):
            assert pipe is not None
            pipe.close()
        operator.close()
