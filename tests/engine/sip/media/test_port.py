"""One RTP port against a bare telephone on UDP, packets by another library."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from support.phones.udp import PACKET, UdpPhone
from support.until import until

from runner.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from runner.audio.g711 import ulaw_decode
from runner.engine.server.leg import Leg
from runner.engine.sip.media import port as ports
from runner.engine.sip.media.port import RtpPort


class Ear:
    """What hears and speaks at the port: a real leg, and a record of the caller."""

    def __init__(self, form: AudioFormat = PCMU) -> None:
        self.events: list[dict[str, Any]] = []
        self.leg = Leg(self.events.append, form)
        self.heard = bytearray()
        self.digits = ""

    async def hear(self, data: bytes) -> None:
        self.heard += data

    def digit(self, key: str) -> None:
        self.digits += key


Work = Callable[[RtpPort, UdpPhone, Ear], Awaitable[None]]


@asynccontextmanager
async def call(
    form: AudioFormat = PCMU, payload_type: int = 0, *, secret: bool = False
) -> AsyncIterator[tuple[RtpPort, UdpPhone, Ear]]:
    phone, ear = await UdpPhone.open(payload_type, secret), Ear(form)
    port = await RtpPort.open("127.0.0.1")
    try:
        agreed = port.answer(phone.offer())
        assert agreed is not None
        phone.answered(agreed.sdp)
        port.attach(ear)
        port.start(agreed)
        yield port, phone, ear
    finally:
        port.close()
        port.close()
        phone.close()


def run(work: Work, *args: Any, **more: Any) -> None:
    async def main() -> None:
        async with call(*args, **more) as (port, phone, ear):
            await work(port, phone, ear)

    asyncio.run(main())


class Milliseconds(asyncio.SelectorEventLoop):
    """With uvloop's clock, which counts in whole ones, and its rule for what is nearer than that:
    at once."""

    ticks = 0

    def time(self) -> float:
        return math.floor(super().time() * 1000) / 1000

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self.ticks += getattr(callback, "__name__", "") == "_tick"
        if round((when - self.time()) * 1000) <= 0:
            return self.call_soon(callback, *args, context=context)
        return super().call_at(when, callback, *args, context=context)


def test_a_clock_of_milliseconds_is_not_waited_for_by_turning() -> None:
    async def main() -> tuple[int, int]:
        async with call() as (port, _phone, _ear):
            await until(lambda: port.counts.sent >= 50)
            return port.counts.sent, loop.ticks

    with asyncio.Runner(loop_factory=Milliseconds) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, Milliseconds)
        sent, ticks = runner.run(main())
    assert ticks <= sent + 1


@pytest.mark.parametrize("secret", [False, True])
def test_bytes_go_through_as_they_are(secret: bool) -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        said = bytes(range(1, 161))
        ear.leg.play("r", "i", said * 3)
        ear.leg.finished("r")
        for _ in range(5):
            phone.send(phone.packet(said))
        await until(lambda: len(ear.heard) >= 5 * PACKET)
        assert bytes(ear.heard[: 5 * PACKET]) == said * 5
        await until(lambda: [e["type"] for e in ear.events][1:])
        await until(lambda: ulaw_decode(said * 3) in bytes(phone.heard))
        assert [e["type"] for e in ear.events] == [
            "output_audio_buffer.started",
            "output_audio_buffer.stopped",
        ]
        # Packets count on without a hole, and the rest of the line is silence.
        numbers = [p.sequence_number for p in phone.packets]
        assert [(b - a) & 0xFFFF for a, b in pairwise(numbers)] == [1] * (len(numbers) - 1)
        stamps = [p.timestamp for p in phone.packets]
        assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)} == {160}
        assert len({p.ssrc for p in phone.packets}) == 1
        assert [p.marker for p in phone.packets][:2] == [1, 0]
        assert port.port % 2 == 0

    run(work, secret=secret)


@pytest.mark.parametrize("form", [PCMA, PCM16])
def test_a_session_of_another_format_is_converted(form: AudioFormat) -> None:
    """The caller speaks mu-law."""

    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(form.rate // 2) / form.rate)
        pcm = tone.astype("<i2").tobytes()
        from runner.audio.g711 import alaw_decode, alaw_encode

        ear.leg.play("r", "i", alaw_encode(pcm) if form == PCMA else pcm)
        pcm8k = (8000 * np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)).astype("<i2")
        phone.say(np.repeat(pcm8k, 3).tobytes())
        phone.talk()
        await until(lambda: len(phone.heard) > 2 * 6000 and len(ear.heard) > form.nbytes(700))
        ours = alaw_decode(bytes(ear.heard)) if form == PCMA else bytes(ear.heard)
        assert peak(ours, form.rate) == pytest.approx(440, abs=4)
        assert peak(bytes(phone.heard), 8000) == pytest.approx(440, abs=4)

    run(work, form)


def peak(pcm: bytes, rate: int) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(samples, 8 * rate)))) / 8


def test_it_answers_where_the_sound_comes_from_and_to_nobody_else() -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        await until(lambda: len(phone.packets) > 2)  # where the SDP says, until something comes
        moved = await UdpPhone.open()
        moved.target = phone.target
        moved.send(moved.packet(b"\x01" * PACKET))
        await until(lambda: moved.packets)
        stranger = await UdpPhone.open()
        stranger.target = phone.target
        stranger.send(stranger.packet(b"\x02" * PACKET))
        await until(lambda: port.counts.stray == 1)
        assert not stranger.packets
        assert b"\x02" not in ear.heard
        # The one that the SDP names is always believed.
        phone.send(phone.packet(b"\x03" * PACKET))
        before = len(phone.packets)
        await until(lambda: len(phone.packets) > before + 1)
        assert b"\x03" in ear.heard
        moved.close()
        stranger.close()

    run(work)


@pytest.mark.parametrize("secret", [False, True])
def test_garbage_is_counted_and_spoils_nothing(secret: bool) -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        good = phone.packet(b"\x11" * PACKET)
        forged = good[:-1] + bytes([good[-1] ^ 1])
        nonsense = [b"\x80", b"SIP/2.0 200 OK\r\n\r\n", bytes(400), b"\x80\xff" * 700]
        nonsense += [phone.packet(b"x" * 160, 77)]
        for data in [*nonsense, *([forged, forged] if secret else [])]:
            phone.send(data)
        phone.send(good)
        await until(lambda: b"\x11" * PACKET in ear.heard)
        assert port.counts.garbage == len(nonsense) + (2 if secret else 0)
        assert port.counts.received == 1
        if secret:
            phone.send(good)  # played again by somebody who listened
            await until(lambda: port.counts.garbage == len(nonsense) + 3)

    run(work, secret=secret)


def test_a_key_is_one_digit_by_packets_and_by_signalling() -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        await phone.press(4)
        await phone.press(11)
        await phone.press(4, ends=0)
        port.on_digit("9")
        port.on_digit("99")
        port.on_digit("x")
        phone.send(phone.packet(b"\x11" * PACKET))
        await until(lambda: len(ear.digits) >= 4)
        assert ear.digits == "94#4" or ear.digits == "4#94"
        assert b"\x11" * PACKET in ear.heard
        assert port._jitter.lost == 0

    run(work)


def test_on_hold_nothing_is_sent_played_or_heard_and_then_it_goes_on() -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        phone.talk()
        await until(lambda: ear.heard and phone.packets)
        held = port.answer(phone.offer(direction="sendonly"))
        assert held is not None
        assert b"a=recvonly" in held.sdp
        port.change(held)
        await asyncio.sleep(0)
        sent, heard = port.counts.sent, len(ear.heard)
        ear.leg.play("r", "i", b"\x22" * PACKET)
        phone.say(b"\x11\x11" * 24_000)  # music
        received = port.counts.received
        await until(lambda: port.counts.received > received + 20)
        assert port.counts.sent == sent
        assert set(ear.heard[heard + PACKET :]) <= {0xFF}
        assert not [e for e in ear.events if e["type"] == "output_audio_buffer.stopped"]
        back = port.answer(phone.offer())
        assert back is not None
        port.change(back)
        await until(lambda: ulaw_decode(b"\x22" * PACKET) in bytes(phone.heard))
        assert back.version == 3

    run(work)


def test_a_caller_who_is_gone_is_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "SILENCE_SECONDS", 0.1)

    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        gone: list[float] = []
        port.on_silence = gone.append
        await until(lambda: gone)
        sent = port.counts.sent
        await until(lambda: port.counts.sent > sent + 15)
        assert gone == [0.1]
        phone.send(phone.packet(b"\x11" * PACKET))  # back, and gone again
        await until(lambda: len(gone) == 2)

    run(work)


def test_a_slow_engine_hears_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        busy = asyncio.Event()

        async def slow(data: bytes) -> None:
            await busy.wait()
            ear.heard += data

        ear.hear = slow  # type: ignore[method-assign]
        for n in range(150):
            phone.send(phone.packet(bytes([n]) * PACKET))
            await asyncio.sleep(0)
        await until(lambda: port.counts.received == 150)
        assert port.counts.dropped_ms > 0
        busy.set()
        await until(lambda: bytes([149]) * PACKET in ear.heard)

    run(work)


def test_a_phone_that_floods_takes_no_more_than_its_time() -> None:
    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(500):  # 10 s of sound
            phone.send(phone.packet(bytes([n % 200]) * PACKET))
            await asyncio.sleep(0)
        await until(lambda: port.counts.received == 500)
        assert port.counts.dropped_ms > 0
        heard_ms = len(ear.heard) / 8
        assert heard_ms <= ports.AHEAD_MS + (loop.time() - began) * 1000 * ports.FASTER + 100
        phone.talk()  # as fast as it should: it is heard again, as soon as its time has come
        before = len(ear.heard)
        await until(lambda: len(ear.heard) > before + 10 * PACKET)

    run(work)


def test_packets_are_as_long_as_the_phone_wants_them() -> None:
    async def main() -> None:
        phone, port = await UdpPhone.open(), await RtpPort.open("127.0.0.1")
        agreed = port.answer(phone.offer("a=ptime:40"))
        assert agreed is not None
        port.attach(Ear())
        port.start(agreed)
        await until(lambda: len(phone.packets) > 3)
        assert {len(p.payload) for p in phone.packets} == {320}
        port.close()
        phone.close()

    asyncio.run(main())


def test_an_address_behind_a_router() -> None:
    """Callers send their sound to the public one, and the port listens on our own."""

    async def main() -> None:
        port = await RtpPort.open("127.0.0.1", "203.0.113.7")
        offered = port.answer(None)
        assert offered is not None
        assert b"c=IN IP4 203.0.113.7\r\n" in offered.sdp
        with pytest.raises(OSError, match="in use"):
            await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, ("127.0.0.1", port.port)
            )
        port.close()

    asyncio.run(main())


def test_a_late_offer_is_answered_in_the_ack() -> None:
    async def main() -> None:
        phone, port, ear = await UdpPhone.open(8), await RtpPort.open("127.0.0.1"), Ear()
        ours = port.answer(None)
        assert ours is not None
        assert ours.waits
        assert port.accept(b"nonsense") is None
        agreed = port.accept(phone.offer())
        assert agreed is not None
        phone.answered(ours.sdp)
        port.attach(ear)
        port.start(agreed)
        phone.talk()
        await until(lambda: ear.heard and phone.packets)
        assert {p.payload_type for p in phone.packets} == {8}
        assert ulaw_decode(bytes(ear.heard[:2])) in (bytes(4), b"\x08\0\x08\0")
        port.close()
        phone.close()

    asyncio.run(main())


def test_a_phone_that_names_an_address_out_of_reach_is_answered_where_it_speaks_from() -> None:
    """A phone on a machine with both kinds of addresses: IPv6 in its SDP, by IPv4 on the line."""

    async def work(port: RtpPort, phone: UdpPhone, ear: Ear) -> None:
        elsewhere = phone.offer(host="fd00::2").replace(b"IN IP4 fd00", b"IN IP6 fd00")
        agreed = port.answer(elsewhere)
        assert agreed is not None
        port.change(agreed)
        port.counts.sent = 0
        packets = len(phone.packets)
        ear.leg.play("r", "i", bytes(PACKET))
        ear.leg.finished("r")
        await until(lambda: [e["type"] for e in ear.events][1:])  # begun and ended
        assert port.counts.sent == 0
        phone.send(phone.packet(bytes(PACKET)))
        await until(lambda: len(phone.packets) > packets + 2)

    run(work)
