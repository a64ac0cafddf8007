"""The real engine for tests, in a thread of its own, and a client whose every event is judged.

``speech_models()`` are loaded once for the whole run; engines share them. ``serving(brain)``
starts an engine, :class:`Client` talks to it over a real socket.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import websockets
from support.conformance import Checker
from support.speech import flite, silence

from runner.engine.app import Engine
from runner.engine.ports import Brain, Call, Models, Prompt, Say
from runner.engine.server.options import EngineOptions
from runner.engine.speaking.models import LocalModels
from runner.listening import listen

Event = dict[str, Any]
_KEY = {"Authorization": "Bearer test"}


@functools.cache
def speech_models() -> LocalModels:
    models = LocalModels()
    models.load()
    return models


@functools.cache
def spoken(text: str) -> bytes:
    """A caller's words, PCM16 at 24 kHz, by a voice that is not the engine's."""
    return flite(text)


class Puppet:
    """A brain whose answers a test writes: ``answer(prompt)`` gives texts and calls.

    Left alone it repeats the last thing it was told, or says what `Say exactly` asks for.
    """

    name = "puppet"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.answer: Callable[[Prompt], list[str | Call | Exception]] = self.repeat

    async def think(self, prompt: Prompt) -> AsyncIterator[Say | Call]:
        self.prompts.append(prompt)
        for piece in self.answer(prompt):
            await asyncio.sleep(0)
            if isinstance(piece, Exception):
                raise piece
            yield Say(piece) if isinstance(piece, str) else piece

    async def close(self) -> None:
        pass

    def repeat(self, prompt: Prompt) -> list[str | Call | Exception]:
        if prompt.instructions.startswith("Say exactly"):
            return [prompt.instructions.partition("\n\n")[2]]
        return [f"You said: {last_words(prompt)}"]


def last_words(prompt: Prompt) -> str:
    for item in reversed(prompt.items):
        if item.get("role") == "user":
            parts = item["content"]
            return " ".join(p.get("text") or p.get("transcript") or "" for p in parts)
        if item["type"] == "function_call_output":
            return str(item["output"])
    return "nothing"


class Serving:
    """A running engine. ``url`` is its WebSocket, ``http`` its REST base."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._stop: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self.port = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="engine")
        self._thread.start()
        assert self._ready.wait(30)

    async def _run(self) -> None:
        stopped = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self._stop = lambda: self.loop and self.loop.call_soon_threadsafe(stopped.set)

        def ready(port: int) -> None:
            self.port = port
            self._ready.set()

        await self.engine.serve(listen("127.0.0.1", 0), ready, stopped)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def tasks(self) -> int:
        """Tasks alive in the engine's loop."""
        assert self.loop is not None
        return len(asyncio.all_tasks(self.loop))

    def close(self) -> None:
        if self._thread.is_alive():
            self._stop()
        self._thread.join(15)
        assert not self._thread.is_alive()


@contextmanager
def serving(
    brain: Brain, models: Models | None = None, no_speech: str = "", **options: Any
) -> Iterator[Serving]:
    """An engine with these options of EngineOptions, until the end of the block."""
    running = Serving(Engine(EngineOptions(**options), brain, models, no_speech))
    try:
        yield running
    finally:
        running.close()


class Client:
    """One session. ``events`` is all that came, in order."""

    def __init__(self, socket: websockets.ClientConnection, checker: Checker | None) -> None:
        self.socket = socket
        self.checker = checker
        self.events: list[Event] = []
        self._from = 0

    async def send(self, type: str, **fields: Any) -> None:
        event = {"type": type, **fields}
        if self.checker is not None:
            self.checker.client(event)
        await self.socket.send(json.dumps(event))

    async def receive(self, within: float = 20) -> Event:
        async with asyncio.timeout(within):
            event = json.loads(await self.socket.recv())
        self.events.append(event)
        if self.checker is not None:
            self.checker.server(event)
        return event

    async def until(
        self, type: str, where: Callable[[Event], object] = lambda _: True, within: float = 20
    ) -> Event:
        """The next event of this type, from where the last call stopped."""
        try:
            while True:
                while self._from < len(self.events):
                    event = self.events[self._from]
                    self._from += 1
                    if event["type"] == type and where(event):
                        return event
                await self.receive(within)
        except TimeoutError:
            raise AssertionError(f"no {type} came; last were {self.types()[-12:]}") from None

    def types(self) -> list[str]:
        return [e["type"] for e in self.events]

    def of(self, type: str, **where: Any) -> list[Event]:
        return [
            e
            for e in self.events
            if e["type"] == type and all(e.get(k) == v for k, v in where.items())
        ]

    async def update(self, **session: Any) -> Event:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated")

    async def detection(self, **turn_detection: Any) -> Event:
        """Turn detection as given and transcription on."""
        wanted = turn_detection or None
        given = {"turn_detection": wanted, "transcription": {"model": "gpt-4o-mini-transcribe"}}
        return await self.update(audio={"input": given})

    async def append(self, audio: bytes) -> None:
        await self.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())

    async def speak(self, audio: bytes, *, chunk: int = 4800, pace: float = 0.0) -> None:
        """Append in chunks of 100 ms of pcm; ``pace`` 1.0 is real time, 0 as fast as it goes."""
        for start in range(0, len(audio), chunk):
            await self.append(audio[start : start + chunk])
            if pace:
                await asyncio.sleep(chunk / 48000 * pace)

    async def say(self, text: str, *, quiet: float = 1.0) -> None:
        """A caller's spoken turn and the quiet behind it, faster than real time."""
        await self.speak(spoken(text) + silence(quiet))

    async def type_in(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)

    async def ask(self, text: str, **response: Any) -> Event:
        """A typed turn; the response.done."""
        await self.type_in(text)
        await self.send("response.create", response=response)
        return await self.until("response.done")

    async def result(self) -> Event:
        """The item of the next MCP call that ends."""
        done = await self.until(
            "response.output_item.done", lambda event: event["item"]["type"] == "mcp_call"
        )
        return dict(done["item"])

    async def listed(self, how: str = "completed") -> Event:
        """The item of the next list of tools that ends so."""
        await self.until(f"mcp_list_tools.{how}")
        done = await self.until(
            "conversation.item.done", lambda event: event["item"]["type"] == "mcp_list_tools"
        )
        return dict(done["item"])

    def audio(self, response_id: str | None = None) -> bytes:
        return b"".join(
            base64.b64decode(e["delta"])
            for e in self.of("response.output_audio.delta")
            if response_id in (None, e["response_id"])
        )


@asynccontextmanager
async def connected(
    server: Serving, *, judge: bool = True, query: str = "?model=gpt-realtime", **options: Any
) -> AsyncIterator[Client]:
    """A session, past its session.created. ``judge`` False for clients that break the rules."""
    checker = Checker() if judge else None
    async with websockets.connect(
        server.url + query,
        max_size=None,
        # With a bound, a client that leaves unread events behind takes 10 s to close.
        **{"max_queue": None, "additional_headers": _KEY, **options},
    ) as socket:
        client = Client(socket, checker)
        await client.until("session.created")
        yield client
        if checker is not None and socket.close_code is None:
            checker.end()
