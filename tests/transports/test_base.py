"""What every transport gets from its base."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from runner.codec import b64encode
from runner.core.events import Audio
from runner.errors import NotConnectedError
from runner.transports.base import Closed, ConnectOptions, RealtimeTransportLayer

pytestmark = pytest.mark.quick


class Loop(RealtimeTransportLayer):
    """The least that a transport of one's own has to say."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Mapping[str, Any]] = []

    async def connect(self, options: ConnectOptions) -> None:
        self.status = "connected"

    def send_event(self, event: Mapping[str, Any]) -> None:
        self.require_open()
        self.sent.append(event)

    async def close(self) -> None:
        self.status = "disconnected"


class Ear:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_event(self, event: dict[str, Any]) -> None:
        self.told.append(event["type"])

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        self.told.append((response_id, item_id, content_index, data))

    def on_closed(self, closed: Closed) -> None:
        self.told.append(closed)


def test_audio_travels_as_events_unless_a_transport_knows_better() -> None:
    """BA21: base64 in an append; a commit only when asked for."""
    line = Loop()
    with pytest.raises(NotConnectedError, match="Loop is disconnected"):
        line.send_audio(b"\1\0")
    asyncio.run(line.connect(ConnectOptions()))
    line.send_audio(b"\1\0", commit=True)
    line.mute(True)
    line.send_audio(b"\2\0", commit=True)
    assert line.sent == [
        {"type": "input_audio_buffer.append", "audio": b64encode(b"\1\0")},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.commit"},
    ]


def test_an_event_goes_to_all_then_to_its_own_then_to_the_session() -> None:
    line, ear, order = Loop(), Ear(), []
    line.receiver = ear
    line.on("turn", lambda event: order.append(("turn", event, list(ear.told))))
    line.on("*", lambda event: order.append(("*", event, list(ear.told))))
    line.deliver({"type": "turn"})
    assert order == [("*", {"type": "turn"}, []), ("turn", {"type": "turn"}, [])]
    assert ear.told == ["turn"]


def test_audio_goes_to_the_session_and_to_a_thin_client() -> None:
    line, ear, heard = Loop(), Ear(), []
    line.deliver_audio("r", "i", 0, b"\1\0")
    line.receiver = ear
    line.on("audio", heard.append)
    line.deliver_audio("r", "i", 0, b"\2\0")
    assert ear.told == [("r", "i", 0, b"\2\0")]
    assert heard == [Audio(b"\2\0", "r", "i")]


def test_the_loss_of_the_line_is_told_once_to_each() -> None:
    line, ear, heard = Loop(), Ear(), []
    asyncio.run(line.connect(ConnectOptions()))
    line.receiver = ear
    line.on("close", heard.append)
    line.lost(Closed("reset"))
    assert line.status == "disconnected"
    assert ear.told == heard == [Closed("reset", 1006, False)]


def test_what_a_transport_need_not_know() -> None:
    line = Loop()
    line.flush()
    assert line.heard_ms("item") is None
    assert not line.sends_session
