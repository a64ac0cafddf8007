"""One-way latency and CPU of a WebRTC line, beside plain aiortc in the same run.

    PYTHONPATH=tests:. python tests/bench/webrtc.py [--clicks 100] [--calls 10] [--seconds 10]

Latency: a click is put into the sound at a random place, and counts from the moment at which the
sender hands its 20 ms frame to the line to the moment at which the receiver's program has it. Both
ends are in one process on loopback. CPU: a process that holds all the calls (this one is their far
end, plain aiortc) while both sides speak; user and system time a call and second, as a share of one
core. `engine` is the engine's line without the session behind it, `client` that of
OpenAIRealtimeWebRTC.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from runner.engine.rtc.peer import Peer
from runner.media.ice import allow_loopback, configuration
from runner.media.rtc import RATE, PulledTrack, mono
from runner.tasks import Supervisor
from runner.transports import rtcpeer

#: Two cycles of 1 kHz, loud.
CLICK_MS = 2
#: At least so far apart, in frames.
APART = 25


def noise(rate: int) -> bytes:
    """A second of something that Opus has work with."""
    return np.random.default_rng(1).normal(0, 1500, rate).astype("<i2").tobytes()


@dataclass
class Clicks:
    """20 ms of silence at a time, now and then with a click; and the ear that waits for it."""

    rate: int
    handed: float = 0.0
    latency: list[float] = field(default_factory=list)
    _since: int = 0

    def take(self, nbytes: int = 0) -> bytes:
        frame = np.zeros(self.rate // 50, "<i2")
        self._since += 1
        if not self.handed and self._since > APART:
            self._since = 0
            length = self.rate * CLICK_MS // 1000
            at = random.randrange(len(frame) - length)
            wave = np.sin(np.arange(length) * 2 * np.pi * 1000 / self.rate) * 30_000
            frame[at : at + length] = wave
            self.handed = time.monotonic()
        return frame.tobytes()

    def heard(self, pcm: bytes) -> None:
        if self.handed and np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)).max(initial=0) > 6000:
            self.latency.append(1000 * (time.monotonic() - self.handed))
            self.handed = 0.0


class Plain:
    """An end that aiortc makes alone. ``pull`` gives 20 ms at 48 kHz."""

    def __init__(self, pull: Callable[[], bytes], heard: Callable[[bytes], None] | None) -> None:
        self.pc = RTCPeerConnection(configuration())
        self.pc.addTrack(PulledTrack(lambda _: pull()))
        self.pc.on(
            "track", lambda track: self._tasks.append(asyncio.ensure_future(self._ear(track)))
        )
        self._heard = heard
        self._tasks: list[asyncio.Future[None]] = []

    def _track(self, track: Any) -> None:
        self._tasks.append(asyncio.ensure_future(self._ear(track)))

    async def _ear(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                if self._heard is not None:
                    self._heard(mono(frame))
        except MediaStreamError:
            pass

    async def offer(self) -> str:
        self.pc.createDataChannel("oai-events")
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def answer(self, offer: str) -> str:
        await self.pc.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return str(self.pc.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self.pc.close()


class EngineEnd:
    """The engine's line; ``take(nbytes)`` gives sound at 24 kHz."""

    def __init__(self, take: Callable[[int], bytes], heard: Callable[[bytes], None] | None) -> None:
        async def hear(pcm: bytes) -> None:
            if heard is not None:
                heard(pcm)

        self.peer = Peer(_fail)
        leg = SimpleNamespace(take=take)
        self.peer.call.connection = SimpleNamespace(leg=leg, hear=hear)  # type: ignore[assignment]

    async def answer(self, offer: str) -> str:
        return await self.peer.answer(offer)

    async def close(self) -> None:
        await self.peer.hang_up("the end")


class ClientEnd:
    """The line of OpenAIRealtimeWebRTC, in the place of a :class:`Plain` that calls."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        owner = SimpleNamespace(
            message=lambda data: None, hear=heard, gone=lambda code, reason: None
        )
        self.peer = rtcpeer.Peer(owner, track=None, servers=(), change=None)

    async def call(self, answer: Callable[[str], Any]) -> None:
        loop = asyncio.get_running_loop()

        def post(url: str, headers: Any, offer: str, session: Any) -> Any:
            sdp = asyncio.run_coroutine_threadsafe(answer(offer), loop).result()
            return SimpleNamespace(sdp=sdp, call_id="")

        rtcpeer.post_offer = post
        await self.peer.open("", {}, None)

    async def close(self) -> None:
        await self.peer.close()


def _fail(name: str, error: BaseException) -> None:
    raise error


def silent_48k() -> bytes:
    return bytes(RATE // 50 * 2)


async def latency(count: int) -> dict[str, list[float]]:
    told: dict[str, list[float]] = {}

    async def enough(clicks: Clicks) -> list[float]:
        while len(clicks.latency) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return clicks.latency

    clicks = Clicks(RATE)
    ends: list[Any] = [Plain(clicks.take, None), Plain(silent_48k, clicks.heard)]
    await ends[0].accept(await ends[1].answer(await ends[0].offer()))
    told["plain aiortc to plain aiortc"] = await enough(clicks)
    for end in ends:
        await end.close()

    clicks = Clicks(RATE)
    ends = [Plain(clicks.take, None), EngineEnd(lambda nbytes: b"", clicks.heard)]
    await ends[0].accept(await ends[1].answer(await ends[0].offer()))
    told["plain aiortc to the engine"] = await enough(clicks)
    for end in ends:
        await end.close()

    clicks = Clicks(24_000)
    client, engine = ClientEnd(clicks.heard), EngineEnd(clicks.take, None)
    await client.call(engine.answer)
    told["the engine to the client"] = await enough(clicks)
    await client.close()
    await engine.close()
    return told


async def hold(kind: str, seconds: float) -> None:
    """Answer the offers that come by standard input, and tell what ``seconds`` cost."""
    allow_loopback()
    sound, at = noise(RATE if kind == "plain" else 24_000), {"n": 0}

    def take(nbytes: int = RATE // 50 * 2) -> bytes:
        at["n"] = (at["n"] + nbytes) % (len(sound) - nbytes)
        return sound[at["n"] : at["n"] + nbytes]

    tasks = Supervisor(_fail)
    ends: list[Any] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        if asked is None:
            break
        end: Any = Plain(take, None) if kind == "plain" else EngineEnd(take, None)
        ends.append(end)
        print(json.dumps(await end.answer(asked)), flush=True)
    await asyncio.sleep(2)  # the first seconds of a line are its handshake
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    await asyncio.sleep(seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    print(json.dumps(cpu / (time.monotonic() - began)), flush=True)
    for end in ends:
        await end.close()
    await tasks.close()


async def cpu(kind: str, calls: int, seconds: float) -> float:
    """Share of one core a call."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, "--hold", kind, "--seconds", str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    sound, ends = noise(RATE), []
    for _ in range(calls):
        end = Plain(lambda: sound[: RATE // 50 * 2], None)
        ends.append(end)
        process.stdin.write(json.dumps(await end.offer()).encode() + b"\n")
        await end.accept(json.loads(await process.stdout.readline()))
    process.stdin.write(b"null\n")
    spent = float(json.loads(await process.stdout.readline()))
    for end in ends:
        await end.close()
    await process.wait()
    return spent / calls


async def main(clicks: int, calls: int, seconds: float) -> None:
    allow_loopback()
    print(f"Python {platform.python_version()}, {clicks} clicks; {calls} calls for {seconds:.0f} s")
    print("| one-way latency | p50 ms | p95 ms |\n| --- | --- | --- |")
    for name, found in (await latency(clicks)).items():
        tenths = statistics.quantiles(found, n=20)
        print(f"| {name} | {statistics.median(found):.0f} | {tenths[-1]:.0f} |", flush=True)
    print("\n| CPU of one call, share of a core | % |\n| --- | --- |")
    # In turns, so that what the machine does beside it falls on both.
    found = {"plain": [], "engine": []}
    for _ in range(3):
        for kind, shares in found.items():
            shares.append(await cpu(kind, calls, seconds))
    for kind, shares in found.items():
        print(f"| {kind} | {100 * statistics.median(shares):.2f} |")


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--clicks", type=int, default=100)
    given.add_argument("--calls", type=int, default=10)
    given.add_argument("--seconds", type=float, default=10)
    given.add_argument("--hold", choices=("plain", "engine"))
    asked = given.parse_args()
    if asked.hold:
        asyncio.run(hold(asked.hold, asked.seconds))
    else:
        asyncio.run(main(asked.clicks, asked.calls, asked.seconds))
