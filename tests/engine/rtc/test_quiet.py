"""Callers unlike a browser with a microphone: no packets for a while, no address that is of use,
another kind of certificate."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiortc import RTCCertificate, RTCSessionDescription
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from support.engine import Puppet, Serving, serving
from support.until import until
from support.webrtc import RtcClient, dialled

from runner.engine.rtc import peer
from runner.media import ice, rtc


@pytest.fixture(scope="module")
def engine() -> Iterator[Serving]:
    with serving(Puppet()) as running:
        yield running


def test_a_caller_who_sends_nothing_is_not_taken_for_gone(
    engine: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a browser does whose page took the track away, or that has nothing to send."""
    asked: list[bool] = []

    async def answers(connection: Any) -> bool:
        asked.append(await ice.answers(connection))
        return asked[-1]

    monkeypatch.setattr(peer, "VANISHED_SECONDS", 1.0)
    monkeypatch.setattr(rtc, "answers", answers)

    async def main() -> None:
        async with dialled(engine.http) as call:

            async def nothing(data: bytes) -> None:
                pass

            call.pc.getSenders()[0].transport._send_rtp = nothing
            await until(lambda: asked.count(True) > 4, 20)  # half a second each
            call.send("response.create")
            await call.until("response.done")
            # And when it answers no more, it is gone.
            await call.pc.sctp.transport.transport._connection.close()
            await until(lambda: not len(engine.engine.calls), 20)

    asyncio.run(main())


def test_an_offer_whose_addresses_nobody_can_look_up(engine: Serving) -> None:
    """A browser hides its own behind names of multicast DNS until its page has a microphone."""

    async def main() -> None:
        client = RtcClient()
        offer = client.offer

        async def hidden() -> str:
            name = "0e6aae2c-1b1f-4a2c-9d3e-7b4f0a4f9d11.local"
            sdp = re.sub(r"(a=candidate:\S+ \d \w+ \d+) \S+", rf"\1 {name}", await offer())
            assert name in sdp
            assert "a=end-of-candidates" in sdp
            return sdp

        client.offer = hidden  # type: ignore[method-assign]
        try:
            await client.dial(engine.http)
        finally:
            await client.close()

    asyncio.run(main())


def test_a_caller_who_cannot_reach_our_address_is_asked_at_his(engine: Serving) -> None:
    async def main() -> None:
        client = RtcClient()
        take = client.pc.setRemoteDescription

        async def blind(answer: RTCSessionDescription) -> None:
            sdp = re.sub(r"a=(candidate:|end-of-candidates).*\r\n", "", answer.sdp)
            assert sdp != answer.sdp
            await take(RTCSessionDescription(sdp, answer.type))

        client.pc.setRemoteDescription = blind
        try:
            await client.dial(engine.http)
        finally:
            await client.close()

    asyncio.run(main())


def test_a_caller_whose_certificate_is_rsa(engine: Serving) -> None:
    """As GStreamer's is."""

    async def main() -> None:
        client = RtcClient()
        key = rsa.generate_private_key(65537, 2048)
        made = RTCCertificate(key=key, cert=generate_certificate(key))  # type: ignore[arg-type]
        transport = client.pc.getSenders()[0].transport
        transport._RTCDtlsTransport__local_certificate = made
        client.pc.sctp.transport._RTCDtlsTransport__local_certificate = made
        try:
            await client.dial(engine.http)
        finally:
            await client.close()

    asyncio.run(main())
