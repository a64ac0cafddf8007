"""A WebRTC client of the engine that is not ours: plain aiortc, HTTP by httpx."""

from __future__ import annotations

import asyncio
import fractions
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from support.conformance import Checker, ConformanceError

from runner.media.resample import resample

Event = dict[str, Any]


class Mouth(MediaStreamTrack):
    """Speaks PCM16 at 48 kHz at real time, silence in between."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        self._due = 0.0
        self._pts = 0
        self.spoken = asyncio.Event()

    def say(self, pcm24k: bytes) -> None:
        self._waiting += resample(pcm24k, 24_000, 48_000)
        self.spoken.clear()

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        self._due = max(self._due + 0.02, loop.time() - 0.1) if self._due else loop.time()
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        data = bytes(self._waiting[:1920]).ljust(1920, b"\0")
        del self._waiting[:1920]
        if not self._waiting:
            self.spoken.set()
        frame = AudioFrame(format="s16", layout="mono", samples=960)
        frame.planes[0].update(data)
        frame.sample_rate, frame.pts = 48_000, self._pts
        frame.time_base = fractions.Fraction(1, 48_000)
        self._pts += 960
        return frame


class RtcClient:
    """One call. ``events`` is all that came by the data channel, ``heard`` the agent's audio as
    mono PCM16 at 48 kHz, whole, with its silence. ``judge`` False when a server that is attached
    to the call sends events that nobody here sees."""

    def __init__(self, *, judge: bool = True) -> None:
        self._judge = judge
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.mouth = Mouth()
        self.events: list[Event] = []
        self.heard = bytearray()
        self.call_id = ""
        self.checker = Checker(rtc=True)
        self.fault: ConformanceError | None = None
        self._news = asyncio.Event()
        self._from = 0
        self._listening: asyncio.Task[None] | None = None
        self.pc.addTrack(self.mouth)
        self.channel = self.pc.createDataChannel("oai-events")
        self.channel.on("message", self._take)
        self.closed = asyncio.Event()
        self.channel.on("close", self.closed.set)
        self.pc.on("track", self._track)

    def _take(self, message: str) -> None:
        event = json.loads(message)
        self.events.append(event)
        self._news.set()
        if not self._judge:
            return
        try:
            self.checker.server(event)
        except ConformanceError as fault:
            self.fault = fault

    def _track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.get_running_loop().create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                stereo = np.frombuffer(bytes(frame.planes[0]), "<i2")[: 2 * frame.samples].reshape(
                    -1, 2
                )
                self.heard += stereo[:, 0].tobytes()
        except MediaStreamError:
            return

    async def offer(self) -> str:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def dial(self, http: str, key: str = "key", session: Event | None = None) -> None:
        """Post the offer and wait for session.created."""
        sdp = await self.offer()
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient() as client:
            if session is None:
                headers["Content-Type"] = "application/sdp"
                answer = await client.post(f"{http}/realtime/calls", content=sdp, headers=headers)
            else:
                parts = {
                    "sdp": (None, sdp, "application/sdp"),
                    "session": (None, json.dumps(session), "application/json"),
                }
                answer = await client.post(f"{http}/realtime/calls", files=parts, headers=headers)
        assert answer.status_code == 201, answer.text
        assert answer.headers["content-type"].startswith("application/sdp")
        self.call_id = answer.headers["location"].rpartition("/")[2]
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        await self.until("session.created")

    def send(self, type: str, **fields: Any) -> None:
        event = {"type": type, **fields}
        self.checker.client(event)
        self.channel.send(json.dumps(event))

    async def until(self, type: str, within: float = 20, **where: Any) -> Event:
        """The next event of this type, from where the last call stopped."""
        try:
            async with asyncio.timeout(within):
                while True:
                    if self.fault is not None:
                        raise self.fault
                    while self._from < len(self.events):
                        event = self.events[self._from]
                        self._from += 1
                        if event["type"] == type and all(
                            event.get(k) == v for k, v in where.items()
                        ):
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            kinds = [event["type"] for event in self.events[-12:]]
            raise AssertionError(f"no {type} came; last were {kinds}") from None

    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        self.mouth.stop()
        await self.pc.close()


@asynccontextmanager
async def dialled(
    http: str, key: str = "key", session: Event | None = None, *, judge: bool = True
) -> AsyncIterator[RtcClient]:
    client = RtcClient(judge=judge)
    try:
        await client.dial(http, key, session)
        yield client
    finally:
        await client.close()
