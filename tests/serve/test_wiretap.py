"""A tap on the wire tells all that goes over it, and leaves it as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from runner.codec import b64encode
from runner.serve.wiretap import Wiretap, without_payload
from runner.transports.base import ConnectOptions, RealtimeTransportLayer

pytestmark = pytest.mark.quick


class Own(RealtimeTransportLayer):
    """A transport as a user writes it: audio by the base's way, or by one of its own."""

    def __init__(self, lane: bool = False) -> None:
        super().__init__()
        self.sent: list[Any] = []
        self.lane = lane

    async def connect(self, options: ConnectOptions) -> None:
        self.status = "connected"

    def send_event(self, event: Mapping[str, Any]) -> None:
        self.require_open()
        self.sent.append(event)

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        if not self.lane:
            return super().send_audio(data, commit=commit)
        self.require_open()
        if not self.muted:
            self.sent.append(data)
        if commit:
            self.send_event({"type": "input_audio_buffer.commit"})

    async def close(self) -> None:
        self.status = "disconnected"


Told = list[tuple[str, dict[str, Any]]]


def tapped(own: Own) -> tuple[Wiretap, Told]:
    told: Told = []
    return Wiretap(own, lambda side, event: told.append((side, dict(event)))), told


def opened(lane: bool = False) -> Own:
    own = Own(lane)
    asyncio.run(own.connect(ConnectOptions()))
    return own


def test_both_sides_are_told_in_order_and_nothing_is_changed() -> None:
    own = opened()
    tap, told = tapped(own)
    own.send_event({"type": "response.create"})
    own.deliver({"type": "response.created", "response": {}})
    assert [(side, e["type"]) for side, e in told] == [
        ("client", "response.create"),
        ("server", "response.created"),
    ]
    assert own.sent == [{"type": "response.create"}]
    tap.close()
    own.send_event({"type": "response.cancel"})
    own.deliver({"type": "response.done"})
    assert len(told) == 2
    assert "send_event" not in vars(own), "the transport is as it was"
    assert not own.listens("*")


@pytest.mark.parametrize("lane", [False, True])
def test_the_callers_audio_is_told_once_whichever_way_it_goes(lane: bool) -> None:
    own = opened(lane)
    tap, told = tapped(own)
    own.send_audio(b"abc", commit=True)
    append = {"type": "input_audio_buffer.append", "audio": b64encode(b"abc")}
    assert told == [("client", append), ("client", {"type": "input_audio_buffer.commit"})]
    assert len(own.sent) == 2
    own.mute(True)
    own.send_audio(b"abc")
    own.send_audio(b"")
    assert [e["type"] for _, e in told[2:]] in ([], ["input_audio_buffer.append"])
    assert not any(e.get("audio") == append["audio"] for _, e in told[2:])
    tap.close()


def test_what_could_not_be_sent_is_not_told() -> None:
    own = Own()
    tap, told = tapped(own)
    for send in (lambda: own.send_event({"type": "x"}), lambda: own.send_audio(b"abc")):
        with pytest.raises(Exception, match="disconnected"):
            send()
    assert told == []
    tap.close()


def test_a_wrapper_of_somebody_else_is_not_taken_away() -> None:
    own = opened()
    tap, told = tapped(own)
    inner, seen = own.send_event, []

    def theirs(event: Mapping[str, Any]) -> None:
        seen.append(event)
        inner(event)

    own.send_event = theirs  # type: ignore[method-assign]
    own.send_event({"type": "a"})
    tap.close()
    own.send_event({"type": "b"})
    assert [e["type"] for e in seen] == [e["type"] for e in own.sent] == ["a", "b"]
    assert [e["type"] for _, e in told] == ["a"]


def test_sounds_and_pictures_are_told_by_their_size() -> None:
    data = "A" * 6400
    size = "(6400 characters of base64)"
    assert without_payload({"type": "response.output_audio.delta", "delta": data}) == {
        "type": "response.output_audio.delta",
        "delta": size,
    }
    assert without_payload({"type": "input_audio_buffer.append", "audio": data})["audio"] == size
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 6378}
    item = {"type": "message", "content": [picture, {"type": "input_audio", "audio": data}]}
    shown = without_payload({"type": "conversation.item.create", "item": item})
    assert shown["item"]["content"] == [
        {"type": "input_image", "image_url": size},
        {"type": "input_audio", "audio": size},
    ]
    session = {"type": "session.update", "session": {"audio": {"output": {"voice": "marin"}}}}
    text = {"type": "response.output_text.delta", "delta": "word " * 100}
    assert (without_payload(session), without_payload(text)) == (session, text)
