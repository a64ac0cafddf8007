"""A bare telephone: RTP on a UDP port, by aiortc's packets and pylibsrtp. No signalling."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from aiortc.rtp import RtpPacket
from pylibsrtp import Policy, Session

from runner.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from runner.media.resample import resample

LAWS = {0: (ulaw_encode, ulaw_decode), 8: (alaw_encode, alaw_decode)}
KEY = bytes(range(30))
PACKET = 160


class UdpPhone(asyncio.DatagramProtocol):
    """Speaks at real time with :meth:`say`, silence in between while ``talking``; ``heard`` is
    what came, PCM16 at 8 kHz. ``secret``: SRTP with KEY, the answer's key in ``theirs``."""

    def __init__(self, payload_type: int = 0, secret: bool = False) -> None:
        self.payload_type = payload_type
        self.secret = secret
        self.packets: list[RtpPacket] = []
        self.times: list[float] = []
        self.sources: set[Any] = set()
        self.heard = bytearray()
        self.sequence, self.timestamp, self.ssrc = 65530, 0xFFFFFF00, id(self) & 0xFFFFFFFF
        self.target: tuple[str, int] = ("127.0.0.1", 9)
        self._encrypt: Session | None = None
        self._decrypt: Session | None = None
        self._waiting = b""
        self._talking: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, payload_type: int = 0, secret: bool = False) -> UdpPhone:
        phone = cls(payload_type, secret)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: phone, ("127.0.0.1", 0))
        return phone

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        packet = RtpPacket.parse(self._decrypt.unprotect(data) if self._decrypt else data)
        self.packets.append(packet)
        self.times.append(asyncio.get_running_loop().time())
        self.sources.add(addr)
        self.heard += LAWS[packet.payload_type][1](packet.payload)

    # -- what it says of itself ----------------------------------------------------------------
    def offer(self, *lines: str, direction: str = "sendrecv", host: str = "127.0.0.1") -> bytes:
        crypto = base64.b64encode(KEY).decode()
        out = [
            "v=0",
            "o=phone 1 1 IN IP4 127.0.0.1",
            "s=call",
            f"c=IN IP4 {host}",
            "t=0 0",
            f"m=audio {self.port} RTP/{'SAVP' if self.secret else 'AVP'} {self.payload_type} 96",
            "a=rtpmap:96 telephone-event/8000",
            f"a={direction}",
            *lines,
        ]
        if self.secret:
            out.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{crypto}|2^31")
        return ("\r\n".join(out) + "\r\n").encode()

    def answered(self, sdp: bytes) -> None:
        """Take the other side's half."""
        lines = sdp.decode().splitlines()
        [port] = [int(line.split()[1]) for line in lines if line.startswith("m=audio")]
        self.target = ("127.0.0.1", port)
        for line in lines:
            if line.startswith("a=crypto:"):
                theirs = base64.b64decode(line.partition("inline:")[2])
                self._encrypt = Session(Policy(KEY, Policy.SSRC_ANY_OUTBOUND))
                self._decrypt = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND))

    # -- sound -----------------------------------------------------------------------------------
    def packet(self, payload: bytes, payload_type: int | None = None, **fields: Any) -> bytes:
        """The next packet, not sent yet."""
        made = RtpPacket(
            payload_type=self.payload_type if payload_type is None else payload_type,
            sequence_number=fields.get("sequence", self.sequence) & 0xFFFF,
            timestamp=fields.get("timestamp", self.timestamp) & 0xFFFFFFFF,
            ssrc=self.ssrc,
            payload=payload,
            marker=fields.get("marker", 0),
        )
        self.sequence += 1
        if payload_type is None:
            self.timestamp += len(payload)
        data = made.serialize()
        return self._encrypt.protect(data) if self._encrypt else data

    def send(self, data: bytes) -> None:
        self.transport.sendto(data, self.target)

    def say(self, pcm24k: bytes) -> None:
        """Behind what is being said."""
        self._waiting += LAWS[self.payload_type][0](resample(pcm24k, 24_000, 8_000))

    @property
    def spoken(self) -> bool:
        return not self._waiting

    def talk(self) -> None:
        """50 packets a second from now on."""
        self._talking = asyncio.get_running_loop().create_task(self._talk())

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        silence = LAWS[self.payload_type][0](bytes(2))
        while True:
            payload, self._waiting = self._waiting[:PACKET], self._waiting[PACKET:]
            self.send(self.packet(payload.ljust(PACKET, silence)))
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    def hush(self) -> None:
        """Silence suppression: no packets any more."""
        assert self._talking is not None
        self._talking.cancel()

    async def press(self, key: int, *, ends: int = 3, packets: int = 5) -> None:
        """RFC 4733 as telephones do it: the end is sent three times."""
        started = self.timestamp
        for n in range(packets + ends):
            end = n >= packets
            duration = PACKET * min(n + 1, packets)
            payload = bytes([key, 0x8A if end else 0x0A]) + duration.to_bytes(2, "big")
            self.send(self.packet(payload, 96, timestamp=started, marker=int(n == 0)))
            await asyncio.sleep(0)
        self.timestamp += PACKET * packets

    def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
        self.transport.close()
