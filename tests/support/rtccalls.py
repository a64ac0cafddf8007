"""Calls by OpenAIRealtimeWebRTC on an engine in this process, and how they may be dropped."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from support.engine import Serving, spoken
from support.until import until, until_sync

from runner import OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession
from runner.core.events import Reconnected, SessionEvent

COUNTING = "Say exactly:\n\nOne, two, three, four, five, six, seven, eight, nine, ten, eleven."
HEARS = {
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad"},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
        }
    }
}


class Ear:
    """An audio element."""

    def __init__(self) -> None:
        self.sound = b""
        self.flushed = 0

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        self.sound += data

    def flush(self) -> None:
        self.flushed += 1


class Call:
    """A session on the engine, and all that it told: ``events`` the session's own, ``wire`` the
    types of the server's."""

    def __init__(self, **options: Any) -> None:
        self.ear = Ear()
        self.transport = OpenAIRealtimeWebRTC(audio_element=self.ear, **options)
        agent = RealtimeAgent("desk", instructions="Repeat.")
        self.session = RealtimeSession(
            agent, transport=self.transport, model="gpt-realtime", config=HEARS
        )
        self.events: list[SessionEvent] = []
        self.wire: list[str] = []
        self.session.on("*", self.events.append)
        self.transport.on("*", lambda event: self.wire.append(event["type"]))

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def say(self, text: str) -> None:
        """At real time, as a microphone does, and the silence behind it."""
        sound = spoken(text) + bytes(48_000)
        clock = asyncio.get_running_loop().time
        due = clock()
        for start in range(0, len(sound), 960):
            self.session.send_audio(sound[start : start + 960])
            due += 0.02
            await asyncio.sleep(due - clock())


# -- dropped ---------------------------------------------------------------------------------------
async def _at_once(call: Call, engine: Serving) -> None:
    await asyncio.sleep(0)


_random = random.Random(1)


async def sometime(call: Call, engine: Serving) -> None:
    """While addresses are exchanged, found, tried, and keys are agreed upon."""
    await asyncio.sleep(_random.uniform(0, 0.3))


async def _asked(call: Call, engine: Serving) -> None:
    await until(lambda: call.transport._connection or len(engine.engine.calls))


async def _channel_open(call: Call, engine: Serving) -> None:
    await until(lambda: call.wire)


async def _answering(call: Call, engine: Serving) -> None:
    call.session.respond({"instructions": COUNTING})
    await until(lambda: call.ear.sound)


async def _answer_asked_for(call: Call, engine: Serving) -> None:
    call.session.respond({"instructions": COUNTING})


async def _caller_speaks(call: Call, engine: Serving) -> None:
    speaking = asyncio.ensure_future(call.say("What time do you open on Saturday?"))
    try:
        await until(lambda: "input_audio_buffer.speech_started" in call.wire)
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


async def _idle(call: Call, engine: Serving) -> None:
    call.session.mute(True)


def _cut(call: Call) -> None:
    peer = call.transport._connection
    assert peer is not None
    peer._end("the connection broke", 1006)


async def _line_lost(call: Call, engine: Serving) -> None:
    _cut(call)


async def _line_renewed(call: Call, engine: Serving) -> None:
    _cut(call)
    await until(lambda: call.of(Reconnected))


async def _hung_up(call: Call, engine: Serving) -> None:
    url = f"{engine.http}/realtime/calls/{call.transport.call_id}/hangup"
    async with httpx.AsyncClient() as client:
        assert (await client.post(url)).status_code == 200


Way = Callable[[Call, Serving], Any]
#: Dropped on the way, and dropped on the line.
EARLY: tuple[Way, ...] = (_at_once, sometime, _asked, _channel_open)
LATE: tuple[Way, ...] = (
    _idle, _answering, _answer_asked_for, _caller_speaks, _line_lost, _line_renewed, _hung_up
)  # fmt: skip


async def drop(engine: Serving, way: Way) -> None:
    call = Call()
    opening = asyncio.ensure_future(call.session.connect(api_key="key", url=engine.url))
    if way in LATE:
        await opening
    await way(call, engine)
    await call.session.close()
    await asyncio.gather(opening, return_exceptions=True)
    await call.session.close()  # it may have begun after it was given up


async def drop_all(engine: Serving, count: int, ways: Sequence[Way] = EARLY + LATE) -> None:
    """``count`` calls, each dropped another way, until nothing of them is left in this loop."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    for number in range(count):
        await drop(engine, ways[number % len(ways)])
    await until(lambda: len(asyncio.all_tasks()) == 1)
    await until(lambda: not len(engine.engine.calls), 20)
    gc.collect()
    assert faults == []


#: Whose objects a call is made of.
OF = ("runner.", "aiortc.", "aioice.", "av.", "pyee.", "pylibsrtp")


def left(engine: Serving) -> dict[str, int]:
    """What calls could leave behind in this process, which is the engine's too: objects by type,
    tasks, threads, sockets."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    made = Counter(
        f"{k.__module__}.{k.__name__}" for k in kinds if str(k.__module__).startswith(OF)
    )
    made.pop("runner.engine.ports.Prompt", None)  # which a Puppet keeps
    return made | {
        "tasks of the engine": engine.tasks(),
        # A loop's own pool for blocking work grows to its full size, and stays.
        "threads": sum(not each.name.startswith("asyncio_") for each in threading.enumerate()),
        "files and sockets": len(os.listdir("/proc/self/fd")),
    }


def nothing_more(engine: Serving, before: dict[str, int]) -> None:
    """AssertionError when more is left than ``before``, and it does not go."""

    def more() -> dict[str, int]:
        return {name: n for name, n in left(engine).items() if n > before.get(name, 0)}

    with contextlib.suppress(TimeoutError):
        until_sync(lambda: not more())
    assert more() == {}


def memory() -> int:
    """Bytes of this process that are in memory, without what its allocator keeps for itself."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
