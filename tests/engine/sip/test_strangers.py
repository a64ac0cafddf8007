"""What phones, exchanges and carriers say that the plain call of a softphone does not have."""

from __future__ import annotations

import pytest
from support.phones.playbook import SDP, TCP, UDP, Phone

from runner.engine.sip.bodies import description
from runner.engine.sip.dialog import Flow, reached
from runner.engine.sip.message import Message
from runner.engine.sip.news import Confirmed, Gone

pytestmark = pytest.mark.quick

TIMER = ("Supported", "timer")
MIXED = ("Content-Type", 'multipart/mixed; boundary="b"')
OPTIONAL = ("Content-Disposition", "signal; handling=optional")


def mixed(*parts: tuple[str, str], end: str = "\r\n") -> bytes:
    text = "".join(f"--b{end}{head}{end}{end}{body}{end}" for head, body in parts)
    return f"{text}--b--{end}".encode()


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_description_beside_the_isup_of_a_telephone_network(end: str) -> None:
    isup = ("Content-Type: application/ISUP;version=itu-t92+", "\x01\x00I")
    sdp = ("Content-Type: application/sdp", "v=0\no=x")
    phone = Phone()
    phone.say("INVITE", MIXED, body=mixed(isup, sdp, end=end))
    assert phone.statuses() == [100]
    assert description(phone.dialog.invite) == b"v=0\no=x"


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        ([], b"", b""),
        ([], b"v=0", b"v=0"),
        ([("Content-Type", "application/SDP; charset=utf-8")], b"v=0", b"v=0"),
        ([MIXED], mixed(("Content-Type: text/plain", "x")), None),
        ([MIXED], b"nothing of the kind", None),
        ([("Content-Type", "multipart/mixed")], mixed(("Content-Type: text/x", "v")), None),
        ([("Content-Type", "application/pidf+xml"), OPTIONAL], b"<x/>", b""),
        ([("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")], b"\x1f", None),
        (
            [MIXED],
            mixed(("Content-Type: multipart/alternative;boundary=c",
                   "--c\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--c--")),
            b"v=0",
        ),
    ],
)  # fmt: skip
def test_the_description_of_a_body(
    headers: list[tuple[str, str]], body: bytes, found: bytes | None
) -> None:
    assert description(Message("INVITE", "sip:x", headers=tuple(headers), body=body)) == found


def test_bodies_in_bodies_have_an_end() -> None:
    inner = "Content-Type: application/sdp\r\n\r\nv=0"
    for letter in "cdefg":
        kind = f"Content-Type: multipart/mixed;boundary={letter}"
        inner = f"{kind}\r\n\r\n--{letter}\r\n{inner}\r\n--{letter}--"
    body = mixed(("Content-Type: multipart/mixed;boundary=g", inner))
    assert description(Message("INVITE", "sip:x", headers=(MIXED,), body=body)) is None


def test_an_answer_to_our_offer_may_be_a_part_too() -> None:
    phone = Phone()
    phone.say("INVITE", branch="first")
    phone.take(phone.agent.answer(phone.dialog, b"ours", phone.now))
    phone.tag = phone.dialog.tag
    phone.say("ACK", MIXED, branch="ack", body=mixed(("Content-Type: application/sdp", "v=0")))
    assert phone.news[-1] == Confirmed(phone.dialog, b"v=0")


def test_a_second_offer_of_an_unknown_kind_leaves_the_call_as_it_is() -> None:
    phone = Phone().talks()
    phone.say("INVITE", ("Content-Type", "application/fax"), body=b"x")
    assert (phone.statuses(), phone.offers) == ([415], [])
    phone.say("UPDATE", ("Session-Expires", "30"), TIMER)
    assert phone.sent[-1].get("min-se") == "90"
    assert phone.statuses() == [422]
    assert phone.dialog.state == "confirmed"


def test_a_phone_without_timers_is_not_told_of_a_proxys() -> None:
    phone = Phone().rings(("Session-Expires", "30"))
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    assert not phone.sent[-1].get("session-expires")
    assert phone.statuses() == [100, 200]


def refreshed_by_us(allow: str = "INVITE, UPDATE") -> Phone:
    phone = Phone().rings(("Session-Expires", "100;refresher=uas"), TIMER, ("Allow", allow))
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    ok = phone.sent[-1]
    phone.tag = ok.to_tag
    phone.say("ACK", branch="ack").sent.clear()
    return phone.take([]) if ok.get("session-expires") == "100;refresher=uas" else Phone()


def test_a_session_that_we_are_to_refresh_is_refreshed_by_us() -> None:
    phone = refreshed_by_us()
    for _ in range(3):
        assert phone.wait(49).statuses() == []
        phone.wait(1.2)
        (update,) = phone.sent
        assert (update.method, update.get("session-expires")) == ("UPDATE", "100;refresher=uac")
        phone.reply(200).statuses()
        phone.now = phone.now - 0.2
    phone.wait(50.1)
    phone.wait(60)  # nobody answers any more
    assert {s for s in phone.statuses() if s != "UPDATE"} == {"BYE"}
    assert isinstance(phone.news[-1], Gone)
    assert refreshed_by_us("INVITE, BYE").agent.deadline is None  # it could not take them


def test_a_refresh_in_the_first_moment_is_no_offer() -> None:
    phone = Phone().rings()
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    phone.tag = phone.dialog.tag
    phone.statuses()
    phone.say("UPDATE")
    assert phone.statuses() == [200]


def test_a_strict_router_finds_itself_in_the_first_line() -> None:
    phone = Phone().talks(("Record-Route", "<sip:old.example.com>, <sip:p2;lr>"))
    phone.take(phone.agent.bye(phone.dialog, phone.now))
    (bye,) = phone.sent
    assert bye.uri == "sip:old.example.com"
    assert list(bye.every("route")) == ["<sip:p2;lr>", "<sip:ann@127.0.0.1:5070>"]


@pytest.mark.parametrize(
    ("flow", "via", "port"),
    [
        (UDP, "SIP/2.0/UDP 127.0.0.1:5099;branch=x", 5099),
        (UDP, "SIP/2.0/UDP 127.0.0.1;branch=x", 5060),
        (UDP, "SIP/2.0/UDP 127.0.0.1:5099;branch=x;rport", 5070),
        (UDP, "SIP/2.0/UDP 10.0.0.7:5099;branch=x", 5070),  # behind a NAT
        (UDP, "SIP/2.0/UDP 127.0.0.1:99999;branch=x", 5070),
        (Flow("udp", "::1", 5060, ("::1", 5070)), "SIP/2.0/UDP [::1]:5099;branch=x", 5099),
        (TCP, "SIP/2.0/TCP 127.0.0.1:5099;branch=x", 41000),
    ],
)
def test_answers_go_where_the_phone_listens(flow: Flow, via: str, port: int) -> None:
    request = Message("OPTIONS", "sip:x", headers=(("Via", via),))
    assert reached(flow, request).peer == (flow.peer[0], port)


def test_a_time_stamp_comes_back_with_the_first_answer() -> None:
    phone = Phone()
    phone.say("INVITE", SDP, ("Timestamp", "54.2"), body=b"x")
    assert phone.sent[0].get("timestamp") == "54.2"
