"""The Realtime API over WebRTC: the caller's and the agent's audio as media, events beside it.

The service owns the media: it plays, cuts and truncates by itself, and says so
(``output_audio_buffer.*``). Audio that a program sends or wants to hear passes through tracks of
our own; ``media_stream`` and ``audio_element`` put the program's in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runner.codec import dumps
from runner.core.events import Audio
from runner.errors import NotConnectedError, UserError
from runner.transports.base import ApiKey, Playback
from runner.transports.messages import MessageLine
from runner.transports.wire import rest_base, without_formats

if TYPE_CHECKING:
    from runner.transports.rtcpeer import Change, Peer

EPHEMERAL = "ek_"


class AudioElement(Protocol):
    """Hears the agent: PCM16 mono at 24 kHz, 20 ms at a time, silence left out."""

    def play(self, item_id: str, content_index: int, data: bytes) -> None: ...

    def flush(self) -> None: ...


class OpenAIRealtimeWebRTC(MessageLine):
    """A session's line over WebRTC (aiortc), or, by itself, a thin client.

    ``media_stream``: an aiortc audio track, or an object with ``.audio`` (as MediaPlayer has),
    that speaks in place of :meth:`send_audio`; it is never stopped here. ``audio_element`` hears
    the agent in place of the session's sink. ``ice_servers``: URLs, or maps as browsers take
    them; none is asked unless named. ``change_peer_connection(pc)`` may look at the connection
    before the offer is made, or return another (sync or async). ``call_id`` is the service's name
    of the call, for a server that attaches to it.

    With a server's key the session travels with the offer, an ephemeral one has it bound to it.
    """

    playback: Playback = "server"

    def __init__(
        self,
        *,
        media_stream: Any = None,
        audio_element: AudioElement | None = None,
        ice_servers: Sequence[str | Mapping[str, Any]] = (),
        change_peer_connection: Change | None = None,
        url: str | None = None,
        base_url: str | None = None,
        api_key: ApiKey | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(url=url or base_url, api_key=api_key, model=model)
        self._connection: Peer | None = None
        #: One that was lost, and closes.
        self._gone: Peer | None = None
        self._media_stream = media_stream
        self._element = audio_element
        self._servers = ice_servers
        self._change = change_peer_connection

    @property
    def call_id(self) -> str:
        """Empty while no call is on the line."""
        return "" if self._connection is None else self._connection.call_id

    # -- connecting ------------------------------------------------------------------------
    async def _open(self, address: str, headers: dict[str, str]) -> Peer:
        from runner.transports.rtcpeer import Peer

        stream = self._media_stream
        peer = Peer(
            self,
            track=getattr(stream, "audio", stream),
            servers=self._servers,
            change=self._change,
        )
        peer.muted = self._muted
        session = self._session()
        url = f"{rest_base(address)}/realtime/calls"
        try:
            await peer.open(url, headers, session)
        except BaseException:
            await peer.close()
            raise
        self.sends_session = session is not None
        return peer

    def _session(self) -> dict[str, Any] | None:
        """What travels with the offer: nothing beside a secret that has a session bound to it. The
        formats are the media's own."""
        asked = self._asked
        if (asked.api_key or "").strip().startswith(EPHEMERAL):
            return None
        named = {} if asked.model is None else {"model": asked.model}
        session = named | without_formats(asked.session or {})
        return {"type": "realtime", **session} if session else None

    async def _hang_up(self, connection: Peer, at_once: bool = False) -> None:
        await connection.close()

    # -- sending ---------------------------------------------------------------------------
    def send_event(self, event: Mapping[str, Any]) -> None:
        self._write(dumps(event).encode("utf-8", "replace"))

    def send_audio(self, data: bytes, *, commit: bool = False) -> None:
        """The caller's audio, PCM16 mono at 24 kHz. UserError when ``media_stream`` speaks."""
        peer = self._require()
        if self._media_stream is not None:
            raise UserError("the caller speaks by media_stream here", "leave it out to send audio")
        peer.speak(data)
        if commit:
            self.send_event({"type": "input_audio_buffer.commit"})

    def mute(self, muted: bool) -> None:
        """Silence in place of what :meth:`send_audio` is given; a track of your own is yours."""
        super().mute(muted)
        if self._connection is not None:
            self._connection.muted = muted

    def _write(self, data: bytes) -> None:
        self._require().send(data)

    def _require(self) -> Peer:
        if self._connection is None:
            self.require_open()
            raise NotConnectedError("the connection is closing")
        return self._connection

    # -- from the peer -----------------------------------------------------------------------
    def hear(self, pcm24k: bytes) -> None:
        """The agent's audio, as it comes."""
        if (ear := self._element or self.ear) is not None:
            ear.play("", 0, pcm24k)
        if "audio" in self._handlers:
            self.call("audio", Audio(pcm24k, "", ""))

    def deliver(self, event: dict[str, Any]) -> None:
        ear = self._element or self.ear
        if ear is not None and event.get("type") == "output_audio_buffer.cleared":
            ear.flush()  # what was cut there and is here already
        super().deliver(event)

    def gone(self, code: int | None, reason: str | None) -> None:
        peer = self._connection
        super().gone(code, reason)
        if peer is not None and self._connection is None:
            self._gone = peer
            peer.leave()

    async def close(self) -> None:
        """Within a second. Also ends a connect() that is still on its way."""
        await super().close()
        if self._gone is not None:
            await self._gone.close()
            self._gone = None
