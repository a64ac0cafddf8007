"""The life of a WebSocket line: what listeners are told, how attempts end, and what they leave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from support.faults import Proxy
from support.until import until
from support.wsserver import Peer, Service

from runner.errors import ConnectError, NotConnectedError, UserError
from runner.transports.base import Closed, ConnectOptions
from runner.transports.websocket import OpenAIRealtimeWebSocket

NO_JSON = {"tools": [object()]}


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


def complaints() -> list[Any]:
    """What listeners raise from here on, as the loop's exception handler is shown it."""
    found: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, what: found.append(what["exception"]))
    return found


def changes(line: OpenAIRealtimeWebSocket) -> list[Any]:
    told: list[Any] = []
    line.on("connection_change", told.append)
    return told


async def pending(line: OpenAIRealtimeWebSocket, **options: Any) -> asyncio.Task[None]:
    """A connect() that is on its way."""
    attempt = asyncio.create_task(line.connect(**options))
    await until(lambda: line.status == "connecting")
    return attempt


class Silent:
    """``async with Silent() as port``: a server that takes connections and says nothing."""

    async def __aenter__(self) -> int:
        self._writers: list[asyncio.StreamWriter] = []
        self.arrived = asyncio.Event()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.append(writer)
            self.arrived.set()

        self._server = await asyncio.start_server(take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *error: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._server.close()
        await self._server.wait_closed()


# -- what listeners are told -----------------------------------------------------------------------
def test_the_status_is_told() -> None:
    """WS2, BA42: connecting, then connected; at the end disconnected, each also by its name."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            told = changes(line)
            for name in ("connected", "disconnected"):
                line.on(name, lambda name=name: told.append(f"{name}!"))
            await line.connect()
            assert told == ["connecting", "connected", "connected!"]
            await line.close()
            assert told[3:] == ["disconnected", "disconnected!"]
            await line.connect()
            await (await service.peer()).connection.close(1011, "gone")
            await until(lambda: line.status == "disconnected")
            assert told[8:] == ["disconnected", "disconnected!"]

    run(test)


def test_a_listener_that_closes_ends_the_connect() -> None:
    """WS4: connect raises when who was told of ``connected`` closes the line."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            line.once("connected", line.close)
            with pytest.raises(ConnectError, match="closed while it was connecting"):
                await line.connect()
            assert line.status == "disconnected"
            await (await service.peer()).connection.wait_closed()
            await line.connect()
            assert line.status == "connected"
            await line.close()

    run(test)


def test_a_listener_that_raises_at_the_end() -> None:
    """WS5: ``disconnected`` is told all the same, and the fault is not swallowed."""

    async def test() -> None:
        async with Service() as service:
            faults = complaints()
            line = OpenAIRealtimeWebSocket(url=service.url)
            await line.connect()
            told: list[str] = []

            def broken(status: str) -> None:
                raise ValueError("mine")

            line.on("connection_change", broken)
            line.on("disconnected", lambda: told.append("disconnected"))
            await line.close()
            assert told == ["disconnected"]
            assert [str(fault) for fault in faults] == ["mine"]
            assert line.status == "disconnected"

    run(test)


def test_a_subclass_may_look_at_every_message() -> None:
    """BA2: its hook returns nothing, and what it hands on is read as ever."""

    class Counting(OpenAIRealtimeWebSocket):
        seen = 0

        def message(self, data: bytes) -> None:
            self.seen += 1
            super().message(data)

    async def greet(peer: Peer) -> None:
        await peer.send({"type": "a"}, {"type": "b"})

    async def test() -> None:
        async with Service(greet) as service:
            line = Counting(url=service.url)
            heard: list[str] = []
            line.on("*", lambda event: heard.append(event["type"]))
            await line.connect()
            await until(lambda: heard == ["a", "b"])
            assert line.seen >= 2
            await line.close()

    run(test)


def test_what_a_listener_does_to_an_event_is_done_to_its_own_copy() -> None:
    """BA3: mutating what ``*`` was given changes neither what the session gets, nor what it
    keeps of the session object."""
    session = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}, "unknown": [1]}
    updated = {"type": "session.updated", "session": session}

    async def greet(peer: Peer) -> None:
        await peer.send(updated)

    class Ear:
        def __init__(self) -> None:
            self.events: list[Any] = []

        def on_event(self, event: dict[str, Any]) -> None:
            self.events.append(event)

        def on_audio(self, *audio: Any) -> None:
            raise AssertionError(audio)

        def on_closed(self, closed: Closed) -> None:
            raise AssertionError(closed)

    def spoil(event: dict[str, Any]) -> None:
        event["session"]["audio"]["input"]["format"] = None
        event["session"]["unknown"].append(2)
        event.clear()

    async def test() -> None:
        async with Service(greet) as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            line.receiver = ear = Ear()
            line.on("*", spoil)
            await line.connect()
            await until(lambda: ear.events)
            assert ear.events == [updated]
            line.receiver = None
            await line.close()

    run(test)


# -- keys and addresses ----------------------------------------------------------------------------
def test_the_key_may_be_a_function() -> None:
    """BA1: asked at each connection, sync or async; one of connect() stands above it."""

    async def test() -> None:
        keys = iter(["one", "two"])

        async def later() -> str:
            await asyncio.sleep(0)
            return "three"

        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url, api_key=lambda: next(keys))
            for given in ({}, {}, {"api_key": later}, {"api_key": "four"}):
                await line.connect(**given)
                await line.close()
            await line.connect(ConnectOptions(api_key="five"))
            await line.close()
            told = [request.headers["Authorization"] for request in service.requests]
            assert told == [f"Bearer {key}" for key in ("one", "two", "three", "four", "five")]

    run(test)


def test_a_key_that_cannot_be_had() -> None:
    async def test() -> None:
        async with Service() as service:

            def broken() -> str:
                raise TimeoutError("the vault is shut")

            line = OpenAIRealtimeWebSocket(url=service.url)
            with pytest.raises(TimeoutError, match="the vault is shut"):
                await line.connect(api_key=broken)
            assert (line.status, service.requests) == ("disconnected", [])
            await line.connect()
            await line.close()

    run(test)


def test_the_address() -> None:
    """WS21, BA6: the constructor's counts, with the default model; one that connect() was given
    stands above it, and stays when it has worked."""

    async def test() -> None:
        async with Service() as one, Service() as other:
            line = OpenAIRealtimeWebSocket(url=one.url)
            await line.connect()
            await line.close()
            assert one.requests[0].path == "/v1/realtime?model=gpt-realtime-2.1"
            await line.connect(url=other.url, model="m")
            await line.close()
            await line.connect()
            await line.close()
            assert [request.path for request in other.requests] == ["/v1/realtime?model=m"] * 2
            assert len(one.requests) == 1

    run(test)


def test_the_call_id_of_each_connect() -> None:
    """WS46, WS47: it builds the address, and a new one replaces it."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            for call_id in ("rtc_1", "rtc_2"):
                await line.connect(call_id=call_id, model="m")
                await line.close()
            assert [request.path for request in service.requests] == [
                "/v1/realtime?call_id=rtc_1",
                "/v1/realtime?call_id=rtc_2",
            ]

    run(test)


# -- attempts that fail ----------------------------------------------------------------------------
def test_settings_that_cannot_be_sent() -> None:
    """WS6: nothing is left open, the default address and model stand, and a retry works."""

    async def test() -> None:
        async with Service() as service, Service() as other:
            line = OpenAIRealtimeWebSocket(url=service.url, model="m")
            for config in (NO_JSON, {"no_such_key": 1}):
                with pytest.raises(UserError):
                    await line.connect(url=other.url, model="x", initial_session_config=config)
                assert line.status == "disconnected"
            assert other.requests == []
            await line.connect()
            assert service.requests[0].path.endswith("model=m")
            await line.close()

    run(test)


async def _closed_at_once(
    prepare: Callable[[OpenAIRealtimeWebSocket], None],
) -> tuple[OpenAIRealtimeWebSocket, ConnectError]:
    """A line whose server refuses the first settings: it says why and closes. The end is there
    before connect() can return."""

    async def kick(peer: Peer) -> None:
        await peer.send({"type": "error", "error": {"code": "no", "message": "no such voice"}})
        await peer.connection.close(1008, "policy")

    async with Service(kick) as service:
        line = OpenAIRealtimeWebSocket(url="ws://127.0.0.1:9/")
        opened, url = line._open, service.url

        async def slow(address: str, headers: dict[str, str]) -> Any:
            connection = await opened(address, headers)
            if address.startswith(url):
                await connection.wait_closed()
            return connection

        line._open = slow  # type: ignore[method-assign]
        prepare(line)
        with pytest.raises(ConnectError) as caught:
            await line.connect(url=url, initial_session_config={"speed": 1.1})
        return line, caught.value


def test_the_end_during_the_first_settings_is_the_reason() -> None:
    """WS14: with the server's words, its error event told before."""

    async def test() -> None:
        errors: list[Any] = []
        line, error = await _closed_at_once(lambda line: line.on("error", errors.append))
        assert "policy (1008)" in error.message
        assert [event["error"]["code"] for event in errors] == ["no"]
        assert line.status == "disconnected"

    run(test)


def test_the_end_during_the_first_settings_when_a_listener_closes_too() -> None:
    """WS15, WS8: the reason stays when the listener of ``error`` or of ``disconnected``
    closes the line."""

    async def test() -> None:
        for name in ("error", "disconnected"):

            def prepare(line: OpenAIRealtimeWebSocket, name: str = name) -> None:
                line.on(name, lambda *event: line.close())

            line, error = await _closed_at_once(prepare)
            assert "policy (1008)" in error.message
            assert line.status == "disconnected"

    run(test)


def test_the_first_failure_wins() -> None:
    """WS7: over what goes wrong in cleaning up, which is shown."""

    async def test() -> None:
        faults = complaints()

        def broken(status: str) -> None:
            if status == "disconnected":
                raise ValueError("cleanup")

        _, error = await _closed_at_once(lambda line: line.on("connection_change", broken))
        assert "policy (1008)" in error.message
        assert [str(fault) for fault in faults] == ["cleanup"]

    run(test)


def test_a_retry_from_inside_the_cleanup() -> None:
    """WS10, WS11: it is not undone, and finds the address as it was before the failed attempt."""

    async def test() -> None:
        async with Service() as good:
            connected = asyncio.Event()

            def prepare(line: OpenAIRealtimeWebSocket) -> None:
                line._url = good.url

                async def again() -> None:
                    await line.connect()
                    connected.set()

                line.once("disconnected", again)

            line, error = await _closed_at_once(prepare)
            assert "policy" in error.message
            await connected.wait()
            assert line.status == "connected"
            line.send_event({"type": "x"})
            assert (await (await good.peer()).expect(1))[0] == {"type": "x"}
            await line.close()

    run(test)


def test_nobody_listens_for_errors() -> None:
    """WS13: connect raises, and nothing else happens."""

    async def test() -> None:
        async with Service() as service:
            port = service.port
        faults = complaints()
        line = OpenAIRealtimeWebSocket(url=f"ws://127.0.0.1:{port}/")
        with pytest.raises(ConnectError, match="refused"):
            await line.connect()
        assert (line.status, faults) == ("disconnected", [])

    run(test)


def test_a_line_that_closes_before_it_is_open() -> None:
    """WS16: has words of its own, also when a listener closes again."""

    async def test() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        line = OpenAIRealtimeWebSocket(url=f"ws://127.0.0.1:{port}/")
        line.on("disconnected", line.close)
        with pytest.raises(ConnectError, match="cannot reach"):
            await line.connect()
        assert line.status == "disconnected"
        server.close()
        await server.wait_closed()

    run(test)


# -- overlapping -----------------------------------------------------------------------------------
def test_a_second_connect_while_the_key_is_looked_up() -> None:
    """WS12: is refused, and no second line is opened."""

    async def test() -> None:
        async with Service() as service:
            found = asyncio.Event()

            async def key() -> str:
                await found.wait()
                return "k"

            line = OpenAIRealtimeWebSocket(url=service.url, api_key=key)
            first = await pending(line)
            with pytest.raises(ConnectError, match="already connecting"):
                await line.connect()
            found.set()
            await first
            assert len(service.requests) == 1
            with pytest.raises(ConnectError, match="already connected"):
                await line.connect()
            await line.close()

    run(test)


def test_close_while_the_key_is_looked_up() -> None:
    """WS17: the attempt is over at once, and a key that comes late opens nothing."""

    async def test() -> None:
        async with Service() as service:
            found = asyncio.Event()

            async def key() -> str:
                with contextlib.suppress(asyncio.CancelledError):  # it cannot be stopped
                    await found.wait()
                return "k"

            line = OpenAIRealtimeWebSocket(url=service.url, api_key=key)
            attempt = await pending(line)
            await line.close()
            with pytest.raises(ConnectError, match="closed while it was connecting"):
                await attempt
            assert (line.status, service.requests) == ("disconnected", [])

    run(test)


def test_close_while_the_server_does_not_answer() -> None:
    """WS18: connect raises at once, long before its own deadline; a new one is not disturbed by
    the end of the old."""

    async def test() -> None:
        silent = Silent()
        async with silent as port, Service() as service:
            line = OpenAIRealtimeWebSocket()
            attempt = await pending(line, url=f"ws://127.0.0.1:{port}/")
            await silent.arrived.wait()
            await line.close()
            again = asyncio.create_task(line.connect(url=service.url))
            with pytest.raises(ConnectError, match="closed while it was connecting"):
                await attempt
            await again
            assert line.status == "connected"
            line.send_event({"type": "x"})
            await (await service.peer()).expect(1)
            await line.close()

    run(test)


def test_a_connect_that_is_cancelled() -> None:
    async def test() -> None:
        silent = Silent()
        async with silent as port, Service() as service:
            line = OpenAIRealtimeWebSocket()
            attempt = await pending(line, url=f"ws://127.0.0.1:{port}/")
            await silent.arrived.wait()
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
            assert line.status == "disconnected"
            await line.connect(url=service.url)
            await line.close()

    run(test)


def test_connect_while_connected() -> None:
    """WS19: is refused, and the line goes on."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            await line.connect()
            with pytest.raises(ConnectError, match="already connected"):
                await line.connect()
            line.send_event({"type": "x"})
            await (await service.peer()).expect(1)
            await line.close()

    run(test)


def test_the_end_of_an_old_line_says_nothing_of_the_new() -> None:
    """WS20: close() is final when the server never answers it, and the late end of that line
    is not taken for the end of the next."""

    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            line = OpenAIRealtimeWebSocket(url=f"ws://127.0.0.1:{proxy.port}/")
            ends: list[Any] = []
            line.on("close", ends.append)
            await line.connect()
            proxy.blackhole()
            closing = asyncio.create_task(line.close())
            await until(lambda: line.status == "disconnected")
            await line.connect(url=service.url)
            await closing
            proxy.rst()
            line.send_event({"type": "x"})
            await (await service.peer()).expect(1)
            assert (line.status, ends) == ("connected", [])
            await line.close()

    run(test)


def test_sending_without_a_line() -> None:
    """WS27: send_event before connect raises, and after close."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            with pytest.raises(NotConnectedError):
                line.send_event({"type": "x"})
            await line.connect()
            await line.close()
            with pytest.raises(NotConnectedError):
                line.send_event({"type": "x"})

    run(test)


def test_what_is_sent_at_once_arrives_in_that_order() -> None:
    """WS41: a raw response.create goes before what is sent later in the same turn of the loop."""

    async def test() -> None:
        async with Service() as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            await line.connect()
            line.send_event({"type": "response.create"})
            line.send_event({"type": "conversation.item.create"})
            line.send_audio(b"\0\0")
            line.send_event({"type": "response.cancel"})
            peer = await service.peer()
            await peer.expect(4)
            assert peer.types == [
                "response.create",
                "conversation.item.create",
                "input_audio_buffer.append",
                "response.cancel",
            ]
            await line.close()

    run(test)


def test_deltas_name_their_item_and_response() -> None:
    """BA36, BA37: a thin client hears them by their own type."""
    at = {"response_id": "r1", "item_id": "i1", "content_index": 0, "output_index": 0}
    spoken = {"type": "response.output_audio_transcript.delta", **at, "delta": "Hi"}
    written = {"type": "response.output_text.delta", **at, "delta": "Hi"}

    async def greet(peer: Peer) -> None:
        await peer.send(spoken, written)

    async def test() -> None:
        async with Service(greet) as service:
            line = OpenAIRealtimeWebSocket(url=service.url)
            heard: list[Any] = []
            line.on(spoken["type"], heard.append)
            line.on(written["type"], heard.append)
            await line.connect()
            await until(lambda: len(heard) == 2)
            assert heard == [spoken, written]
            await line.close()

    run(test)
