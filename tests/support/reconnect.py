"""A call over a line that is reset: a real session, a real proxy, the real engine.

``run(scene, seed, server)`` plays one scene; the seed says when the socket is reset. The agent was
told a name before; it books by that name afterwards, or it has forgotten the call.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from support.engine import Serving, spoken
from support.faults import Proxy
from support.speech import silence
from support.until import until

from runner import RealtimeAgent, RealtimeSession, tool
from runner.audio.formats import PCM16
from runner.audio.sink import RealTimeSink
from runner.core.events import Connection, Item, SessionError
from runner.core.replay import GO_ON
from runner.transports.websocket import OpenAIRealtimeWebSocket

SCENES = ("listening", "speaking", "working")
FACT = "My name is Brigitte."
ASK = "I would like an appointment at ten o'clock."
MORNING = ("seven", "half past seven", "eight", "half past eight", "nine", "half past nine")
EVENING = ("five", "half past five", "six", "half past six", "seven", "half past seven")
DAYS = ("Wednesday", "Thursday", "Friday", "Sunday")
MONTHS = ("March", "April", "May", "June", "July", "August", "September", "October")
#: The speaker and the caller of a test live four times as fast.
SPEED = 4
FRAME = 1920  # 40 ms of PCM16


class Recorded(OpenAIRealtimeWebSocket):
    """Keeps what was sent, by connection."""

    def __init__(self, *, url: str | None = None) -> None:
        super().__init__(url=url)
        self.lines: list[list[Mapping[str, Any]]] = []

    async def connect(self, *args: Any, **kwargs: Any) -> None:
        self.lines.append([])
        await super().connect(*args, **kwargs)

    def send_event(self, event: Mapping[str, Any]) -> None:
        super().send_event(event)
        self.lines[-1].append(event)

    def items(self, line: int, kind: str) -> list[Mapping[str, Any]]:
        sent = [e for e in self.lines[line] if e["type"] == "conversation.item.create"]
        return [e["item"] for e in sent if e["item"]["type"] == kind]


class Scene:
    """One call and what was seen of it."""

    def __init__(self, proxy: Proxy, seed: int) -> None:
        self.proxy = proxy
        self.dice = random.Random(seed)
        #: Words of this seed alone, which the engine's voice has never spoken before.
        self.hours = (
            f"We are open from {self.dice.choice(MORNING)} in the morning to "
            f"{self.dice.choice(EVENING)} in the evening on Monday, Tuesday, "
            f"{self.dice.choice(DAYS)}, and on the first Saturday of {self.dice.choice(MONTHS)}."
        )
        self.booked: list[str] = []
        self.seen: list[Any] = []
        self.transport = Recorded(url=f"ws://127.0.0.1:{proxy.port}/v1/realtime")
        self.working = asyncio.Event()
        detection = {"type": "server_vad", "silence_duration_ms": 300}
        self.session = RealtimeSession(
            RealtimeAgent(
                "desk",
                f"You are Ada at a dentist. {self.hours}",
                tools=[self._tool()],
            ),
            transport=self.transport,
            config={"audio": {"input": {"turn_detection": detection}}},
            sink=RealTimeSink(replace(PCM16, rate=PCM16.rate * SPEED)),
        )
        self.session.on("*", self._see)

    def _see(self, event: Any) -> None:
        if event.type not in ("audio", "history_updated", "transcript_delta"):
            self.seen.append(event)

    def _tool(self) -> Any:
        @tool
        async def book_appointment(name: str, time: str) -> str:
            """Book an appointment for a caller.

            Args:
                name: The caller's name.
                time: The time of the appointment.
            """
            self.booked.append(name)
            self.working.set()
            await asyncio.sleep(0.3)
            return f"Booked for {name}."

        return book_appointment

    def of(self, kind: str) -> list[Any]:
        return [e for e in self.seen if e.type == kind]

    # -- accidents ---------------------------------------------------------------------------
    async def cut(self, latest: float) -> None:
        """Reset the line after at most so many seconds, as the seed says."""
        await asyncio.sleep(self.dice.uniform(0.0, latest))
        self.proxy.rst()

    # -- the caller --------------------------------------------------------------------------
    async def speak(self, text: str) -> None:
        """Say it, and go on sending quiet until the call is over."""
        await self._send(spoken(text))
        while not self.of("turn_end"):
            await self._send(silence(0.2))

    async def _send(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), FRAME):
            await self.session.send_audio(pcm[start : start + FRAME])
            await asyncio.sleep(0.04 / SPEED)

    async def quiet(self) -> None:
        await until(lambda: self.session.connected and not self.session.busy, 30)

    async def renewed(self, times: int = 1) -> None:
        await until(lambda: len(self.of("reconnected")) >= times, 30)


# -- the scenes -----------------------------------------------------------------------------
async def listening(scene: Scene) -> None:
    """The line is reset while the caller speaks."""
    length = len(spoken(ASK)) / 48000 / SPEED
    await asyncio.gather(scene.speak(ASK), scene.cut(length + 0.4))
    await scene.renewed()


async def speaking(scene: Scene) -> None:
    """The line is reset while the agent answers."""
    scene.session.send_message("When are you open?")
    await until(lambda: scene.of("agent_start"))
    await scene.cut(2.5)
    await scene.renewed()
    await scene.quiet()
    scene.session.send_message(ASK)


async def working(scene: Scene) -> None:
    """The line is reset while a tool runs."""
    scene.session.send_message(ASK)
    await scene.working.wait()
    await scene.cut(0.5)
    await scene.renewed()


PLAYS: Mapping[str, Callable[[Scene], Awaitable[None]]] = {
    "listening": listening,
    "speaking": speaking,
    "working": working,
}


def run(name: str, seed: int, server: Serving) -> None:
    async def main() -> None:
        async with Proxy(server.port) as proxy:
            scene = Scene(proxy, seed)
            await scene.session.connect(api_key="key")
            scene.session.send_message(FACT, respond=False)
            await until(lambda: scene.session.history)
            await PLAYS[name](scene)
            await until(lambda: said(scene, "Booked for Brigitte."), 30)
            await scene.quiet()
            judge(name, scene)
            async with asyncio.timeout(2):
                await scene.session.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            names = [t.get_name() for t in others if t.get_name().startswith("a ")]
            assert not names, f"left behind: {names}"

    asyncio.run(main())


def said(scene: Scene, words: str) -> bool:
    return any(i.role == "assistant" and i.text == words for i in scene.session.history)


def judge(name: str, scene: Scene) -> None:
    """What must be true of every call that lost its line once."""
    assert len(scene.of("reconnected")) == 1
    assert scene.of("reconnected")[0].ms < 5000
    changes = [e.status for e in scene.seen if isinstance(e, Connection)]
    assert changes == ["connecting", "connected", "reconnecting", "connected"]
    assert not [e for e in scene.seen if isinstance(e, SessionError)]

    assert scene.booked == ["Brigitte"], "the tool ran once, for the name told before"
    assert len(scene.of("agent_tool_start")) == len(scene.of("agent_tool_end")) == 1
    (call,) = [i for i in scene.session.history if i.kind == "function_call"]
    assert call.output == "Booked for Brigitte."
    for line in range(len(scene.transport.lines)):
        outputs = scene.transport.items(line, "function_call_output")
        assert len(outputs) <= 1, "one output for the call on each line"
    assert len(scene.transport.items(-1, "function_call_output")) == 1

    history = [i for i in scene.session.history if i.text != GO_ON]
    assert len({i.item_id for i in history}) == len(history)
    asked = [words(i) for i in history if i.role == "user"]
    assert asked[0] == "my name is brigitte"
    assert asked[-1].startswith("i would like an appointment at"), asked
    assert len(asked) == (3 if name == "speaking" else 2), asked
    said_texts = [i.text for i in history if i.role == "assistant"]
    assert said_texts.count("Booked for Brigitte.") == 1, said_texts
    assert history[0].text == FACT
    if name == "speaking":  # what the new line was told is what came of the answer
        assert scene.hours.startswith(said_texts[0] or "?")
    assert history.index(call) > max(history.index(i) for i in history if i.role == "user")


def words(item: Item) -> str:
    return "".join(c for c in (item.text or "").lower() if c.isalnum() or c == " ").strip()
