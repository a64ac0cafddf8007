"""A telephone that calls by SIP: no account, no carrier.

``async with SipCaller("127.0.0.1:5060") as caller`` rings whatever answers there, speaks and hears
G.711 mu-law over RTP at real time, presses keys (RFC 4733) and hangs up. One call over UDP, without
registration, digest or encryption.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections.abc import Callable

from runner.engine.sip.lines import own_address
from runner.engine.sip.media import sdp
from runner.engine.sip.media.rtp import KEYS, pack, unpack
from runner.engine.sip.message import BadMessage, Message, address, parse, respond
from runner.errors import ConnectError
from runner.testing.handset import FRAME_SECONDS, LINE_BYTES, Handset, Tape

_PCMU, _EVENTS = 0, 101
_KEY_MS = 100
#: Seconds by which what is heard may run ahead of, or behind, its arrival.
_SLACK = 0.1
T1 = 0.5
_SDP = """v=0
o=caller 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
"""


class SipCaller(Handset):
    """One call to ``dial``, ``HOST:PORT`` with a numeric host.

    ``played`` is what the phone has heard (mu-law, 8 kHz, silence included). ``status`` is the
    final answer to the call; ``referred`` where it was told to go. ``over`` is set when it has
    ended, ``reason`` says how.
    """

    def __init__(
        self,
        dial: str,
        *,
        sender: str = "+15550199",
        to: str = "+15550100",
        headers: tuple[tuple[str, str], ...] = (),
        tape: Tape | None = None,
    ) -> None:
        host, _, port = dial.rpartition(":")
        self._peer = (host.strip("[]"), int(port))
        super().__init__(sender, to, tape)
        self._headers = headers
        self.status = 0
        self.referred = ""
        self._keys: asyncio.Queue[str] = asyncio.Queue(64)
        self._sip: asyncio.DatagramTransport | None = None
        self._rtp: asyncio.DatagramTransport | None = None
        self._own = ""
        self._call_id, self._tag = secrets.token_hex(8), secrets.token_hex(4)
        self._branch = "z9hG4bK" + secrets.token_hex(8)
        self._cseq = 1
        self._to = f"<sip:{to}@{dial}>"
        self._target = f"sip:{to}@{dial}"
        self._heard = asyncio.Event()
        self._byes: dict[str, asyncio.Event] = {}
        self._remote: tuple[str, int] | None = None
        self._at = 0.0
        self._sequence, self._stamp = secrets.randbits(15), secrets.randbits(31)
        self._ssrc = secrets.randbits(32)

    # -- what the caller does ------------------------------------------------------------------
    async def ring(self) -> None:
        """Call, and return when it rings or was decided. ConnectError when nobody is there."""
        self._rtp = await self._port(self._take)
        self._sip = await self._port(self._receive)
        host, port = self._sip.get_extra_info("sockname")[:2]
        self._own = f"{host}:{port}"
        rtp_port = self._rtp.get_extra_info("sockname")[1]
        offer = _SDP.format(host=host, port=rtp_port).replace("\n", "\r\n").encode()
        invite = self._request("INVITE", self._branch, offer)
        for wait in (T1, 2 * T1, 4 * T1, 8 * T1):
            self._send(invite)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._heard.wait()
                    return
        self._end("nobody answers")
        await self.close()
        raise ConnectError(f"nobody answers SIP at {self._peer[0]}:{self._peer[1]}")

    async def press(self, keys: str) -> None:
        for key in keys:
            await self._keys.put(key)

    async def hang_up(self) -> None:
        """Put the phone down."""
        if self.over.is_set():
            return
        if self.connected.is_set():
            await self._bye("the caller hung up")
        else:
            self._send(self._request("CANCEL", self._branch))
            self._end("the caller gave up")

    async def close(self) -> None:
        await self.hang_up()
        await self._tasks.close()
        for transport in (self._sip, self._rtp):
            if transport is not None:
                transport.close()
        await asyncio.sleep(0)  # closed in the loop's next turn

    async def _bye(self, reason: str) -> None:
        self._end(reason)
        branch = "z9hG4bK" + secrets.token_hex(8)
        self._cseq += 1
        bye, done = self._request("BYE", branch), self._byes.setdefault(branch, asyncio.Event())
        for wait in (T1, 2 * T1, 4 * T1):
            self._send(bye)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await done.wait()
                    return

    # -- SIP ---------------------------------------------------------------------------------------
    def _request(self, method: str, branch: str, body: bytes = b"") -> Message:
        headers = [
            ("Via", f"SIP/2.0/UDP {self._own};branch={branch};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self.sender}@{self._own}>;tag={self._tag}"),
            ("To", self._to),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} {method}"),
            ("Contact", f"<sip:{self.sender}@{self._own}>"),
        ]
        if method == "INVITE":
            headers += self._headers
        if body:
            kind = "message/sipfrag" if method == "NOTIFY" else "application/sdp"
            headers.append(("Content-Type", kind))
        if method == "NOTIFY":
            state = "active;expires=60" if body.startswith(b"SIP/2.0 1") else "terminated"
            headers += [("Event", "refer"), ("Subscription-State", state)]
        return Message(method, self._target, headers=tuple(headers), body=body)

    def _receive(self, data: bytes) -> None:
        try:
            message = parse(data)
        except BadMessage as bad:
            self.failures.append(f"no SIP message: {bad}")
            return
        if message.method:
            self._asked(message)
        elif message.cseq[1] == "INVITE":
            self._heard.set()
            self._answered(message)
        elif message.branch in self._byes:
            self._byes[message.branch].set()

    def _answered(self, answer: Message) -> None:
        if answer.status < 200:
            return
        if answer.status >= 300:
            self._to = answer.get("to")
            self._send(self._request("ACK", self._branch))
            self.status = self.status or answer.status
            self._end(f"refused with {answer.status} {answer.reason}")
            return
        again = self.connected.is_set()
        self._to = answer.get("to")
        self._target = address(answer.get("contact")) or self._target
        self._send(self._request("ACK", "z9hG4bK" + secrets.token_hex(8)))
        if again or self.over.is_set():
            return
        self.status = answer.status
        try:
            media = sdp.parse(answer.body)[0]
        except sdp.BadSdp as bad:
            self.failures.append(f"an answer without a place for the sound: {bad}")
            return
        self._remote = (media.host, media.port)
        self.connected.set()
        self._tasks.spawn(self._talk(), "the caller's sound")

    def _asked(self, request: Message) -> None:
        known = request.call_id == self._call_id
        match request.method:
            case "BYE" if known:
                self._send(respond(request, 200))
                self._end("hung up on the other side")
            case "REFER" if known:
                self.referred = address(request.get("refer-to"))
                self._send(respond(request, 202))
                self._tasks.spawn(self._go(), "a transfer")
            case "ACK":
                return
            case _:
                self._send(respond(request, 200 if known else 481))

    async def _go(self) -> None:
        """As a phone that reaches who it was referred to."""
        for line in (b"SIP/2.0 100 Trying\r\n", b"SIP/2.0 200 OK\r\n"):
            self._cseq += 1
            self._send(self._request("NOTIFY", "z9hG4bK" + secrets.token_hex(8), line))
        if not self.over.is_set():
            await self._bye(f"put through to {self.referred}")

    def _send(self, message: Message) -> None:
        if self._sip is not None and not self._sip.is_closing():
            self._sip.sendto(message.encode(), self._peer)

    # -- sound -------------------------------------------------------------------------------------
    async def _talk(self) -> None:
        """A frame each 20 ms, silence when nothing is said."""
        due = self._loop.time()
        while not self.over.is_set():
            if not self._keys.empty():
                due = await self._key(self._keys.get_nowait(), due)
            self._packet(_PCMU, self._frame())
            self._stamp += LINE_BYTES
            due = await self._paced(due)

    async def _key(self, key: str, due: float) -> float:
        """One key: its packets all of one timestamp, the last three with the end bit."""
        events = _KEY_MS // 20
        for number in range(events + 3):
            ended = number >= events
            length = min(number + 1, events) * LINE_BYTES
            body = struct.pack("!BBH", KEYS.index(key.upper()), 0x80 * ended | 10, length)
            self._packet(_EVENTS, body, marker=not number)
            if not ended:
                due += FRAME_SECONDS
                await asyncio.sleep(max(0.0, due - self._loop.time()))
        self._stamp += events * LINE_BYTES
        return due

    def _packet(self, kind: int, payload: bytes, *, marker: bool = False) -> None:
        if self._rtp is not None and self._remote is not None:
            data = pack(kind, self._sequence, self._stamp, self._ssrc, payload, marker)
            self._rtp.sendto(data, self._remote)
            self._sequence += 1

    def _take(self, data: bytes) -> None:
        packet = unpack(data)
        if packet is None or packet.payload_type != _PCMU or self.over.is_set():
            return
        self.played += packet.payload
        if self._tape is not None:
            # As it is played: one frame behind the other, whatever the network's mood.
            now = self._loop.time()
            self._at = self._at if abs(self._at - now) < _SLACK else now
            self._tape.agent(packet.payload, self._at)
            self._at += len(packet.payload) / 8000

    async def _port(self, take: Callable[[bytes], None]) -> asyncio.DatagramTransport:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Port(take), local_addr=(own_address(*self._peer), 0)
        )
        return transport


class _Port(asyncio.DatagramProtocol):
    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._take(data)
