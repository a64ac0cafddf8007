"""Offers of telephones, and what is answered. Pure."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.sip.media.negotiate import Negotiated, accept, answer
from runner.engine.sip.media.sdp import BadSdp, parse

pytestmark = pytest.mark.quick

KEY = base64.b64encode(bytes(range(30))).decode()


def sdp(*media: str, above: str = "c=IN IP4 192.0.2.7") -> bytes:
    head = ["v=0", "o=phone 4 1 IN IP4 192.0.2.7", "s=-", above, "t=0 0"]
    return "\r\n".join([*head, *media, ""]).encode()


def answered(*media: str, before: Negotiated | None = None, **more: object) -> Negotiated | None:
    above = str(more.pop("above", "c=IN IP4 192.0.2.7"))
    secure = bool(more.pop("secure", False))
    return answer(
        sdp(*media, above=above), host="10.0.0.1", port=4000, secure=secure, before=before
    )


def lines(agreed: Negotiated | None) -> list[str]:
    assert agreed is not None
    return agreed.sdp.decode().split("\r\n")


@pytest.mark.parametrize(("types", "codec"), [("0 8", "pcmu"), ("8 0", "pcma"), ("18 8", "pcma")])
def test_the_callers_first_law_is_spoken(types, codec):
    agreed = answered(f"m=audio 5004 RTP/AVP {types}", "a=rtpmap:18 G729/8000")
    assert agreed is not None
    assert (agreed.codec, agreed.remote) == (codec, ("192.0.2.7", 5004))
    assert agreed.sends
    assert agreed.hears
    assert "m=audio 4000 RTP/AVP 0" in lines(agreed) or codec == "pcma"
    assert "c=IN IP4 10.0.0.1" in lines(agreed)
    assert "a=sendrecv" in lines(agreed)


def test_feedback_and_names_of_hosts_are_no_reason_to_refuse():
    agreed = answered(
        "m=AUDIO 5004 RTP/AVPF 0", above="s=M\u00fcller\r\nc=IN IP4 phone.example.com"
    )
    assert agreed is not None
    assert "m=audio 4000 RTP/AVPF 0" in lines(agreed)
    # The name is not looked up: sound goes where sound comes from.
    assert (agreed.remote, agreed.sends, agreed.hears) == (None, True, True)
    assert "a=sendrecv" in lines(agreed)
    latin = sdp("m=audio 5004 RTP/AVP 0", above="i=sendonly\r\nc=IN IP4 192.0.2.7")
    old = answer(latin.replace(b"s=-", b"s=M\xfcller"), host="10.0.0.1", port=4000)
    assert old is not None
    assert (old.remote, old.sends) == (("192.0.2.7", 5004), True)


def test_feedback_over_srtp_is_answered_as_it_was_offered():
    agreed = answered(
        "m=audio 5004 RTP/SAVPF 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^48"
    )
    assert agreed is not None
    assert agreed.srtp is not None
    assert "m=audio 4000 RTP/SAVPF 0" in lines(agreed)


def test_payload_types_are_the_offers():
    agreed = answered(
        "m=audio 5004 RTP/AVP 110 97",
        "a=rtpmap:110 pcma/8000/1",
        "a=rtpmap:97 telephone-event/8000",
        "a=fmtp:97 0-16",
    )
    assert agreed is not None
    assert (agreed.payload_type, agreed.events, agreed.codec) == (110, 97, "pcma")
    assert "m=audio 4000 RTP/AVP 110 97" in lines(agreed)
    assert "a=fmtp:97 0-15" in lines(agreed)


@pytest.mark.parametrize(
    "media",
    [
        ("m=audio 5004 RTP/AVP 18",),  # G.729 alone
        ("m=audio 0 RTP/AVP 0",),  # refused by themselves
        ("m=audio 5004 UDP/TLS/RTP/SAVPF 0",),  # WebRTC
        ("m=audio 5004 RTP/SAVP 0",),  # no key
        ("m=audio 5004 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA"),
        ("m=audio 5004 RTP/SAVP 0", f"a=crypto:1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
        ("m=audio 5004 RTP/SAVP 0", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"),
        ("m=video 5004 RTP/AVP 31",),
        ("m=audio five RTP/AVP 0",),
        ("m=audio 5004 RTP/AVP 0", "c=IN IP4"),
        ("m=audio " + "1" * 5000 + " RTP/AVP 0",),
        (),
    ],
)
def test_what_does_not_fit_is_refused(media):
    assert answered(*media) is None


def test_a_key_is_answered_with_a_key_of_ours():
    agreed = answered(
        "m=audio 5004 RTP/SAVP 0",
        "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:" + KEY,
        f"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20",
    )
    assert agreed is not None
    assert agreed.srtp is not None
    assert agreed.srtp.theirs == bytes(range(30))
    ours = base64.b64encode(agreed.srtp.ours).decode()
    assert f"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{ours}" in lines(agreed)
    assert "m=audio 4000 RTP/SAVP 0" in lines(agreed)
    assert ours not in repr(agreed)
    again = answered("m=audio 5004 RTP/SAVP 0", f"a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:{KEY}")
    assert again is not None
    assert again.srtp is not None
    assert again.srtp.ours != agreed.srtp.ours


@pytest.mark.parametrize(("secure", "chosen"), [(True, "RTP/SAVP"), (False, "RTP/AVP")])
def test_of_two_lines_the_ciphered_one_where_its_key_was_safe(secure, chosen):
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
    two = ["m=audio 5004 RTP/AVP 0", "m=audio 5006 RTP/SAVP 0", crypto, "m=video 5008 RTP/AVP 31"]
    agreed = answered(*two, secure=secure)
    got = [line.split()[:3] for line in lines(agreed) if line.startswith("m=")]
    assert [words[1] != "0" for words in got] == [not secure, secure, False]
    assert [words[2] for words in got if words[1] != "0"] == [chosen]


@pytest.mark.parametrize(
    ("offered", "ours", "sends", "hears"),
    [
        ("sendrecv", "sendrecv", True, True),
        ("sendonly", "recvonly", False, False),
        ("recvonly", "sendonly", True, False),
        ("inactive", "inactive", False, False),
    ],
)
def test_hold_in_all_its_words(offered, ours, sends, hears):
    agreed = answered("m=audio 5004 RTP/AVP 0", f"a={offered}")
    assert agreed is not None
    assert (agreed.sends, agreed.hears, agreed.held) == (sends, hears, not sends)
    assert f"a={ours}" in lines(agreed)
    above = answered("m=audio 5004 RTP/AVP 0", above=f"c=IN IP4 192.0.2.7\r\na={offered}")
    assert above is not None
    assert above.sends == sends


def test_the_old_hold_is_an_address_of_nothing():
    agreed = answered("m=audio 5004 RTP/AVP 0", "c=IN IP4 0.0.0.0")
    assert agreed is not None
    assert agreed.held
    assert agreed.remote is None
    assert "a=recvonly" in lines(agreed)


def test_a_second_exchange_raises_the_version_and_keeps_law_and_key():
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
    first = answered("m=audio 5004 RTP/SAVP 8 0", crypto)
    assert first is not None
    second = answered("m=audio 5004 RTP/SAVP 0 8", crypto, before=first)
    assert second is not None
    assert (second.codec, second.srtp) == ("pcma", first.srtp)
    assert (second.session, second.version) == (first.session, first.version + 1)
    assert f"o=rtrun {first.session} 2 IN IP4 10.0.0.1" in lines(second)
    offer = answer(None, host="10.0.0.1", port=4000, before=second)
    assert "m=audio 4000 RTP/SAVP 8 0 101" in lines(offer)


@pytest.mark.parametrize(
    ("wanted", "ms"),
    [("a=ptime:30", 30), ("a=ptime:200", 60), ("a=maxptime:10", 10), ("a=ptime:x", 20), ("s=", 20)],
)
def test_packets_are_as_long_as_they_want_them(wanted, ms):
    agreed = answered("m=audio 5004 RTP/AVP 0", wanted)
    assert agreed is not None
    assert agreed.ptime_ms == ms
    assert f"a=ptime:{ms}" in lines(agreed)


@pytest.mark.parametrize("secure", [False, True])
def test_a_late_offer_is_ours_and_the_answer_decides(secure):
    ours = answer(None, host="::1", port=4000, secure=secure)
    assert ours is not None
    assert ours.waits
    assert "c=IN IP6 ::1" in lines(ours)
    crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"
    protocol = "RTP/SAVP" if secure else "RTP/AVP"
    agreed = accept(ours, sdp(f"m=audio 5004 {protocol} 8", crypto))
    assert agreed is not None
    assert (agreed.codec, agreed.sends, agreed.waits) == ("pcma", True, False)
    assert agreed.sdp == ours.sdp
    if secure:
        assert agreed.srtp is not None
        assert ours.srtp is not None
        assert (agreed.srtp.ours, agreed.srtp.theirs) == (ours.srtp.ours, bytes(range(30)))
    other = "RTP/AVP" if secure else "RTP/SAVP"
    assert accept(ours, sdp(f"m=audio 5004 {other} 8", crypto)) is None
    assert accept(ours, b"nothing") is None


def test_an_agreement_is_a_value():
    agreed = answered("m=audio 5004 RTP/AVP 0")
    assert agreed is not None
    assert replace(agreed) == agreed


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda t: ("v=0\nm=" + t).encode()))
def test_garbage_is_refused_and_no_more(data):
    with contextlib.suppress(BadSdp):
        parse(data)
    answer(data, host="127.0.0.1", port=4000)
    assert answer(bytes(20_000), host="127.0.0.1", port=4000) is None
