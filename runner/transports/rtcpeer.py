"""One WebRTC connection to the service: everything of it lives here and is thrown away whole.

Source: OpenAI's guide "Realtime API with WebRTC". One audio track each way, a data channel
``oai-events``; the offer goes by HTTP POST without waiting for anything but our own addresses.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from runner.errors import ConnectError, NotConnectedError
from runner.media.ice import allow_loopback, close, configuration
from runner.media.jitter import install
from runner.media.resample import Resampler
from runner.media.rtc import (
    FRAME_BYTES,
    RATE,
    BorrowedTrack,
    PulledTrack,
    heard,
    measure_at_once,
    silent,
)
from runner.tasks import Supervisor, in_thread
from runner.transports.offer import OTHERWISE, SECONDS, no_sdp, post_offer

WIRE_RATE = 24_000
#: From the answer to a data channel that is open.
OPEN_SECONDS = 5.0
CLOSE_SECONDS = 0.8
#: No packet of any kind for so long, and the line is lost.
SILENT_SECONDS = 4.0
#: The caller's audio that may wait in us; older audio is dropped, since late speech is noise.
SEND_QUEUE_MS = 400
#: Below this peak a frame is silence, and so is all behind the tail of what was louder.
QUIET_PEAK = 24
TAIL_FRAMES = 15

_BYTES_A_MS = WIRE_RATE // 1000 * 2
_FRAME = FRAME_BYTES * WIRE_RATE // RATE

#: Looks at, or replaces, the connection before the offer is made.
Change = Callable[[RTCPeerConnection], Any]


class Owner(Protocol):
    def message(self, data: bytes) -> None: ...
    def hear(self, pcm24k: bytes) -> None: ...
    def gone(self, code: int | None, reason: str | None) -> None: ...


class Peer:
    """``track`` is the caller's own; without one :meth:`speak` is the caller."""

    def __init__(
        self,
        owner: Owner,
        *,
        track: MediaStreamTrack | None,
        servers: Sequence[Any],
        change: Change | None,
    ) -> None:
        allow_loopback()
        measure_at_once()
        self.owner: Owner | None = owner
        self.call_id = ""
        self.connection = RTCPeerConnection(configuration(servers, bundled=True))
        self._tasks = Supervisor(self._failed)
        self._own = None if track is not None else PulledTrack(self._pull)
        # Closing a connection stops its tracks; the caller's is not ours to stop.
        self._track = self._own if track is None else BorrowedTrack(track)
        self._change = change
        self._up = Resampler(WIRE_RATE, RATE)
        self._down = Resampler(RATE, WIRE_RATE)
        self._waiting = bytearray()
        self._opened = asyncio.Event()
        self._tail = 0
        self._offering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self.muted = False
        self._channel: RTCDataChannel | None = None

    # -- opening ---------------------------------------------------------------------------------
    async def open(
        self, url: str, headers: Mapping[str, str], session: Mapping[str, Any] | None
    ) -> None:
        """Offer, take the answer, and wait until the data channel is open. ConnectError."""
        self._furnish(self.connection)
        if self._change is not None:
            changed = self._change(self.connection)
            changed = await changed if inspect.isawaitable(changed) else changed
            if isinstance(changed, RTCPeerConnection) and changed is not self.connection:
                first, self.connection = self.connection, changed
                self._furnish(changed)
                await close(first, CLOSE_SECONDS)
        connection = self.connection
        connection.on("track", self._on_track)
        connection.on("connectionstatechange", self._on_state)
        install(connection)
        # Stopped half way, aioice forgets the sockets that it has opened by then.
        making = connection.setLocalDescription(await connection.createOffer())
        self._offering = Supervisor(self._failed).spawn(making, "an offer")
        await asyncio.shield(self._offering)
        offer = str(connection.localDescription.sdp)
        try:
            async with asyncio.timeout(SECONDS):
                answer = await in_thread(post_offer, url, headers, offer, session)
        except TimeoutError:
            raise ConnectError(
                f"{url} did not answer within {SECONDS:.0f} s",
                f"check the address and the network; {OTHERWISE}",
            ) from None
        self.call_id = answer.call_id
        try:
            await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
        except Exception as error:
            raise no_sdp(url, str(error)) from None
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._opened.wait()
        except TimeoutError:
            raise ConnectError(
                f"{url} took the call, and no media came through within {OPEN_SECONDS:.0f} s",
                "UDP seems to be blocked between here and there: open it, name a TURN server "
                "(ice_servers), or use transport: websocket",
            ) from None
        self._tasks.spawn(self._watch(), "a WebRTC line")

    def _furnish(self, connection: RTCPeerConnection) -> None:
        """A track and a channel. In this order: aiortc takes the first for the way of both."""
        assert self._track is not None
        connection.addTrack(self._track)
        channel = self._channel = connection.createDataChannel("oai-events")
        channel.on("open", self._opened.set)
        channel.on("message", self._message)

        def closed() -> None:
            if channel is self._channel:
                self._end("the other side closed the line", 1000)

        channel.on("close", closed)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._tasks.spawn(self._hear(track), "the agent's audio")

    # -- events ----------------------------------------------------------------------------------
    def send(self, data: bytes) -> None:
        if self._channel is None or self._channel.readyState != "open":
            raise NotConnectedError("the connection is closing")
        self._channel.send(data.decode())

    def _message(self, message: str | bytes) -> None:
        if self.owner is not None:
            self.owner.message(message.encode() if isinstance(message, str) else message)

    # -- sound -----------------------------------------------------------------------------------
    def speak(self, pcm24k: bytes) -> None:
        """The caller's audio, to be sent at real time."""
        self._waiting += pcm24k
        over = len(self._waiting) - SEND_QUEUE_MS * _BYTES_A_MS
        if over > 0:
            del self._waiting[:over]
        if self._own is not None:
            self._own.news.set()

    def _pull(self, whatever: bool) -> bytes:
        if len(self._waiting) < _FRAME and not whatever:
            return b""
        data = bytes(self._waiting[:_FRAME])
        del self._waiting[:_FRAME]
        data = b"" if self.muted else data
        return self._up.process(data.ljust(_FRAME, b"\0"))

    async def _hear(self, track: MediaStreamTrack) -> None:
        async for pcm in heard(track, self._tasks):
            out = self._down.process(pcm)
            samples = memoryview(out).cast("h")
            if len(samples) and max(max(samples), -min(samples)) > QUIET_PEAK:
                self._tail = TAIL_FRAMES
            elif self._tail:
                self._tail -= 1
            else:
                continue  # a line carries silence all the time; nobody has to play it
            if self.owner is not None:
                self.owner.hear(out)

    # -- the end ---------------------------------------------------------------------------------
    def _on_state(self) -> None:
        if self.connection.connectionState in ("failed", "closed"):
            self._end("the connection broke", 1006)

    async def _watch(self) -> None:
        await silent(self.connection, SILENT_SECONDS)
        self._end(f"nothing came for {SILENT_SECONDS:.0f} s", 1006)

    def _end(self, reason: str, code: int) -> None:
        owner, self.owner = self.owner, None
        if owner is not None and self._opened.is_set():
            owner.gone(code, reason)

    def leave(self) -> None:
        """Close, and wait for nothing."""
        self.owner = None
        if self._closing is None:
            self._closing = Supervisor(self._failed).spawn(self._close(), "close a WebRTC line")

    async def close(self) -> None:
        """Within a second; the caller's own track is left alone. Whoever waits for it may be
        cancelled: it is closed all the same (aiortc that is stopped half way never ends)."""
        self.leave()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._own is not None:
            self._own.stop()
        if self._offering is not None:
            await asyncio.wait((self._offering,), timeout=CLOSE_SECONDS)
        await close(self.connection, CLOSE_SECONDS)
        await self._tasks.close(within=0.2)

    def _failed(self, name: str, error: BaseException) -> None:
        self._end(f"{name}: {error}", 1006)
