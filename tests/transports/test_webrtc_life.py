"""How a WebRTC line of the transport begins and ends, on the real engine."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from support.engine import Puppet, Serving, serving
from support.until import until
from support.webrtc import Mouth

from runner import OpenAIRealtimeWebRTC
from runner.engine.rtc import peer
from runner.errors import ConnectError, NotConnectedError
from runner.media.ice import configuration

Event = dict[str, Any]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer whose caller gave up is given up by the engine too."""
    monkeypatch.setattr(peer, "CONNECT_SECONDS", 3.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet(), None, "nobody speaks here", key="k") as running:
        yield running


class Thin(OpenAIRealtimeWebRTC):
    """By itself, with what it heard; ``told`` is its status as it changed."""

    def __init__(self, engine: Serving, **options: Any) -> None:
        super().__init__(url=engine.url, **{"api_key": "k", **options})
        self.events: list[Event] = []
        self.told: list[str] = []
        self.on("*", self.events.append)
        self.on("connection_change", self.told.append)

    async def until(self, kind: str) -> Event:
        await until(lambda: [e for e in self.events if e["type"] == kind])
        return next(e for e in self.events if e["type"] == kind)

    @property
    def peer(self) -> Any:
        assert self._connection is not None
        return self._connection


def run(engine: Serving, test: Callable[[], Awaitable[None]]) -> None:
    """And nothing of it is left."""

    async def main() -> None:
        await test()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        await until(lambda: not len(engine.engine.calls), 20)

    asyncio.run(main())


async def begun(line: Thin, **options: Any) -> asyncio.Future[None]:
    attempt = asyncio.ensure_future(line.connect(**options))
    await until(lambda: line.status == "connecting")
    return attempt


def test_the_call_s_id_and_status(engine: Serving) -> None:
    """RT32, RT26: no id before the call, the service's while it lasts, none behind it; nothing
    can be sent without a call."""

    async def test() -> None:
        line = Thin(engine)
        with pytest.raises(NotConnectedError):
            line.send_event({"type": "response.create"})
        assert line.call_id == ""
        await line.connect()
        assert engine.engine.calls.find(line.call_id) is not None
        await line.close()
        assert (line.call_id, line.told) == ("", ["connecting", "connected", "disconnected"])

    run(engine, test)


def test_what_the_server_says_is_told_untouched(engine: Serving) -> None:
    """RT2: all fields of known events; RT35: what is no event ends nothing, and what follows is
    read as ever."""

    async def test() -> None:
        line = Thin(engine)
        await line.connect()
        raw: list[Event] = []
        line.peer._channel.on("message", lambda text: raw.append(json.loads(text)))
        for odd in ("no JSON", b"\x00\xff", "[1]", '{"no": "type"}', ""):
            line.peer._message(odd)
        await line.until("session.created")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
        line.send_event({"type": "conversation.item.create", "item": item})
        await line.until("conversation.item.done")
        assert line.events[-2:] == raw[-2:]
        await line.close()

    run(engine, test)


def test_the_model_that_connect_was_given(engine: Serving) -> None:
    """RT8, RT12, RT13: it counts and stays, also when the line is lost; not when the attempt
    fails."""

    async def test() -> None:
        line = Thin(engine)

        async def model(**options: Any) -> str:
            line.events.clear()
            await line.connect(**options)
            created = await line.until("session.created")
            line.peer._end("the connection broke", 1006)
            assert line.status == "disconnected"
            await line.close()
            return str(created["session"]["model"])

        def lost() -> str:
            raise LookupError("no key today")

        first = await model()
        with pytest.raises(LookupError, match="no key today"):
            await line.connect(api_key=lost, model="gpt-realtime-mini")
        assert line.status == "disconnected"
        assert await model() == first
        assert await model(model="gpt-realtime-mini") == "gpt-realtime-mini"
        assert await model() == "gpt-realtime-mini"

    run(engine, test)


def test_close_while_the_key_is_looked_up(engine: Serving) -> None:
    """RT10: the attempt is over, a key that comes late opens nothing, and another try works."""

    async def test() -> None:
        found = asyncio.Event()

        async def key() -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await found.wait()
            return "k"

        line = Thin(engine)
        attempt = await begun(line, api_key=key)
        await line.close()
        with pytest.raises(ConnectError, match="closed while it was connecting"):
            await attempt
        assert not len(engine.engine.calls)
        await line.connect()
        assert line.status == "connected"
        await line.close()

    run(engine, test)


@pytest.mark.parametrize("state", ["connecting", "connected"])
def test_a_listener_that_closes(engine: Serving, state: str) -> None:
    """RT16, RT17: connect raises when who was told of it closes the line; another try works."""

    async def test() -> None:
        line = Thin(engine)
        closing: list[Any] = []

        def close(status: str) -> None:
            if status == state and not closing:
                closing.append(asyncio.ensure_future(line.close()))

        line.on("connection_change", close)
        with pytest.raises(ConnectError, match="closed while it was connecting"):
            await line.connect()
        await closing[0]
        assert line.status == "disconnected"
        await line.connect()
        assert line.status == "connected"
        await line.close()

    run(engine, test)


@pytest.mark.parametrize("late", ["a connection", "an error"])
def test_close_while_the_connection_is_looked_at(engine: Serving, late: str) -> None:
    """RT19, RT20: connect raises, and what comes of it late does not touch the next call."""

    async def test() -> None:
        go = asyncio.Event()
        asked: list[RTCPeerConnection] = []

        async def change(made: RTCPeerConnection) -> None:
            asked.append(made)
            if len(asked) == 1:
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()
                await go.wait()
                if late == "an error":
                    raise OSError("too late")

        line = Thin(engine, change_peer_connection=change)
        attempt = await begun(line)
        await until(lambda: asked)
        closing = asyncio.ensure_future(line.close())
        await until(lambda: line.status == "disconnected")
        again = asyncio.ensure_future(line.connect())
        go.set()
        for each in (attempt, closing):
            await asyncio.gather(each, return_exceptions=True)
        assert isinstance(attempt.exception(), ConnectError | OSError)
        await again
        assert (line.status, asked[0].connectionState) == ("connected", "closed")
        assert engine.engine.calls.find(line.call_id) is not None
        await line.close()

    run(engine, test)


def test_a_connection_of_ones_own(engine: Serving) -> None:
    """RT27, RT31, RT33: the connection that is put in the place of ours carries the call, which
    has its id, and is closed with it; what becomes of ours ends nothing."""
    ours: list[RTCPeerConnection] = []

    async def test() -> None:
        mine = RTCPeerConnection(configuration())

        async def change(made: RTCPeerConnection) -> RTCPeerConnection:
            ours.append(made)
            return mine

        line = Thin(engine, change_peer_connection=change)
        await line.connect()
        assert engine.engine.calls.find(line.call_id) is not None
        assert mine.connectionState == "connected"
        assert ours[0].connectionState == "closed"
        await line.until("session.created")
        assert line.status == "connected"
        await line.close()
        assert (line.call_id, mine.connectionState) == ("", "closed")

    run(engine, test)


def test_what_becomes_of_an_old_line_does_not_touch_the_new(engine: Serving) -> None:
    """RT18: its channel may close or err as it likes."""

    async def test() -> None:
        line = Thin(engine)
        await line.connect()
        old = line.peer
        await line.close()
        await line.connect()
        old._channel.emit("close")
        old._failed("anything", OSError("x"))
        old._message('{"type": "error", "error": {}}')
        await line.until("session.created")
        assert line.status == "connected"
        assert not [e for e in line.events if e["type"] == "error"]
        await line.close()

    run(engine, test)


def test_a_connect_that_fails(engine: Serving) -> None:
    """RT3, RT22, RT23, RT14: it raises with the service's status and words, has no id and is
    disconnected by then, and the track that we speak by has ended."""

    async def test() -> None:
        made: list[RTCPeerConnection] = []
        line = Thin(engine, change_peer_connection=made.append)
        with pytest.raises(ConnectError, match=r"HTTP 401: Incorrect API key provided") as refused:
            await line.connect(api_key="another")
        assert refused.value.status == 401
        assert (line.call_id, line.told) == ("", ["connecting", "disconnected"])
        [sender] = made[0].getSenders()
        assert sender.track is None or sender.track.readyState == "ended"
        await line.connect()
        await line.close()

    run(engine, test)


@pytest.mark.parametrize("whose", ["ours", "the caller's"])
def test_whose_track_it_is(engine: Serving, whose: str) -> None:
    """RT37, RT38: close() ends the track that we speak by, and leaves the caller's alone."""

    async def test() -> None:
        track = Mouth()
        line = Thin(engine, media_stream=track if whose == "the caller's" else None)
        await line.connect()
        own = line.peer._own
        await line.close()
        assert (own is None) == (whose == "the caller's")
        assert own is None or own.readyState == "ended"
        assert track.readyState == "live"
        track.stop()

    run(engine, test)


def test_muted_stays_muted(engine: Serving) -> None:
    """RT41: behind close() too, and in the next call."""

    async def test() -> None:
        line = Thin(engine)
        await line.connect()
        line.mute(True)
        await line.close()
        assert line.muted
        await line.connect()
        assert line.peer.muted
        await line.close()

    run(engine, test)


def test_a_line_that_failed_is_over(engine: Serving) -> None:
    """RT28: the status is told, and nothing stays open."""

    async def test() -> None:
        line = Thin(engine)
        await line.connect()
        connection = line.peer.connection
        # As aiortc does when the far end's consent has expired.
        connection._RTCPeerConnection__connectionState = "failed"
        connection.emit("connectionstatechange")
        await until(lambda: line.status == "disconnected")
        await until(lambda: connection.connectionState == "closed")
        await line.close()

    run(engine, test)


def test_close_while_the_channel_opens(engine: Serving) -> None:
    """RT36: connect raises, and another try works."""

    async def test() -> None:
        line = Thin(engine)
        attempt = await begun(line)
        await until(lambda: len(engine.engine.calls))
        await line.close()
        with pytest.raises(ConnectError, match="closed while it was connecting"):
            await attempt
        await line.connect()
        assert line.status == "connected"
        await line.close()

    run(engine, test)
