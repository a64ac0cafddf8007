"""The wire of a call, both ways, while somebody looks at it: ``rtrun tail --raw``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from runner.codec import b64encode
from runner.core.events import Audio
from runner.transports.base import RealtimeTransportLayer

From = Literal["client", "server"]
Tell = Callable[[From, Mapping[str, Any]], None]
Sound = Callable[[From, bytes], None]

_APPEND = "input_audio_buffer.append"
#: What is no longer than this is no sound and no picture.
_SHORT = 64


class Wiretap:
    """``tell(side, event)`` hears each event that the transport sends or gets, ``sound(side,
    data)`` the audio of the caller and of the agent, until ``close()``."""

    def __init__(
        self, transport: RealtimeTransportLayer, tell: Tell, sound: Sound = lambda side, data: None
    ) -> None:
        self._transport = transport
        self._tell = tell
        self._sound = sound
        self._held: list[Mapping[str, Any]] | None = None
        self._send_event, self._send_audio = transport.send_event, transport.send_audio
        # A transport tells listeners what it gets, not what is sent, and one of a user's own
        # overrides send_event(): it is this object's that everybody calls.
        self._own = {"send_event": self._event, "send_audio": self._audio}
        vars(transport).update(self._own)
        transport.on("*", self._got)
        transport.on("audio", self._heard)

    def close(self) -> None:
        self._tell = lambda side, event: None
        self._sound = lambda side, data: None
        self._transport.off("*", self._got)
        self._transport.off("audio", self._heard)
        mine = vars(self._transport)
        for name, method in self._own.items():
            if mine.get(name) is method:
                del mine[name]

    def _got(self, event: Mapping[str, Any]) -> None:
        self._tell("server", event)

    def _heard(self, audio: Audio) -> None:
        self._sound("server", audio.data)

    def _event(self, event: Mapping[str, Any]) -> None:
        self._send_event(event)
        if self._held is None:
            self._tell("client", event)
        else:
            self._held.append(event)

    def _audio(self, data: bytes, *, commit: bool = False) -> None:
        held = self._held = []
        try:
            self._send_audio(data, commit=commit)
        finally:
            self._held = None
        if not self._transport.muted:
            self._sound("client", data)
        # The WebSocket's lane writes an append without making an event of it. Where the sound has
        # a way of its own (RTP), there is none.
        appends = self._transport.playback == "client" and bool(data) and not self._transport.muted
        if appends and not any(event.get("type") == _APPEND for event in held):
            self._tell("client", {"type": _APPEND, "audio": b64encode(data)})
        for event in held:
            self._tell("client", event)


def without_payload(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with sounds and pictures told by their size: ``(6400 characters of base64)``."""
    if str(event.get("type", "")).endswith("audio.delta"):
        return {**event, "delta": _size(event.get("delta"))}
    return {key: _plain(key, value) for key, value in event.items()}


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {inner: _plain(inner, item) for inner, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(key, item) for item in value]
    picture = isinstance(value, str) and value.startswith("data:")
    return _size(value) if key == "audio" or picture else value


def _size(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _SHORT:
        return f"({len(value)} characters of base64)"
    return value
