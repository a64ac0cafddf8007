"""Audio tracks of a WebRTC connection as plain PCM16, mono at 48 kHz, in frames of 20 ms."""

from __future__ import annotations

import asyncio
import fractions
import math
from collections.abc import AsyncIterator, Callable

import aiortc.rtp
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from runner.tasks import Supervisor

RATE = 48_000
FRAME_SAMPLES = 960
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_SECONDS = FRAME_SAMPLES / RATE
#: A gap in the numbers of a stream is silence up to here; beyond, the stream began anew.
LONGEST_GAP = 2 * RATE
#: So long without a packet is a pause of the sender, and time goes on in silence.
PAUSE_SECONDS = 0.1
#: How often it is looked whether packets still come.
LOOK_SECONDS = 0.5
#: Frames that may wait for whoever hears them.
WAITING_FRAMES = 100

_BASE = fractions.Fraction(1, RATE)


class PulledTrack(MediaStreamTrack):
    """Sends what ``pull()`` gives: FRAME_BYTES each 20 ms of the loop's clock, silence when it
    has none. A frame that is late is not made up for by a burst beyond ``catch_up`` frames."""

    kind = "audio"

    def __init__(self, pull: Callable[[], bytes], catch_up: int = 3) -> None:
        super().__init__()
        self._pull = pull
        self._catch_up = catch_up
        self._due: float | None = None
        self._pts = 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._due is None or now - self._due > self._catch_up * FRAME_SECONDS:
            if self._due is not None:
                self._pts += int((now - self._due) * RATE) // FRAME_SAMPLES * FRAME_SAMPLES
            self._due = now
        if self._due > now:
            await asyncio.sleep(self._due - now)
        self._due += FRAME_SECONDS
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(self._pull().ljust(FRAME_BYTES, b"\0"))
        frame.sample_rate, frame.time_base, frame.pts = RATE, _BASE, self._pts
        self._pts += FRAME_SAMPLES
        return frame


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
    """What comes by ``track``, until it ends. Lost packets are silence of their length (aiortc
    leaves gaps in the numbers), and while the sender pauses, time goes on in silence."""
    expected: int | None = None
    filled = 0
    frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue(WAITING_FRAMES)
    reading = tasks.spawn(_read(track, frames), "frames of a track")
    try:
        while True:
            try:
                async with asyncio.timeout(PAUSE_SECONDS):
                    frame = await frames.get()
            except TimeoutError:
                # A loop that was held up finds the time over and the frames there: no pause.
                if expected is not None and frames.empty():
                    filled += int(PAUSE_SECONDS * RATE)
                    yield bytes(2 * int(PAUSE_SECONDS * RATE))
                continue
            if frame is None:
                return
            pcm = mono(frame)
            start = (frame.pts or 0) * RATE // (frame.sample_rate or RATE)
            if expected is not None:
                gap = start - expected - filled
                if 0 < gap <= LONGEST_GAP:
                    yield bytes(2 * gap)
            expected, filled = start + len(pcm) // 2, 0
            yield pcm
    finally:
        reading.cancel()


async def _read(track: MediaStreamTrack, frames: asyncio.Queue[AudioFrame | None]) -> None:
    try:
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            await frames.put(frame)
    except MediaStreamError:
        await frames.put(None)


async def silent(connection: RTCPeerConnection, seconds: float) -> None:
    """Return when no packet of any kind has come by ``connection`` for so long: its far end is
    gone, and aioice would take half a minute to say so."""
    loop = asyncio.get_running_loop()
    seen, since = packets_received(connection), loop.time()
    while loop.time() - since <= seconds:
        await asyncio.sleep(LOOK_SECONDS)
        if (now := packets_received(connection)) != seen:
            seen, since = now, loop.time()


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
