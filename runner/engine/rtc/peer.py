"""One WebRTC line: an offer answered, Opus both ways, events on the data channel.

Source: OpenAI's guide "Realtime API with WebRTC": the client offers one audio track and a data
channel ``oai-events``, and posts its offer without waiting for candidates; the answer has ours.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import SessionDescription

from runner.engine.server.calls import Call
from runner.media.ice import allow_loopback, close, configuration
from runner.media.jitter import install
from runner.media.resample import Resampler
from runner.media.rtc import (
    FRAME_BYTES,
    RATE,
    PulledTrack,
    heard,
    measure_at_once,
    meet_rsa,
    silent,
)
from runner.tasks import Supervisor

log = logging.getLogger("runner.engine")

WIRE_RATE = 24_000
#: A browser that was killed says nothing, and answers nothing: so long, and it is gone.
VANISHED_SECONDS = 4.0
#: From the answer to a line that is open.
CONNECT_SECONDS = 15.0
CLOSE_SECONDS = 1.0
#: In which the caller alone looks for a way.
HEAD_START_SECONDS = 0.3
#: What a client that does not read may leave in the data channel's buffer, and what one that
#: sends without end may leave in ours.
MAX_BUFFERED = 16 * 1024 * 1024
#: The largest message that Chromium takes (its ``max-message-size``); aiortc asks for less.
MAX_MESSAGE = 256 * 1024


class BadOffer(Exception):
    """Not an offer of audio, in words for whoever sent it."""


class Peer:
    """The far end of one call. ``on_over`` is called once, when the line is gone."""

    def __init__(self, on_failure: Callable[[str, BaseException], None]) -> None:
        self._tasks = Supervisor(on_failure)
        allow_loopback()
        measure_at_once()
        meet_rsa()
        self._connection = RTCPeerConnection(configuration())
        self._up = Resampler(WIRE_RATE, RATE)
        self._down = Resampler(RATE, WIRE_RATE)
        self._channel: RTCDataChannel | None = None
        self._early: list[str] = []
        self._unread = 0
        self._ready = asyncio.Event()
        self._track = PulledTrack(self._pull)
        self.call = Call(self._tell)
        self.call.line = self
        self._closing = False

    async def answer(self, offer: str) -> str:
        """The SDP that answers ``offer``, with our candidates. BadOffer."""
        connection = self._connection
        connection.on("track", self._on_track)
        connection.on("datachannel", self._on_channel)
        connection.on("connectionstatechange", self._on_state)
        try:
            _check(offer)
            reduced, candidates = _reduced(offer)
            await connection.setRemoteDescription(RTCSessionDescription(reduced, "offer"))
            connection.addTrack(self._track)
            install(connection)
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:
            await close(connection, CLOSE_SECONDS)
            if isinstance(error, BadOffer):
                raise
            # aiortc does not check what it reads: what lacks shows where it is used.
            raise BadOffer(f"The SDP could not be read: {error}") from None
        self._tasks.spawn(self._watch(), "a WebRTC line")
        self._tasks.spawn(self._ask(candidates), "checks of the caller's addresses")
        return str(connection.localDescription.sdp)

    async def _ask(self, candidates: list[RTCIceCandidate]) -> None:
        """Try the caller's addresses, when he did not reach ours before. He is given time to take
        the answer: libdatachannel that is asked before it has done so fails the handshake."""
        await asyncio.sleep(HEAD_START_SECONDS)
        for candidate in candidates:
            if self._connection.iceConnectionState in ("new", "checking"):
                await self._connection.addIceCandidate(candidate)

    # -- events --------------------------------------------------------------------------------
    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "oai-events" or self._channel is not None:
            log.warning("call %s: events go by oai-events, not by %r", self.call.id, channel.label)
            return
        self._channel = channel
        inbox: asyncio.Queue[str | bytes] = asyncio.Queue()

        def take(message: str | bytes) -> None:
            self._unread += len(message)
            if self._unread > MAX_BUFFERED:
                self._leave("the caller's program sends more than can be read")
            else:
                inbox.put_nowait(message)

        channel.on("message", take)
        channel.on("close", lambda: self._leave("the caller left"))
        self._tasks.spawn(self._read(inbox), "events of the caller")
        early, self._early = self._early, []
        for text in early:
            channel.send(text)
        self._ready.set()

    async def _read(self, inbox: asyncio.Queue[str | bytes]) -> None:
        while True:
            message = await inbox.get()
            await self.call.said_on_the_line(message)
            self._unread -= len(message)

    def _tell(self, text: str) -> None:
        channel = self._channel
        if channel is None:
            self._early.append(text)
            return
        if channel.readyState != "open" or self._closing:
            return
        if channel.bufferedAmount > MAX_BUFFERED:
            self._leave("the caller's program does not read")
            return
        if len(text) > MAX_MESSAGE:
            log.warning("an event of %d bytes is too large for a data channel", len(text))
            return
        channel.send(text)

    # -- sound -----------------------------------------------------------------------------------
    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._tasks.spawn(self._hear(track), "the caller's audio")

    async def _hear(self, track: MediaStreamTrack) -> None:
        async for pcm in heard(track, self._tasks):
            if self.call.connection is not None:
                await self.call.connection.hear(self._down.process(pcm))

    def _pull(self, _: bool) -> bytes:
        connection = self.call.connection
        if connection is None or connection.leg is None:
            return bytes(FRAME_BYTES)
        pcm = connection.leg.take(FRAME_BYTES * WIRE_RATE // RATE)
        # Also silence goes through the filter: what it holds back belongs to the last word.
        return self._up.process(pcm.ljust(FRAME_BYTES * WIRE_RATE // RATE, b"\0"))

    # -- the end ---------------------------------------------------------------------------------
    def _on_state(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._leave("the line broke")

    def _leave(self, reason: str) -> None:
        if not self._closing:
            self._tasks.spawn(self.hang_up(reason), "hang up")

    async def _watch(self) -> None:
        """Hang up on a line that never opens, and on one from which nothing comes any more."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            await self.hang_up("the line did not open")
            return
        await silent(self._connection, VANISHED_SECONDS)
        await self.hang_up("the caller vanished")

    async def hang_up(self, reason: str) -> None:
        """Close within a second. Idempotent."""
        if self._closing:
            return
        self._closing = True
        log.info("call %s: %s", self.call.id, reason)
        self.call.over()
        self._track.stop()
        if not await close(self._connection, CLOSE_SECONDS):
            log.warning("call %s takes long to close", self.call.id)
        await self._tasks.close()


def _reduced(offer: str) -> tuple[str, list[RTCIceCandidate]]:
    """``offer`` without its candidates, and those. None of them is the last: with that said,
    aioice gives up before a browser's own checks come. Names of multicast DNS (a browser's, as
    long as its page has no microphone) are not looked up: who knows our address asks there."""
    found = []
    for index, media in enumerate(SessionDescription.parse(offer).media):
        for candidate in media.ice_candidates:
            candidate.sdpMid, candidate.sdpMLineIndex = media.rtp.muxId, index
            if not candidate.ip.endswith(".local"):
                found.append(candidate)
    kept = (each for each in offer.splitlines(keepends=True) if not _CANDIDATES.match(each))
    return "".join(kept), found


_CANDIDATES = re.compile("a=(candidate:|end-of-candidates)")


def _check(offer: str) -> None:
    """BadOffer, for what aiortc takes and fails on in the background."""
    description = SessionDescription.parse(offer)
    kinds = {media.kind for media in description.media}
    if "audio" not in kinds:
        raise BadOffer("The SDP offers no audio.")
    if unknown := kinds - {"audio", "video", "application"}:
        raise BadOffer(f"The SDP offers {unknown.pop()}, which is not known here.")
    there = {media.rtp.muxId for media in description.media}
    for group in description.group:
        if group.semantic == "BUNDLE" and set(group.items) != there:
            raise BadOffer("The SDP's a=group:BUNDLE and its sections are not the same.")
