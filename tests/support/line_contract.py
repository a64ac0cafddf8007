"""What every line that carries whole JSON messages has to do, on the standard library alone: the
same cases run on CPython for the WebSocket and inside Pyodide for a Worker's socket.

``run(peer)`` runs each ``case_*`` against a real engine and gives its error, "" for none.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from support.until import until

from runner import RealtimeAgent, RealtimeSession, tool
from runner.errors import ConnectError, NotConnectedError
from runner.transports.base import Closed, RealtimeTransportLayer

LARGE = 900_000
SECONDS = 60.0
PCMU = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}


@dataclass(frozen=True)
class Peer:
    """``url`` is an engine whose brain is :func:`answer`, and ``key`` its key; ``closing`` takes
    a line and closes it with 1011; ``nobody`` refuses connections. ``question`` is speech,
    G.711 mu-law at 8 kHz with silence behind it."""

    url: str
    key: str
    closing: str
    nobody: str
    question: bytes
    make: Callable[[], RealtimeTransportLayer]


class Thin:
    """A transport alone, and all that it told."""

    def __init__(self, peer: Peer) -> None:
        self.line: Any = peer.make()
        self.events: list[dict[str, Any]] = []
        self.statuses: list[str] = []
        self.closed: list[Closed] = []
        self.audio = 0
        self.line.on("*", self.events.append)
        self.line.on("connection_change", self.statuses.append)
        self.line.on("close", self.closed.append)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


async def refused(attempt: Awaitable[Any]) -> ConnectError:
    """The error of a connect() that has to fail."""
    try:
        await attempt
    except ConnectError as error:
        return error
    raise AssertionError("it connected")


async def case_connects_in_order_and_closes(peer: Peer) -> None:
    thin = Thin(peer)
    config = {"instructions": "Be brief.", "output_modalities": ["text"]}
    await thin.line.connect(
        url=peer.url, api_key=peer.key, model="gpt-realtime", initial_session_config=config
    )
    assert thin.statuses == ["connecting", "connected"], thin.statuses
    await until(lambda: thin.of("session.updated"))
    assert thin.events[0]["type"] == "session.created"
    assert thin.of("session.updated")[0]["session"]["instructions"] == "Be brief."
    await thin.line.close()
    await thin.line.close()
    assert thin.statuses == ["connecting", "connected", "disconnected"], thin.statuses
    assert thin.closed == []
    try:
        thin.line.send_event({"type": "response.create"})
    except NotConnectedError:
        return
    raise AssertionError("a closed line took an event")


async def case_a_refusal_tells_status_and_body_and_the_line_can_be_used_again(peer: Peer) -> None:
    thin = Thin(peer)
    error = await refused(thin.line.connect(url=peer.url, api_key="wrong", model="gpt-realtime"))
    assert error.status == 401, error
    assert "401" in error.message, error
    assert "API key" in error.hint, error
    assert thin.line.status == "disconnected"
    await thin.line.connect(url=peer.url, api_key=peer.key, model="gpt-realtime")
    await until(lambda: thin.of("session.created"))
    await thin.line.close()


async def case_nobody_there_and_no_address(peer: Peer) -> None:
    for url in (peer.nobody, "ftp://127.0.0.1/"):
        line: Any = peer.make()
        error = await refused(line.connect(url=url, api_key=peer.key))
        assert "127.0.0.1" in error.message, error
        assert line.status == "disconnected"


async def case_the_server_closes(peer: Peer) -> None:
    thin = Thin(peer)
    await thin.line.connect(url=peer.closing, api_key=peer.key)
    thin.line.send_event({"type": "go"})
    await until(lambda: thin.closed)
    [closed] = thin.closed
    assert (closed.code, closed.reason, closed.clean) == (1011, "out of cards", False), closed
    assert thin.line.status == "disconnected"
    assert [event["type"] for event in thin.events] == ["session.created", "said.after"]


async def case_close_ends_a_connect_on_its_way(peer: Peer) -> None:
    line: Any = peer.make()
    asked = asyncio.Event()

    async def never() -> str:
        asked.set()
        await asyncio.Event().wait()
        return "key"

    connecting = asyncio.get_running_loop().create_task(line.connect(url=peer.url, api_key=never))
    await asked.wait()
    await line.close()
    error = await refused(connecting)
    assert "closed while" in error.message, error


async def case_a_large_message_both_ways(peer: Peer) -> None:
    thin = Thin(peer)
    await thin.line.connect(url=peer.url, api_key=peer.key, model="gpt-realtime")
    text = "ä" * (LARGE // 2)
    part = {"type": "input_text", "text": text}
    item = {"type": "message", "role": "user", "content": [part]}
    thin.line.send_event({"type": "conversation.item.create", "item": item})
    await until(lambda: thin.of("conversation.item.added"), 30)
    assert thin.of("conversation.item.added")[0]["item"]["content"][0]["text"] == text
    await thin.line.close()


async def case_a_spoken_turn_as_g711(peer: Peer) -> None:
    thin = Thin(peer)
    chunks: list[bytes] = []
    thin.line.on("audio", lambda event: chunks.append(event.data))
    out = {"output": {"format": {"type": "audio/pcmu"}}}
    listening = {"format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"}}
    listening |= {"turn_detection": {"type": "server_vad"}}
    await thin.line.connect(
        url=peer.url,
        api_key=peer.key,
        model="gpt-realtime",
        initial_session_config={"audio": {"input": listening, **out}},
    )
    await until(lambda: thin.of("session.updated"))
    for at in range(0, len(peer.question), 160):
        thin.line.send_audio(peer.question[at : at + 160])
        await asyncio.sleep(0.005)
    heard = "conversation.item.input_audio_transcription.completed"
    await until(lambda: thin.of(heard) and thin.of("response.done"), 30)
    assert "saturday" in thin.of(heard)[0]["transcript"].lower(), thin.of(heard)
    assert sum(map(len, chunks)) > 8000, "less than a second of an answer"
    await thin.line.close()


async def case_a_session_with_a_tool(peer: Peer) -> None:
    @tool
    async def add(a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    said: list[str] = []
    session = RealtimeSession(
        RealtimeAgent("adder", instructions="Add.", tools=[add]),
        transport=peer.make(),
        config={"output_modalities": ["text"]},
    )
    session.on("transcript", lambda event: said.append(event.text))
    await session.connect(api_key=peer.key, url=peer.url)
    session.send_message("add, please")
    await until(lambda: "You said: 5" in said, 30)
    await session.close()


async def case_an_interruption(peer: Peer) -> None:
    session = RealtimeSession(
        RealtimeAgent("talker", instructions="Talk."), transport=peer.make(), config=PCMU
    )
    heard: list[bytes] = []
    cut: list[Any] = []
    session.on("audio", lambda event: heard.append(event.data))
    session.on("audio_interrupted", cut.append)
    await session.connect(api_key=peer.key, url=peer.url)
    session.send_message("long")
    await until(lambda: sum(map(len, heard)) > 24_000, 30)
    session.interrupt()
    await until(lambda: cut and not session.busy, 30)
    [event] = cut
    assert event.heard_ms < 20_000, event
    await session.close()


CASES: dict[str, Callable[[Peer], Awaitable[None]]] = {
    name.removeprefix("case_"): function
    for name, function in list(globals().items())
    if name.startswith("case_")
}


async def run(peer: Peer, *names: str) -> dict[str, str]:
    """The error of each case, "" for none."""
    told = {}
    for name in names or CASES:
        try:
            async with asyncio.timeout(SECONDS):
                await CASES[name](peer)
            told[name] = ""
        except Exception:
            told[name] = traceback.format_exc()
    return told
