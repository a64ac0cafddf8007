"""Twilio's side of a call: a client that does what Twilio's Media Streams do, at real time.

What it is sent is played in order; a mark comes back when all before it was played, and on
``clear`` the buffer is dropped and its marks come back at once, or with ``returns_marks=False``
never (peers are seen to do either).
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from runner.tasks import Supervisor

FRAME = 160
MULAW = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


class Phone:
    """``async with Phone(url) as phone``. ``got`` are the messages that came, ``played`` what was
    heard, mu-law at 8 kHz."""

    def __init__(self, url: str, *, returns_marks: bool = True, marks: bool = True) -> None:
        self._url = url
        self._returns = returns_marks
        self._marks = marks
        self.got: list[dict[str, Any]] = []
        self.played = bytearray()
        self.clears = 0
        self._buffer: deque[bytes | str] = deque()
        self._sequence = 0
        self._stamp = 0
        self._tasks = Supervisor(lambda name, error: self.failures.append(error))
        self.failures: list[BaseException] = []
        self._socket: ClientConnection | None = None
        self.over = asyncio.Event()

    async def __aenter__(self) -> Phone:
        self._socket = await connect(self._url)
        await self.say_event({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._tasks.spawn(self._receive(), "receive")
        self._tasks.spawn(self._play(), "play")
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.close()
        assert self._socket is not None
        await self._socket.close()

    async def say_event(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        if message["event"] != "connected":
            self._sequence += 1
            message = {"sequenceNumber": str(self._sequence), "streamSid": "MZ1", **message}
        await self._socket.send(json.dumps(message))

    async def start(self, fmt: dict[str, Any] = MULAW) -> None:
        start = {"accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"]}
        await self.say_event(
            {"event": "start", "start": {**start, "customParameters": {}, "mediaFormat": fmt}}
        )

    async def speak(self, ulaw: bytes, *, pace: float = 0.02) -> None:
        for at in range(0, len(ulaw), FRAME):
            await self.media(ulaw[at : at + FRAME].ljust(FRAME, b"\xff"))
            await asyncio.sleep(pace)

    async def media(self, ulaw: bytes, stamp: str | None = None) -> None:
        body = {"track": "inbound", "chunk": "1", "payload": base64.b64encode(ulaw).decode()}
        body["timestamp"] = str(self._stamp) if stamp is None else stamp
        self._stamp += len(ulaw) // 8
        await self.say_event({"event": "media", "media": body})

    async def press(self, digit: str) -> None:
        await self.say_event({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": digit}})

    async def hang_up(self) -> None:
        stop = {"accountSid": "AC1", "callSid": "CA1"}
        await self.say_event({"event": "stop", "stop": stop})
        assert self._socket is not None
        await self._socket.close()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["event"] == event]

    async def _receive(self) -> None:
        assert self._socket is not None
        try:
            async for text in self._socket:
                message = json.loads(text)
                assert message["streamSid"] == "MZ1", message
                self.got.append(message)
                match message["event"]:
                    case "media":
                        assert set(message) == {"event", "streamSid", "media"}, message
                        self._buffer.append(base64.b64decode(message["media"]["payload"]))
                    case "mark":
                        self._buffer.append(message["mark"]["name"])
                    case "clear":
                        self.clears += 1
                        dropped, self._buffer = self._buffer, deque()
                        for what in dropped:
                            if isinstance(what, str) and self._returns:
                                await self._mark(what)
        except ConnectionClosed:
            pass
        finally:
            self.over.set()

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self._buffer:
                await asyncio.sleep(0.002)
                due = max(due, loop.time())
                continue
            what = self._buffer.popleft()
            if isinstance(what, str):
                if self._marks:
                    await self._mark(what)
                continue
            due += len(what) / 8000
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.played += what

    async def _mark(self, name: str) -> None:
        await self.say_event({"event": "mark", "mark": {"name": name}})
