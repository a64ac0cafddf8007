"""The WebSocket transport against a real server, and against broken ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.faults import Proxy
from support.until import until
from support.wsserver import Peer, Service, no_script

from runner.codec import b64decode, b64encode
from runner.core.events import Audio
from runner.errors import ConnectError, NotConnectedError
from runner.transports import websocket
from runner.transports.base import Closed, ConnectOptions
from runner.transports.websocket import OpenAIRealtimeWebSocket

CREATED = {"type": "session.created", "event_id": "event_0", "session": {"id": "sess_1"}}


def delta(audio: bytes, item: str = "item_1") -> dict[str, Any]:
    return {
        "type": "response.output_audio.delta",
        "event_id": "event_9",
        "response_id": "resp_1",
        "item_id": item,
        "output_index": 0,
        "content_index": 0,
        "delta": b64encode(audio),
    }


class Notes:
    """A receiver that writes down what it is told."""

    def __init__(self, transport: OpenAIRealtimeWebSocket) -> None:
        self.events: list[dict[str, Any]] = []
        self.audio: list[tuple[str, str, int, bytes]] = []
        self.closed: list[Closed] = []
        self.order: list[str] = []
        transport.receiver = self

    def on_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self.order.append(event["type"])

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        self.audio.append((response_id, item_id, content_index, data))
        self.order.append("audio")

    def on_closed(self, closed: Closed) -> None:
        self.closed.append(closed)
        self.order.append("closed")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def connected(service: Service, **options: Any) -> tuple[OpenAIRealtimeWebSocket, Notes]:
    transport = OpenAIRealtimeWebSocket()
    notes = Notes(transport)
    await transport.connect(url=service.url, **options)
    return transport, notes


# -- connecting --------------------------------------------------------------------------------
def test_the_handshake_names_model_and_key_and_no_beta() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service, model="gpt-realtime-2.1", api_key="sk-1")
            peer = await service.peer()
            assert peer.path == "/v1/realtime?model=gpt-realtime-2.1"
            assert peer.headers["Authorization"] == "Bearer sk-1"
            assert peer.headers["User-Agent"] == "rtrun"
            assert "OpenAI-Beta" not in peer.headers
            assert transport.status == "connected"
            await transport.close()
            assert transport.status == "disconnected"

    run(test)


def test_attaching_to_a_call_names_the_call_alone() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service, model="m", call_id="rtc_u1_9")
            assert (await service.peer()).path == "/v1/realtime?call_id=rtc_u1_9"
            assert "Authorization" not in (await service.peer()).headers
            await transport.close()

    run(test)


def test_options_carry_headers_and_the_constructor_an_address() -> None:
    async def test() -> None:
        async with Service() as service:
            transport = OpenAIRealtimeWebSocket(url=service.url)
            await transport.connect(ConnectOptions(api_key="k", headers={"X-Tenant": "north"}))
            headers = (await service.peer()).headers
            assert (headers["X-Tenant"], headers["Authorization"]) == ("north", "Bearer k")
            await transport.close()

    run(test)


@pytest.mark.parametrize(
    ("status", "body", "words", "hint"),
    [
        (
            401,
            '{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error",'
            '"code":"invalid_api_key","param":null}}',
            "refused with HTTP 401: Incorrect API key provided.",
            "check the API key",
        ),
        (404, "", "refused with HTTP 404", "the model or the call id"),
        (503, "<html>busy</html>", "refused with HTTP 503", "no more sessions"),
    ],
)
def test_a_refusal_says_what_the_server_said(status: int, body: str, words: str, hint: str) -> None:
    async def test() -> None:
        async with Service(refuse=status, body=body) as service:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            with pytest.raises(ConnectError, match=words) as caught:
                await transport.connect(url=service.url, api_key="sk-canary")
            assert caught.value.status == status
            assert hint in caught.value.hint
            assert "canary" not in str(caught.value)
            assert (transport.status, notes.order) == ("disconnected", [])

    run(test)


def test_a_redirect_is_not_followed_with_the_key() -> None:
    async def test() -> None:
        async with Service() as other:
            async with Service(refuse=307, headers={"Location": other.url}) as service:
                with pytest.raises(ConnectError, match="HTTP 307"):
                    await connected(service, api_key="sk-1")
            assert other.requests == []

    run(test)


def _closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"ws://127.0.0.1:{_closed_port()}/", "cannot reach ws://127.0.0.1:.*refused"),
        ("ws://host.invalid/", "cannot reach ws://host.invalid/: "),
        ("http://127.0.0.1/", "http://127.0.0.1/ is not a WebSocket address"),
        ("nonsense", "nonsense is not a WebSocket address"),
        ("ws://[bad/", "is not a WebSocket address"),
    ],
    ids=["refused", "unknown", "http", "nonsense", "brackets"],  # a port has no place in a name
)
def test_an_address_where_nobody_is(url: str, words: str) -> None:
    async def test() -> None:
        transport = OpenAIRealtimeWebSocket()
        with pytest.raises(ConnectError, match=words) as caught:
            await transport.connect(url=url)
        assert caught.value.status is None
        assert transport.status == "disconnected"

    run(test)


@asynccontextmanager
async def _tcp(answer: bytes | None) -> AsyncIterator[int]:
    """The port of a server that speaks no WebSocket: it says ``answer`` and hangs up, or says
    nothing at all."""
    talks: list[asyncio.Event] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.Event())
        over = talks[-1]
        if answer is not None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        with contextlib.suppress(OSError):
            await reader.read()
        writer.transport.abort()
        over.set()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    for over in talks:
        await over.wait()
    await asyncio.sleep(0)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n",
    ],
    ids=["not HTTP", "plain HTTP", "wrong accept"],
)
def test_a_server_that_speaks_no_websocket(answer: bytes) -> None:
    async def test() -> None:
        async with _tcp(answer) as port:
            transport = OpenAIRealtimeWebSocket()
            with pytest.raises(ConnectError, match=f"ws://127.0.0.1:{port}/") as caught:
                await transport.connect(url=f"ws://127.0.0.1:{port}/")
            assert "Traceback" not in str(caught.value)
            assert transport.status == "disconnected"

    run(test)


def test_a_server_that_hangs_up_at_once() -> None:
    async def test() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError, match="cannot reach"):
            await OpenAIRealtimeWebSocket().connect(url=f"ws://127.0.0.1:{port}/")
        server.close()
        await server.wait_closed()

    run(test)


def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CONNECT_SECONDS", 0.2)

    async def test() -> None:
        async with _tcp(None) as port:
            transport = OpenAIRealtimeWebSocket()
            with pytest.raises(ConnectError, match="did not answer within"):
                await transport.connect(url=f"ws://127.0.0.1:{port}/")
            assert transport.status == "disconnected"

    run(test)


def test_what_the_server_says_first_comes_first() -> None:
    early = [CREATED, {"type": "early.2"}, delta(b"\1\0"), {"type": "early.3"}]

    async def greet(peer: Peer) -> None:
        await peer.send(*early, {"type": "late.1"})

    async def test() -> None:
        async with Service(greet) as service:
            transport, notes = await connected(service)
            await until(lambda: "late.1" in notes.order)
            assert notes.order == ["session.created", "early.2", "audio", "early.3", "late.1"]
            await transport.close()

    run(test)


def test_early_messages_wait_for_connect_to_return(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver may send from its first event: by then the line is open."""

    async def greet(peer: Peer) -> None:
        await peer.send(CREATED)

    async def test() -> None:
        async with Service(greet) as service:
            transport = OpenAIRealtimeWebSocket()
            transport.on("session.created", lambda _: transport.send_event({"type": "reply"}))
            await transport.connect(url=service.url, initial_session_config={"speed": 1.2})
            peer = await service.peer()
            await peer.expect(2)
            assert peer.types == ["session.update", "reply"]
            await transport.close()

    run(test)


def test_a_line_taken_and_closed_at_once_is_no_connection() -> None:
    async def kick(peer: Peer) -> None:
        await peer.send({"type": "error", "error": {"message": "too many sessions"}})
        await peer.connection.close(1008, "policy")

    async def test() -> None:
        async with Service(kick) as service:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            raised = ""
            try:
                await transport.connect(url=service.url)
            except ConnectError as error:
                raised = error.message  # the end came before connect() could return
            else:
                await until(lambda: notes.closed)
            told = [Closed("policy", 1008, False)]
            assert ("policy (1008)" in raised) != (notes.closed == told)
            assert transport.status == "disconnected"
            assert notes.order[0] == "error"
            with pytest.raises(NotConnectedError):
                transport.send_event({"type": "x"})

    run(test)


def test_the_end_before_connect_returns_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with Service() as service:
            transport = OpenAIRealtimeWebSocket()
            opened = transport._open

            async def slow(address: str, headers: dict[str, str]) -> Any:
                connection = await opened(address, headers)
                peer = await service.peer()
                await peer.connection.close(1013, "try again later")
                await connection.wait_closed()
                return connection

            monkeypatch.setattr(transport, "_open", slow)
            with pytest.raises(ConnectError, match=r"closed it: try again later \(1013\)"):
                await transport.connect(url=service.url, initial_session_config={})
            assert transport.status == "disconnected"

    run(test)


def test_close_while_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with Service() as service:
            transport = OpenAIRealtimeWebSocket()
            opened = transport._open

            async def slow(address: str, headers: dict[str, str]) -> Any:
                connection = await opened(address, headers)
                await transport.close()
                return connection

            monkeypatch.setattr(transport, "_open", slow)
            with pytest.raises(ConnectError, match="closed while it was connecting"):
                await transport.connect(url=service.url)
            peer = await service.peer()
            await peer.connection.wait_closed()

    run(test)


def test_connecting_twice_and_again_after_close() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service)
            with pytest.raises(ConnectError, match="already connected"):
                await transport.connect(url=service.url)
            await transport.close()
            await transport.connect(url=service.url)
            transport.send_event({"type": "again"})
            await until(lambda: len(service.peers) == 2 and service.peers[1].received)
            await transport.close()

    run(test)


# -- receiving ---------------------------------------------------------------------------------
async def _hear(messages: list[str], listen: str | None = None) -> tuple[Notes, list[Any]]:
    """What a receiver, and a listener for ``listen``, are told of these messages."""
    heard: list[Any] = []

    async def talk(peer: Peer) -> None:
        await peer.send(*messages, {"type": "the.end"})

    async with Service(talk) as service:
        transport = OpenAIRealtimeWebSocket()
        notes = Notes(transport)
        if listen:
            transport.on(listen, heard.append)
        await transport.connect(url=service.url)
        await until(lambda: "the.end" in notes.order)
        await transport.close()
    return notes, heard


def test_the_audio_lane_and_the_parser_tell_the_same() -> None:
    """Whatever way the event is written, with and without someone who listens to all."""
    dice = random.Random(7)
    messages = []
    for number in range(60):
        event = delta(dice.randbytes(dice.randrange(0, 40) * 2), item=f"ïtem_{number}\n")
        keys = list(event)
        dice.shuffle(keys)
        text = json.dumps(
            {key: event[key] for key in keys},
            separators=dice.choice([(",", ":"), (", ", ": "), (",\n", " :  ")]),
            ensure_ascii=dice.random() < 0.5,
        )
        messages.append(text.replace("/", "\\/") if dice.random() < 0.3 else text)

    async def test() -> None:
        fast, _ = await _hear(messages)
        slow, heard = await _hear(messages, "*")
        assert len(fast.audio) == 60
        assert fast.audio == slow.audio
        assert [entry[:3] for entry in fast.audio] == [
            ("resp_1", f"ïtem_{number}\n", 0) for number in range(60)
        ]
        assert [b64decode(event["delta"]) for event in heard[:-1]] == [a[3] for a in fast.audio]

    run(test)


def test_a_listener_for_all_gets_events_as_they_came() -> None:
    """EV2, EV3, WS23, WS24: known and unknown events reach ``*`` unchanged, with all fields."""
    events = [CREATED, delta(b"\1\2"), {"type": "unknown.new_thing", "x": [1, None, {"y": "z"}]}]

    async def test() -> None:
        notes, heard = await _hear([json.dumps(event) for event in events], "*")
        assert heard == [*events, {"type": "the.end"}]
        assert notes.order == ["session.created", "audio", "unknown.new_thing", "the.end"]

    run(test)


def test_a_listener_for_audio_deltas_gets_them_too() -> None:
    async def test() -> None:
        notes, heard = await _hear([json.dumps(delta(b"\1\2"))], "response.output_audio.delta")
        assert heard == [delta(b"\1\2")]
        assert notes.audio == [("resp_1", "item_1", 0, b"\1\2")]

    run(test)


def test_the_thin_client_hears_audio() -> None:
    """The decoded audio, with the ids of its response and item."""

    async def test() -> None:
        _, heard = await _hear([json.dumps(delta(b"\1\2"))], "audio")
        assert heard == [Audio(b"\1\2", "resp_1", "item_1")]

    run(test)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "5",
        "{}",
        '{"type": 5}',
        '{"type": []}',
        json.dumps({**delta(b""), "delta": None}),
        json.dumps({**delta(b""), "delta": "no base64"}),
        json.dumps({**delta(b""), "item_id": []}),
        json.dumps({**delta(b""), "content_index": "x"}),
    ],
)
@pytest.mark.parametrize("listen", [None, "*"])
def test_what_is_no_event_is_passed_over(text: str, listen: str | None) -> None:
    """EV5: what has no valid type, or lacks what it needs, reaches nobody and breaks nothing."""

    async def test() -> None:
        notes, _ = await _hear([text], listen)
        assert notes.order == ["the.end"]

    run(test)


@pytest.mark.parametrize("text", ["", "{", '{"type": "x"', "[" * 100_000, '{"a": NaN}'])
def test_what_is_no_json_is_an_error_event(text: str) -> None:
    """EV6: malformed JSON raises nothing; the line goes on, and the application is told."""

    async def test() -> None:
        notes, _ = await _hear([text])
        assert notes.order == ["error", "the.end"]
        assert notes.events[0]["error"]["code"] == "bad_event"

    run(test)


@pytest.mark.parametrize("data", [b"\x00\xff\xfe", b"RIFF\x00\x00", b""])
def test_binary_that_is_no_json(data: bytes) -> None:
    """EV7, WS22: raises nothing and ends nothing; what follows is read as ever."""

    async def talk(peer: Peer) -> None:
        await peer.connection.send(data)
        await peer.connection.send(b'{"type": "binary.event"}')
        await peer.send("{", {"type": "the.end"})

    async def test() -> None:
        async with Service(talk) as service:
            transport, notes = await connected(service)
            await until(lambda: "the.end" in notes.order)
            assert notes.order == ["error", "binary.event", "error", "the.end"]
            assert transport.status == "connected"
            await transport.close()

    run(test)


def test_fields_that_nobody_knows_stay_in_a_known_event() -> None:
    """EV1, EV4: by its own type, with what is more in it."""
    item = {"id": "item_1", "type": "message", "role": "user", "status": "completed"}
    added = {"type": "conversation.item.added", "item": {**item, "mood": "good"}, "more": [1]}

    async def test() -> None:
        notes, heard = await _hear([json.dumps(added)], "conversation.item.added")
        assert heard == [added]
        assert notes.events[0] == added

    run(test)


def test_fragments_are_joined() -> None:
    event = {"type": "long.event", "text": "ä" * 100}
    text = json.dumps(event, ensure_ascii=False)

    async def talk(peer: Peer) -> None:
        # One signed by pieces, a ping in between, and one audio delta in pieces.
        async def pieces(whole: str) -> Any:
            for start in range(0, len(whole), 7):
                yield whole[start : start + 7]
                await peer.connection.ping()

        await peer.connection.send(pieces(text))
        await peer.connection.send(pieces(json.dumps(delta(b"\5\6"))))
        await peer.send({"type": "the.end"})

    async def test() -> None:
        async with Service(talk) as service:
            transport, notes = await connected(service)
            await until(lambda: "the.end" in notes.order)
            assert notes.order == ["long.event", "audio", "the.end"]
            assert notes.events[0] == event
            assert notes.audio[0][3] == b"\5\6"
            await transport.close()

    run(test)


def test_a_message_of_14_mb() -> None:
    big = {"type": "big", "text": "x" * 14_000_000}

    async def test() -> None:
        notes, _ = await _hear([json.dumps(big)])
        assert notes.events[0] == big

    run(test)


def test_a_message_beyond_16_mib_ends_the_line() -> None:
    async def talk(peer: Peer) -> None:
        await peer.send({"type": "big", "text": "x" * 17_000_000})

    async def test() -> None:
        async with Service(talk) as service:
            _, notes = await connected(service)
            await until(lambda: notes.closed)
            assert notes.order == ["closed"]
            assert not notes.closed[0].clean

    run(test)


def test_a_listener_that_raises_does_not_end_the_line() -> None:
    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        heard = []

        async def talk(peer: Peer) -> None:
            await peer.send({"type": "a"}, {"type": "b"})

        async with Service(talk) as service:
            transport = OpenAIRealtimeWebSocket()

            def broken(event: dict[str, Any]) -> None:
                heard.append(event["type"])
                raise ValueError("mine")

            transport.on("*", broken)
            await transport.connect(url=service.url)
            await until(lambda: heard == ["a", "b"])
            assert transport.status == "connected"
            await transport.close()

    run(test)


# -- sending -----------------------------------------------------------------------------------
def test_audio_and_events_keep_their_order() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service)
            for number in range(50):
                transport.send_audio(bytes([number, 0]))
                if number % 5 == 0:
                    transport.send_event({"type": "mark", "n": number})
            transport.send_audio(b"\xff\xff", commit=True)
            peer = await service.peer()
            await peer.expect(62)
            told = [
                event["n"] if event["type"] == "mark" else b64decode(event["audio"])[0]
                for event in peer.events[:61]
            ]
            wanted: list[int] = []
            for number in range(50):
                wanted += [number, number] if number % 5 == 0 else [number]
            assert told == [*wanted, 255]
            assert peer.events[61] == {"type": "input_audio_buffer.commit"}
            await transport.close()

    run(test)


def test_muted_audio_is_not_sent() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service)
            transport.send_audio(b"\1\0")
            transport.mute(True)
            assert transport.muted
            transport.send_audio(b"\2\0")
            transport.send_audio(b"\3\0", commit=True)
            transport.mute(False)
            transport.send_audio(b"\4\0")
            peer = await service.peer()
            events = await peer.expect(3)
            assert [event.get("audio") for event in events] == [
                b64encode(b"\1\0"),
                None,
                b64encode(b"\4\0"),
            ]
            await transport.close()

    run(test)


def test_sending_before_and_after_the_line() -> None:
    async def test() -> None:
        transport = OpenAIRealtimeWebSocket()
        for send in (
            lambda: transport.send_event({"type": "x"}),
            lambda: transport.send_audio(b""),
        ):
            with pytest.raises(NotConnectedError, match="is disconnected") as caught:
                send()
            assert "connect() first" in caught.value.hint
        await transport.close()

    run(test)


def test_text_that_is_no_unicode_does_not_end_the_line() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(service)
            transport.send_event({"type": "x", "text": "caf\udce9"})
            assert (await (await service.peer()).expect(1))[0]["text"] == "caf?"
            await transport.close()

    run(test)


def _small_buffers(transport: OpenAIRealtimeWebSocket) -> None:
    """Let the kernel hold little, so that a slow link shows at once."""
    connection = transport._connection
    assert connection is not None
    sock = connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def test_a_server_that_stops_reading_costs_the_oldest_audio_and_no_memory() -> None:
    async def test() -> None:
        async with Service(no_script, reads=False, max_queue=1) as service:
            transport, _ = await connected(service)
            _small_buffers(transport)
            connection = transport._connection
            assert connection is not None
            frame = bytes(960)  # 20 ms of PCM16
            sent = 0
            while not transport.dropped_ms:
                transport.send_audio(frame)
                sent += 1
                await asyncio.sleep(0)
                assert sent < 50_000
            # From here on nothing is held beyond the bound, whatever comes.
            for _ in range(500):
                transport.send_audio(frame)
                assert transport._waiting_ms <= websocket.SEND_QUEUE_MS
                assert connection.transport.get_write_buffer_size() < websocket.WRITE_BUFFER * 2
            assert transport.dropped_ms >= 500 * 20
            assert len(transport._waiting) == websocket.SEND_QUEUE_MS / 20
            await transport.close()
            assert transport._waiting_ms == 0.0

    run(test)


def test_a_slow_server_gets_the_newest_audio_in_order() -> None:
    """Reading starts late: what was dropped is the oldest, the rest is in order, events are all
    there and stand behind the audio that they followed."""

    async def test() -> None:
        go = asyncio.Event()

        async def wait(peer: Peer) -> None:
            await go.wait()

        async with Service(wait, max_queue=1) as service:
            transport, _ = await connected(service)
            _small_buffers(transport)
            number = 0
            while transport.dropped_ms < 2000:
                transport.send_audio(number.to_bytes(4, "little") * 240)
                number += 1
                await asyncio.sleep(0)
            transport.send_event({"type": "mark"})
            transport.send_audio(number.to_bytes(4, "little") * 240)
            go.set()
            peer = await service.peer()
            await until(lambda: len(peer.received) > 1 and "mark" in peer.types[:-1])
            events = peer.events
            numbers = [
                int.from_bytes(b64decode(event["audio"])[:4], "little")
                for event in events
                if event["type"] != "mark"
            ]
            assert numbers == sorted(set(numbers))
            assert number + 1 - len(numbers) == transport.dropped_ms / 20
            # The queue's whole stretch before the mark arrived, up to the last frame.
            assert numbers[-21:] == list(range(number - 20, number + 1))
            assert [event["type"] for event in events[-2:]] == [
                "mark",
                "input_audio_buffer.append",
            ]
            await transport.close()

    run(test)


def test_the_bound_is_in_milliseconds_of_the_sessions_format() -> None:
    updated = {
        "type": "session.updated",
        "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}},
    }

    async def talk(peer: Peer) -> None:
        await peer.send(updated)

    async def test() -> None:
        async with Service(talk, reads=False, max_queue=1) as service:
            transport, notes = await connected(service)
            await until(lambda: notes.events)
            _small_buffers(transport)
            while not transport.dropped_ms:
                transport.send_audio(bytes(160))  # 20 ms of G.711
                await asyncio.sleep(0)
            assert len(transport._waiting) == websocket.SEND_QUEUE_MS / 20
            await transport.close()

    run(test)


# -- the end -----------------------------------------------------------------------------------
def test_a_reset_is_told_with_code_1006() -> None:
    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            told: list[Closed] = []
            transport.on("close", told.append)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            proxy.rst()
            await until(lambda: notes.closed)
            assert notes.closed == told == [Closed("the connection broke", 1006, False)]
            assert transport.status == "disconnected"
            with pytest.raises(NotConnectedError):
                transport.send_audio(b"\0\0")
            await transport.close()
            assert len(told) == 1

    run(test)


def test_the_end_without_a_closing_handshake_is_1006_too() -> None:
    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            proxy.fin()
            await until(lambda: notes.closed)
            assert (notes.closed[0].code, notes.closed[0].clean) == (1006, False)

    run(test)


@pytest.mark.parametrize(
    ("code", "reason", "closed"),
    [
        (1000, "", Closed("the server closed the line", 1000, True)),
        (1001, "session expired", Closed("session expired", 1001, True)),
        (1011, "internal", Closed("internal", 1011, False)),
    ],
)
def test_the_servers_own_end(code: int, reason: str, closed: Closed) -> None:
    async def test() -> None:
        async with Service() as service:
            _, notes = await connected(service)
            await (await service.peer()).connection.close(code, reason)
            await until(lambda: notes.closed)
            assert notes.closed == [closed]

    run(test)


def test_audio_while_the_server_closes_is_dropped_in_silence() -> None:
    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            connection = transport._connection
            assert connection is not None
            # The other side's CLOSE is in, the end of TCP is not.
            connection.protocol.send_close(1000)
            transport.send_audio(b"\0\0")
            with pytest.raises(NotConnectedError, match="is closing"):
                transport.send_event({"type": "x"})
            proxy.rst()
            await until(lambda: notes.closed)

    run(test)


def test_the_budget_for_a_dead_link_is_five_seconds() -> None:
    assert websocket.DEAD_SECONDS <= 5.0


def test_a_dead_link_is_found_by_the_ping() -> None:
    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            proxy.blackhole()
            while not notes.closed:
                transport.send_audio(bytes(960))
                await asyncio.sleep(0.02)
            assert (notes.closed[0].code, notes.closed[0].clean) == (1006, False)
            assert transport.status == "disconnected"
            assert transport.deaf_seconds == websocket.DEAD_SECONDS

    # The deadline of the test is the budget and what a busy machine may add.
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await test()

    asyncio.run(bounded())


def test_a_dead_link_is_found_with_full_buffers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ping itself must not wait behind audio that nobody takes."""
    monkeypatch.setattr(websocket, "PING_SECONDS", 0.3)
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.1)

    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            _small_buffers(transport)
            proxy.blackhole()
            while not transport.dropped_ms:
                transport.send_audio(bytes(960))
            connection = transport._connection
            assert connection is not None
            connection.transport.write(bytes(1_000_000))  # far over any high-water mark
            await until(lambda: notes.closed)
            assert notes.closed[0].code == 1006

    run(test)


def test_close_is_bounded_when_the_server_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_SECONDS", 0.1)

    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            transport = OpenAIRealtimeWebSocket()
            notes = Notes(transport)
            await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
            connection = transport._connection
            assert connection is not None
            proxy.blackhole()
            async with asyncio.timeout(5):
                await transport.close()
            assert connection.transport.is_closing()
            assert notes.closed == []  # we asked for it

    run(test)


def test_close_is_idempotent_also_at_the_same_time() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, notes = await connected(service)
            await asyncio.gather(transport.close(), transport.close())
            await transport.close()
            assert transport.status == "disconnected"
            assert notes.closed == []

    run(test)


def test_nothing_arrives_after_close() -> None:
    async def chatter(peer: Peer) -> None:
        while True:
            await peer.send({"type": "tick"})
            await asyncio.sleep(0)

    async def test() -> None:
        async with Service(chatter) as service:
            transport, notes = await connected(service)
            await until(lambda: notes.order)
            await transport.close()
            count = len(notes.order)
            await (await service.peer()).connection.wait_closed()
            assert len(notes.order) == count

    run(test)


def test_no_task_is_left_behind() -> None:
    async def test() -> None:
        async with Service() as service, Proxy(service.port) as proxy:
            before = asyncio.all_tasks()
            for _ in range(3):
                transport = OpenAIRealtimeWebSocket()
                await transport.connect(url=f"ws://127.0.0.1:{proxy.port}/")
                await transport.close()
            mine = {
                task
                for task in asyncio.all_tasks() - before
                if "keepalive" in repr(task) or "listener" in task.get_name()
            }
            await until(lambda: all(task.done() for task in mine))

    run(test)


# -- the thin client ---------------------------------------------------------------------------
def test_the_first_settings_may_be_written_the_sdks_way() -> None:
    async def test() -> None:
        async with Service() as service:
            transport, _ = await connected(
                service,
                model="m",
                initial_session_config={
                    "modalities": ["text", "audio"],
                    "voice": "cedar",
                    "inputAudioFormat": "g711_ulaw",
                    "turnDetection": {"type": "server_vad", "silenceDurationMs": 200},
                    "audio": {"output": {"speed": 1.1}},
                    "tools": [{"type": "function", "name": "x", "parameters": {"camelCase": 1}}],
                },
            )
            (update,) = await (await service.peer()).expect(1)
            assert update == {
                "type": "session.update",
                "session": {
                    "type": "realtime",
                    "model": "m",
                    "output_modalities": ["audio"],
                    "audio": {
                        "input": {
                            "format": {"type": "audio/pcmu"},
                            "turn_detection": {"type": "server_vad", "silence_duration_ms": 200},
                        },
                        "output": {"speed": 1.1, "voice": "cedar"},
                    },
                    "tools": [{"type": "function", "name": "x", "parameters": {"camelCase": 1}}],
                },
            }
            await transport.close()

    run(test)
