"""Audio tracks of a WebRTC connection as plain PCM16, mono at 48 kHz, in frames of 20 ms."""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiortc.rtp
import numpy as np
from aiortc import MediaStreamTrack, RTCCertificate, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from runner.media.ice import answers
from runner.tasks import Supervisor

RATE = 48_000
FRAME_SAMPLES = 960
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_SECONDS = FRAME_SAMPLES / RATE
#: A gap in the numbers of a stream is silence up to here; beyond, the stream began anew.
LONGEST_GAP = 2 * RATE
#: A gap up to here is of packets that were lost in the middle of a sound; beyond, of a pause.
LONGEST_LOSS = RATE * 120 // 1000
#: A sender that was held up sends so much at once; time before that goes by in silence.
CATCH_UP_SECONDS = 0.4
#: So long whoever was speaking may be late, before there is silence in the middle of a word.
LATE_SECONDS = 0.1
#: So many looks without a packet are a pause of the sender, and time goes on in silence. Longer
#: than it may catch up: what was said is not torn apart by a silence that nobody made.
PAUSE_LOOKS = 5
PAUSE_LOOK_SECONDS = 0.1
#: How often it is looked whether packets still come.
LOOK_SECONDS = 0.5
#: Frames that may wait for whoever hears them.
WAITING_FRAMES = 100

_BASE = fractions.Fraction(1, RATE)


class PulledTrack(MediaStreamTrack):
    """Sends what ``pull`` gives, FRAME_BYTES each 20 ms of the loop's clock. ``pull(False)`` gives
    nothing while there is no whole frame, ``pull(True)`` always gives one: what there is, and
    silence. Frames that are late are sent at once, up to CATCH_UP_SECONDS of them; behind a longer
    stall the numbers go on, and the far end hears silence in between."""

    kind = "audio"

    def __init__(self, pull: Callable[[bool], bytes]) -> None:
        super().__init__()
        self._pull = pull
        self._due: float | None = None
        self._pts = 0
        self._spoke = False
        #: Set when there is more to pull.
        self.news = asyncio.Event()

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        due = now if self._due is None else self._due
        if due > now:
            await asyncio.sleep(due - now)
        lost = int((now - due - CATCH_UP_SECONDS) / FRAME_SECONDS)
        if lost > 0:
            due += lost * FRAME_SECONDS
            self._pts += lost * FRAME_SAMPLES
        data = await self._next()
        self._due = due + FRAME_SECONDS
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(data.ljust(FRAME_BYTES, b"\0"))
        frame.sample_rate, frame.time_base, frame.pts = RATE, _BASE, self._pts
        self._pts += FRAME_SAMPLES
        return frame

    async def _next(self) -> bytes:
        """Whoever spoke in the frame before is waited for: behind a stall we may be the first who
        goes on, and silence sent in their place would stand in the middle of a word, and keep
        what they say late for good."""
        data = self._pull(False)
        if not data and self._spoke:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LATE_SECONDS):
                    while not data:
                        self.news.clear()
                        await self.news.wait()
                        data = self._pull(False)
        self._spoke = bool(data)
        return data or self._pull(True)


class BorrowedTrack(MediaStreamTrack):
    """Somebody else's track, which goes on when the connection that sends it is closed."""

    kind = "audio"

    def __init__(self, track: MediaStreamTrack) -> None:
        super().__init__()
        self._track = track

    async def recv(self) -> AudioFrame:
        frame = await self._track.recv()
        assert isinstance(frame, AudioFrame)
        return frame


async def heard(track: MediaStreamTrack, tasks: Supervisor) -> AsyncIterator[bytes]:
    """What comes by ``track``, until it ends. Where packets were lost (aiortc leaves gaps in the
    numbers) the last sound dies away, and while the sender pauses, time goes on in silence."""
    expected: int | None = None
    pcm = b""
    filled = looks = 0
    frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue(WAITING_FRAMES)
    reading = tasks.spawn(_read(track, frames), "frames of a track")
    try:
        while True:
            try:
                async with asyncio.timeout(PAUSE_LOOK_SECONDS):
                    frame = await frames.get()
            except TimeoutError:
                # A loop that was held up finds the time over once, however long that was.
                looks += 1
                if expected is not None and frames.empty() and looks >= PAUSE_LOOKS:
                    missing = looks if looks == PAUSE_LOOKS else 1
                    filled += int(missing * PAUSE_LOOK_SECONDS * RATE)
                    yield bytes(2 * int(missing * PAUSE_LOOK_SECONDS * RATE))
                continue
            looks = 0
            if frame is None:
                return
            before, pcm = pcm, mono(frame)
            start = (frame.pts or 0) * RATE // (frame.sample_rate or RATE)
            if expected is not None:
                gap = start - expected - filled
                if 0 < gap <= LONGEST_LOSS and not filled:
                    yield dying(before, gap)
                elif 0 < gap <= LONGEST_GAP:
                    yield bytes(2 * gap)
            expected, filled = start + len(pcm) // 2, 0
            yield pcm
    finally:
        reading.cancel()


def dying(last: bytes, samples: int) -> bytes:
    """``last`` goes to and fro, softer and softer, and is gone after three times its length: what
    a recogniser takes for a sound that went on, where silence would be the end of a word."""
    once = np.frombuffer(last, "<i2").astype(np.float32)
    sound = np.concatenate((once[::-1], once, once[::-1]))
    sound *= np.linspace(1, 0, len(sound), dtype=np.float32)
    return sound[:samples].astype("<i2").tobytes().ljust(2 * samples, b"\0")


async def _read(track: MediaStreamTrack, frames: asyncio.Queue[AudioFrame | None]) -> None:
    try:
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            await frames.put(frame)
    except MediaStreamError:
        await frames.put(None)


async def silent(connection: RTCPeerConnection, seconds: float) -> None:
    """Return when no packet of any kind has come by ``connection`` for so long, and none answers
    there either: its far end is gone, and aioice would take half a minute to say so. A browser
    that sends no sound (a track taken away, a microphone that stands still, a page that only
    listens) is not gone."""
    loop = asyncio.get_running_loop()
    seen, since = packets_received(connection), loop.time()
    while loop.time() - since <= seconds:
        await asyncio.sleep(LOOK_SECONDS)
        if (now := packets_received(connection)) != seen:
            seen, since = now, loop.time()
        elif await answers(connection):
            since = loop.time()


def packets_received(connection: RTCPeerConnection) -> int:
    """Packets of any kind that came by ``connection``."""
    transports: dict[int, object] = {}
    for transceiver in connection.getTransceivers():
        transport = transceiver.receiver.transport
        transports[id(transport)] = transport
    # aiortc tells it in getStats alone, which builds a report for each look.
    return sum(int(getattr(t, "_RTCDtlsTransport__rx_packets", 0)) for t in transports.values())


def measure_at_once() -> None:
    """From now on, in this process, aiortc measures how loud a frame is with numpy. It does so for
    each that is sent, and its own loop over the samples costs half as much as coding them.
    Idempotent."""
    aiortc.rtp.compute_audio_level_dbov = level


def meet_rsa() -> None:
    """From now on, in this process, aiortc also shakes hands with a far end whose certificate is
    RSA (GStreamer's); its own list of ciphers has ECDSA alone. Idempotent."""
    RTCCertificate._create_ssl_context = _with_rsa  # type: ignore[method-assign]


_made = RTCCertificate._create_ssl_context
#: As OpenSSL names them; forward secrecy alone, as RFC 8827, 6.5 asks for.
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
)


def _with_rsa(self: RTCCertificate, srtp_profiles: list[Any]) -> Any:
    context = _made(self, srtp_profiles)
    context.set_cipher_list(_CIPHERS)
    return context


def level(frame: AudioFrame) -> int:
    """In dB below the loudest, -127 to 0 (RFC 6465, appendix A)."""
    samples = np.frombuffer(bytes(frame.planes[0]), "<i2").astype(np.float64)
    power = float(samples @ samples) / (frame.samples * 32767**2)
    return round(min(0.0, max(-127.0, 10 * math.log10(power)))) if power else -127


def mono(frame: AudioFrame) -> bytes:
    """The samples of a decoded frame (s16; aiortc gives Opus in two channels, G.711 in one at
    8 kHz) as mono PCM16 at 48 kHz."""
    channels = len(frame.layout.channels)
    samples = np.frombuffer(bytes(frame.planes[0]), "<i2", frame.samples * channels)
    if channels == 2:
        left, right = samples[0::2], samples[1::2]
        samples = (left & right) + ((left ^ right) >> 1)  # the mean, in 16 bits
    if frame.sample_rate != RATE:
        times = RATE // frame.sample_rate
        at = np.arange(len(samples) * times) / times
        samples = np.interp(at, np.arange(len(samples)), samples).astype("<i2")
    return samples.tobytes()
