"""One call's sound: an RTP port that a session of the engine hears and speaks through.

What goes out is paced by an absolute clock, a packet each ``ptime`` with silence where the agent
has nothing to say: that keeps the way through a NAT open. It goes where their sound comes from,
which is not always where their SDP says (symmetric RTP). There is no RTCP: no phone that was tried
needs a report, and 50 of them a second would be one more timer a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from runner.audio.formats import AudioFormat
from runner.engine.server.leg import Leg
from runner.engine.sip.media import negotiate
from runner.engine.sip.media.jitter import Jitter
from runner.engine.sip.media.negotiate import Negotiated
from runner.engine.sip.media.rtp import COMFORT_NOISE, KEYS, Keys, Packet, pack, unpack
from runner.engine.sip.media.srtp import Cipher
from runner.media.convert import converter
from runner.tasks import Supervisor

log = logging.getLogger("runner.engine")

#: No packet for so long, and the caller is taken for gone.
SILENCE_SECONDS = 30.0
#: Another address is believed when nothing came from the last one for so long.
MOVED_SECONDS = 1.0
#: Packets sent at once when the machine was late: a phone's jitter buffer takes 200 ms in one go,
#: and a hole in their place would be heard. What is later than that is skipped.
CATCH_UP = 10
#: What is due so soon goes now: uvloop's clock counts milliseconds, and a timer that comes a hair
#: before its time would be set anew, at no distance, until the next millisecond.
SOON = 0.001
#: What waits for the recogniser; the oldest goes first.
BACKLOG_MS = 2000
#: Sound may come so far ahead of its time, and that much faster for as long as it likes: bursts
#: behind a stall, a clock that runs fast. More than that would be the time of the other callers.
AHEAD_MS = 5000
FASTER = 1.5
_TRIES = 8  # for an even port, as RFC 3550 would like it

Address = tuple[str, int]


class Session(Protocol):
    """What a port needs of the engine's Connection."""

    @property
    def leg(self) -> Leg | None: ...

    async def hear(self, data: bytes) -> None: ...

    def digit(self, key: str) -> None: ...


@dataclass(slots=True)
class Counts:
    """Packets: taken, of no use to this call, from somebody else, sent. And ms not heard because
    the engine was too slow, or the phone too fast."""

    received: int = 0
    garbage: int = 0
    stray: int = 0
    sent: int = 0
    dropped_ms: float = 0.0


class RtpPort(asyncio.DatagramProtocol):
    """Bound by :meth:`open`, so that an answer can name it; heard from :meth:`start` on.

    ``on_silence(seconds)`` is called once when nothing comes though the far end is not on hold.
    All of it runs in the loop that opened it.
    """

    def __init__(self, host: str) -> None:
        #: As the far end is told it.
        self.host = host
        self.port = 0
        self.counts = Counts()
        self.on_silence: Callable[[float], None] = lambda seconds: None
        self._loop = asyncio.get_running_loop()
        self._tasks = Supervisor(_failed)
        self._transport: asyncio.DatagramTransport | None = None
        self._session: Session | None = None
        self._agreed: Negotiated | None = None
        self._pending: Negotiated | None = None
        self._cipher: Cipher | None = None
        # Inward.
        self._from: Address | None = None
        self._remote: Address | None = None
        self._six = False
        self._ssrc: int | None = None
        self._arrived = 0.0
        self._told = False
        self._jitter = Jitter(b"\xff")
        self._keys = Keys()
        self._heard = bytearray()
        self._credit_ms = float(AHEAD_MS)
        self._credited = 0.0
        self._news = asyncio.Event()
        self._hearing: asyncio.Task[None] | None = None
        # Outward.
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._own_ssrc = secrets.randbits(32)
        self._marker = True
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = b""
        self._inward: Callable[[bytes], bytes] = bytes
        self._outward: Callable[[bytes], bytes] = bytes

    @classmethod
    async def open(cls, host: str, named: str = "") -> RtpPort:
        """A port on ``host``, an address of this machine that others know as ``named``. OSError."""
        odd: list[RtpPort] = []
        try:
            while True:
                port = cls(named or host)
                await port._loop.create_datagram_endpoint(lambda: port, (host, 0))  # noqa: B023
                if port.port % 2 == 0 or len(odd) == _TRIES:
                    return port
                odd.append(port)
        finally:
            for port in odd:
                port.close()

    # -- what signalling asks for --------------------------------------------------------------
    def answer(self, offer: bytes | None, *, secure: bool = False) -> Negotiated | None:
        """Our half for this port (see negotiate.answer); nothing changes before it holds."""
        self._pending = negotiate.answer(
            offer, host=self.host, port=self.port, secure=secure, before=self._agreed
        )
        return self._pending

    def accept(self, theirs: bytes) -> Negotiated | None:
        """Their answer to the offer that was ours. None: nothing fits."""
        if self._pending is None or not self._pending.waits:
            return None
        return negotiate.accept(self._pending, theirs)

    def attach(self, session: Session) -> None:
        """Whoever hears and speaks here."""
        self._session = session
        if self._agreed is not None:
            self._convert(self._agreed.form)

    def start(self, agreed: Negotiated) -> None:
        """The call is answered: sound goes both ways."""
        self._arrived = self._due = self._credited = self._loop.time()
        self.change(agreed)
        self._hearing = self._tasks.spawn(self._hear(), f"the sound of RTP port {self.port}")
        self._tick()

    def change(self, agreed: Negotiated) -> None:
        """Another exchange holds: hold, unhold, another address or key."""
        before, self._agreed = self._agreed, agreed
        if before is None or before.remote != agreed.remote:
            self._from = None
            # A phone with two addresses may name the one that is out of reach from here: its
            # sound tells the other.
            there = agreed.remote
            self._remote = there if there and (":" in there[0]) == self._six else None
        if agreed.srtp is None:
            self._cipher = None
        elif self._cipher is None:
            self._cipher = Cipher(agreed.srtp)
        else:
            self._cipher = self._cipher.change(agreed.srtp)
        self._jitter.silence = agreed.form.silence
        self._arrived = self._loop.time()
        if before is None or before.form != agreed.form:
            self._convert(agreed.form)

    def on_digit(self, key: str) -> None:
        """A key that came by signalling (SIP INFO), or by RFC 4733."""
        if key in KEYS and len(key) == 1 and self._session is not None:
            self._session.digit(key)

    def close(self) -> None:
        """Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None
        if self._transport is not None:
            if self._agreed is not None:
                lost, late = self._jitter.lost, self._jitter.late
                log.debug("RTP port %d: %s, %d lost, %d late", self.port, self.counts, lost, late)
            self._transport.close()
            self._transport = None

    # -- the socket ------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        host, self.port = transport.get_extra_info("sockname")[:2]
        self._six = ":" in host

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        agreed = self._agreed
        if agreed is None or self._timer is None:
            return
        clear = data if self._cipher is None else self._cipher.unprotect(data)
        packet = None if clear is None else unpack(clear)
        known = (agreed.payload_type, agreed.events, COMFORT_NOISE)
        if packet is None or packet.payload_type not in known:
            self.counts.garbage += 1
            return
        now = self._loop.time()
        if not self._admits((addr[0], addr[1]), agreed, now):
            self.counts.stray += 1
            return
        self.counts.received += 1
        self._arrived, self._told = now, False
        self._take(packet, agreed, now)

    def _admits(self, source: Address, agreed: Negotiated, now: float) -> bool:
        if source != self._from:
            known = self._from is None or source == agreed.remote
            if not known and now - self._arrived < MOVED_SECONDS:
                return False
            self._from = source
        return True

    def _take(self, packet: Packet, agreed: Negotiated, now: float) -> None:
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._jitter.restart()
            self._keys = Keys()
        sound = packet.payload if packet.payload_type == agreed.payload_type else b""
        if packet.payload_type == agreed.events:
            self._press(self._keys.take(packet, now))
        if agreed.hears:
            more = (now - self._credited) * 1000 * FASTER
            self._credit_ms, self._credited = min(AHEAD_MS, self._credit_ms + more), now
            if self._credit_ms < 0:
                self.counts.dropped_ms += len(sound) / 8
                self._jitter.restart()  # the hole is not filled either
                return
            self._keep(self._jitter.put(packet.sequence, packet.timestamp, sound, now))

    def _press(self, keys: str) -> None:
        for key in keys:
            self.on_digit(key)

    # -- inward ----------------------------------------------------------------------------------
    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._heard += data
        self._credit_ms -= len(data) / 8
        over = len(self._heard) - BACKLOG_MS * 8
        if over > 0:
            del self._heard[:over]
            self.counts.dropped_ms += over / 8
        self._news.set()

    async def _hear(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            data = bytes(self._heard)
            self._heard.clear()
            if self._session is not None:
                await self._session.hear(self._inward(data))

    # -- outward ---------------------------------------------------------------------------------
    def _tick(self) -> None:
        agreed = self._agreed
        assert agreed is not None
        now = self._loop.time()
        step, samples = agreed.ptime_ms / 1000, agreed.ptime_ms * 8
        behind = int((now - self._due) / step)
        if behind > CATCH_UP:
            self._due += behind * step
            self._timestamp += behind * samples
            self._marker = True
        while self._due <= now + SOON:
            if agreed.sends:
                self._send(agreed, samples)
            self._timestamp += samples
            self._due += step
        self._look(agreed, now)
        self._timer = self._loop.call_at(self._due, self._tick)

    def _send(self, agreed: Negotiated, samples: int) -> None:
        where = self._from or self._remote
        payload = self._next(agreed, samples)
        if where is None or self._transport is None:
            return
        packet = pack(
            agreed.payload_type,
            self._sequence,
            self._timestamp,
            self._own_ssrc,
            payload,
            self._marker,
        )
        self._sequence += 1
        self._marker = False
        self.counts.sent += 1
        if self._cipher is not None:
            packet = self._cipher.protect(packet)
        self._transport.sendto(packet, where)

    def _next(self, agreed: Negotiated, samples: int) -> bytes:
        """The next samples of the agent, in the law of the line."""
        leg = None if self._session is None else self._session.leg
        if leg is None:
            return agreed.form.silence * samples
        size = leg.form.nbytes(agreed.ptime_ms)
        fill = leg.form.silence
        while len(self._waiting) < samples:
            data = leg.take(size)
            data += fill * leg.form.samples(size - len(data))
            self._waiting += self._outward(data)
        out, self._waiting = self._waiting[:samples], self._waiting[samples:]
        return out

    def _look(self, agreed: Negotiated, now: float) -> None:
        """What is due by time: a packet that waited, a pause, a key without end, silence."""
        self._keep(self._jitter.due(now))
        self._press(self._keys.due(now))
        if not agreed.hears:
            self._arrived = now
        elif not self._told and now - self._arrived > SILENCE_SECONDS:
            self._told = True
            self.on_silence(SILENCE_SECONDS)

    def _convert(self, line: AudioFormat) -> None:
        """Between the law of the line and the format of the session; the same, as a rule."""
        leg = None if self._session is None else self._session.leg
        if leg is None or leg.form == line:
            self._inward = self._outward = bytes
        else:
            self._inward, self._outward = converter(line, leg.form), converter(leg.form, line)
        self._waiting = b""


def _failed(name: str, error: BaseException) -> None:
    log.error("%s failed: %r", name, error, exc_info=error)
