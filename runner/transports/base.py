"""The transport interface: what a session needs of the line, and what it gives back.

A transport carries Realtime events and audio between one session and one server. WebSocket,
WebRTC, SIP, Twilio, Workers and a user's own all fit this page. The hot path is one synchronous
call from frame to application: a transport calls its ``receiver`` straight from the read loop.

Write your own: subclass :class:`RealtimeTransportLayer`, implement ``connect``, ``send_event``,
``close`` and, when audio does not travel as Realtime events, ``send_audio`` and ``flush``; hand
what arrives to ``deliver(event)`` and ``deliver_audio(...)``, and the end to ``lost(closed)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from runner.codec import b64encode
from runner.core.events import Audio
from runner.errors import NotConnectedError, UserError
from runner.listeners import Listeners

Status = Literal["disconnected", "connecting", "connected"]

#: A key, or a function that gives one, asked at each connection.
ApiKey = str | Callable[[], str | Awaitable[str]]

#: Who knows how much of the answer was heard: ``client`` (audio passes through us and a sink
#: counts it), ``transport`` (its ``heard_ms`` knows: RTP clock, marks of the far end), ``server``
#: (it owns the media and truncates by itself: SIP, WebRTC on the service's side).
Playback = Literal["client", "transport", "server"]


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """``session`` is the first session object in the wire's GA shape, sent by the session itself
    after the line is open, unless the transport says it ``sends_session`` (offer, accept)."""

    api_key: str | None = None
    url: str | None = None
    model: str | None = None
    call_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    session: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Closed:
    """Why a connection ended. ``clean`` when either side meant it; ``code`` as in RFC 6455.
    ``over``: the call itself is, its caller has hung up."""

    reason: str
    code: int = 1006
    clean: bool = False
    over: bool = False


class Receiver(Protocol):
    """The session's side. All calls are synchronous and come from the event loop."""

    def on_event(self, event: dict[str, Any]) -> None:
        """A server event, parsed, in order; audio deltas come by :meth:`on_audio` instead."""

    def on_audio(self, response_id: str, item_id: str, content_index: int, data: bytes) -> None:
        """Audio of an answer, decoded from base64, in the session's output format."""

    def on_closed(self, closed: Closed) -> None:
        """The connection is gone; nothing follows. Not called after ``close()``."""

    def send_audio(self, data: bytes, commit: bool) -> None:
        """The caller's audio, from a line that brings the caller. NotConnectedError."""


class RealtimeTransportLayer(Listeners, ABC):
    """Base of all transports. One object serves one connection at a time.

    Listeners: ``*`` gets a copy of every server event as it came, an event's own type that event
    alone, ``audio`` the decoded audio of the agent, ``close`` the end of a lost line,
    ``connection_change`` the new status, and ``connected`` and ``disconnected`` nothing beside
    their name.
    """

    playback: Playback = "client"
    #: The audio that the line carries both ways, as the wire writes a format, when the line and
    #: not the program decides that: ``{"type": "audio/pcmu"}`` on a telephone.
    audio_format: Mapping[str, Any] | None = None
    #: Who plays the agent's audio, when the line brings the ear: a phone that tells what it heard.
    sink: AudioSink | None = None
    #: Where the agent's audio goes that comes by itself, not answer by answer (PCM16 at 24 kHz).
    ear: AudioSink | None = None
    #: Seconds for which the last line may have been dead when its end was found.
    deaf_seconds = 0.0
    #: True when the first session object travels with connect() (WebRTC offer, SIP accept).
    sends_session = False

    def __init__(self) -> None:
        super().__init__()
        self._status: Status = "disconnected"
        self.receiver: Receiver | None = None
        self._muted = False

    @property
    def status(self) -> Status:
        """Where the line stands; a transport sets it, and whoever listens is told."""
        return self._status

    @status.setter
    def status(self, status: Status) -> None:
        if status == self._status:
            return
        self._status = status
        if self._handlers:
            self.call("connection_change", status)
            if status != "connecting":
                self.call(status)

    # -- to the server ---------------------------------------------------------------------
    @abstractmethod
    async def connect(self, options: ConnectOptions) -> None:
        """Open the line, bounded in time. ConnectError when refused or unreachable."""

    @abstractmethod
    def send_event(self, event: Mapping[str, Any]) -> None:
        """Queue one client event, in order. NotConnectedError when the line is not open."""

    @abstractmethod
    async def close(self) -> None:
        """Close the line within a second, then abort it. Idempotent."""

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """The caller's audio in the session's input format; dropped while muted."""
        if not self._muted:
            self.send_event({"type": "input_audio_buffer.append", "audio": b64encode(data)})
        if commit:
            self.send_event({"type": "input_audio_buffer.commit"})

    async def hang_up(self) -> None:
        """End the call at the far end, where that is more than closing the line. ConnectError
        when the far end could not be told."""

    async def transfer(self, uri: str) -> None:
        """Put the caller through to ``uri`` (tel: or sip:). UserError where no line can do that,
        ConnectError when it is refused."""
        raise UserError("this line cannot be put through to a telephone")

    def flush(self) -> None:
        """Drop audio that the transport itself holds for the far end and has not played."""

    def heard_ms(self, item_id: str) -> float | None:
        """Milliseconds of ``item_id`` played at the far end, when ``playback`` is transport."""
        return None

    def take_over(self, other: RealtimeTransportLayer) -> None:
        """Go on in the place of ``other``, which is closed: whoever listens to it listens here."""
        self._handlers, other._handlers = other._handlers, {}
        self.mute(other.muted)

    @property
    def muted(self) -> bool:
        return self._muted

    def mute(self, muted: bool) -> None:
        self._muted = muted

    # -- from the server -------------------------------------------------------------------
    def deliver(self, event: dict[str, Any]) -> None:
        """Hand a server event on: first ``*``, then its own type, then the receiver."""
        if self._handlers:
            self.tell(event)
        if self.receiver is not None:
            self.receiver.on_event(event)

    def tell(self, event: dict[str, Any]) -> None:
        """Give listeners a copy: what they do to it is not done to the call."""
        kind = event.get("type", "")
        if "*" in self._handlers or kind in self._handlers:
            try:
                copied = plain_copy(event)
            except RecursionError:  # nested beyond all reason; nobody edits that
                copied = event
            self.call("*", copied)
            self.call(kind, copied)

    def deliver_audio(
        self, response_id: str, item_id: str, content_index: int, data: bytes
    ) -> None:
        """Hand decoded audio on, to the receiver and to ``audio`` listeners of a thin client."""
        if self.receiver is not None:
            self.receiver.on_audio(response_id, item_id, content_index, data)
        if "audio" in self._handlers:
            self.call("audio", Audio(data, response_id, item_id))

    def lost(self, closed: Closed) -> None:
        """The connection is gone and nobody here asked for it."""
        self.status = "disconnected"
        if self.receiver is not None:
            self.receiver.on_closed(closed)
        self.call("close", closed)

    def require_open(self) -> None:
        if self.status != "connected":
            raise NotConnectedError(
                f"{type(self).__name__} is {self.status}", "await connect() first"
            )


async def given_key(key: ApiKey | None) -> str | None:
    """The key itself; a function is asked for it."""
    given = key() if callable(key) else key
    return given if given is None or isinstance(given, str) else await given


def plain_copy(value: Any) -> Any:
    """Objects and lists of JSON copied, to the last."""
    if isinstance(value, dict):
        return {key: plain_copy(inner) for key, inner in value.items()}
    return [plain_copy(inner) for inner in value] if isinstance(value, list) else value


class AudioSink(Protocol):
    """Where the agent's audio goes, and who knows how much of it was heard.

    A device, a file, a virtual speaker. ``play`` and ``flush`` are called in the event loop and
    do not block; ``on_drained`` is called in the loop each time everything handed over was played.
    """

    on_drained: Callable[[], None] | None

    def play(self, item_id: str, content_index: int, data: bytes) -> None:
        """Queue audio in the session's output format."""

    def flush(self) -> None:
        """Drop what was not played; positions stay where they were."""

    def heard(self, item_id: str, content_index: int) -> int:
        """Samples (of the output format's rate) of this item that were really played."""

    @property
    def idle(self) -> bool:
        """True when nothing waits to be played."""

    def close(self) -> None: ...
