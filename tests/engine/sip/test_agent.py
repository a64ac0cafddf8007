"""The user agent as playbooks: messages and time in, messages and news out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.phones.playbook import SDP, TCP, TLS, UDP, Phone

from runner.engine.sip.dialog import Flow
from runner.engine.sip.message import BadMessage, Message, address, params
from runner.engine.sip.news import Changed, Confirmed, Gone, Pressed, Referred

pytestmark = pytest.mark.quick


def test_a_call_rings_is_answered_and_hung_up_by_the_caller() -> None:
    phone = Phone().rings()
    assert phone.statuses() == [100]
    phone.take(phone.agent.ring(phone.dialog, phone.now))
    phone.take(phone.agent.answer(phone.dialog, b"v=0", phone.now))
    ringing, ok = phone.sent
    assert (ringing.status, ok.status, ok.body) == (180, 200, b"v=0")
    assert ringing.to_tag == ok.to_tag != ""
    assert ok.kind == "application/sdp"
    phone.tag = ok.to_tag
    phone.say("ACK", branch="ack", body=b"theirs")
    assert phone.news[1:] == [Confirmed(phone.dialog, b"theirs")]
    phone.statuses()
    phone.wait(60)
    assert phone.statuses() == []  # acknowledged: not said again
    phone.say("BYE")
    assert phone.statuses() == [200]
    assert phone.news[-1] == Gone(phone.dialog, "the caller hung up")
    phone.wait(40)
    assert phone.agent.deadline is None  # nothing is kept


@pytest.mark.parametrize(("flow", "uri"), [
    (UDP, "sip:agent@127.0.0.1:5060"), (TCP, "sip:agent@127.0.0.1:5060;transport=tcp"),
    (TLS, "sip:agent@127.0.0.1:5061;transport=tls"),
    (replace(TCP, public="203.0.113.7"), "sip:agent@203.0.113.7:5060;transport=tcp"),
])  # fmt: skip
def test_the_contact_is_the_listener_that_was_called(flow: Flow, uri: str) -> None:
    phone = Phone(flow).rings()
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    assert address(phone.sent[-1].get("contact")) == uri


def test_an_answer_is_said_again_until_it_is_acknowledged_and_then_given_up() -> None:
    phone = Phone(TCP).rings()  # over TCP as well: proxies may stand between
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    phone.statuses()
    phone.wait(31.9)
    assert phone.statuses() == [200] * 10  # 0.5, 1, 2, 4, 4 ... s
    phone.wait(1)
    assert phone.statuses() == ["BYE"]
    assert phone.news[-1] == Gone(phone.dialog, "the caller never acknowledged the answer")


def test_a_request_that_comes_again_is_answered_again_and_acted_on_once() -> None:
    phone = Phone().rings()
    phone.take(phone.agent.ring(phone.dialog, phone.now))
    phone.number = 0
    phone.rings()
    assert phone.statuses() == [100, 180, 180]
    assert len(phone.news) == 1


def test_a_call_given_up_while_it_rings() -> None:
    phone = Phone().rings()
    phone.say("CANCEL", branch="first")
    assert phone.statuses() == [100, 200, 487]
    assert phone.news[-1] == Gone(phone.dialog, "the caller gave up")
    phone.wait(1.6)
    assert phone.statuses() == [487, 487]  # until its ACK, over UDP
    phone.say("ACK", branch="first")
    phone.wait(40)
    assert phone.statuses() == []
    # What was decided too late changes nothing.
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    assert phone.statuses() == []


def test_a_cancel_behind_the_answer_is_taken_and_does_nothing() -> None:
    phone = Phone().rings()
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    phone.say("CANCEL", branch="first")
    assert phone.statuses() == [100, 200, 200]
    assert phone.dialog.state == "confirmed"
    phone.say("CANCEL", branch="never")
    assert phone.statuses() == [481]


@pytest.mark.parametrize("status", [486, 603])
def test_a_call_that_is_refused(status: int) -> None:
    phone = Phone(TCP).rings()
    phone.take(phone.agent.refuse(phone.dialog, status, phone.now))
    assert phone.statuses() == [100, status]
    phone.wait(10)
    assert phone.statuses() == []  # TCP loses nothing


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ([("Require", "100rel, timer")], 420, ("unsupported", "100rel")),
        ([("Session-Expires", "30"), ("Supported", "timer")], 422, ("min-se", "90")),
        (
            [("Content-Type", "application/isup")],
            415,
            ("accept", "application/sdp, multipart/mixed"),
        ),
    ],
)
def test_what_is_asked_for_and_not_had(
    more: list[tuple[str, str]], status: int, field: tuple[str, str]
) -> None:
    phone = Phone()
    phone.say("INVITE", *more, body=b"x")
    (answer,) = phone.sent
    assert answer.status == status
    assert answer.get(field[0]) == field[1]
    assert phone.news == []


def test_methods_outside_a_call() -> None:
    phone = Phone()
    for method, status in (("OPTIONS", 200), ("BYE", 481), ("INFO", 481), ("REGISTER", 405)):
        phone.say(method)
        assert "INVITE" in phone.sent[0].get("allow") or status == 481
        assert phone.statuses() == [status]
    phone.tag = "unknown"
    phone.say("INVITE", SDP, body=b"x")
    assert phone.statuses() == [481]
    phone.say("ACK")
    assert phone.statuses() == []


def test_the_same_call_by_two_ways_rings_once() -> None:
    phone = Phone().rings()
    phone.say("INVITE", SDP, body=b"offer", branch="other", number=1)
    assert phone.statuses() == [100, 482]


def test_hold_another_offer_and_one_that_does_not_fit() -> None:
    phone = Phone().talks()
    phone.say("INVITE", SDP, body=b"hold")
    assert phone.offers == [b"hold"]
    assert phone.news[-1] == Changed(phone.dialog)
    assert phone.sent[-1].body == b"answer"
    phone.say("INVITE", SDP, body=b"too soon")  # the 200 before has no ACK
    assert phone.statuses() == [200, 491]
    phone.say("ACK", branch="ack2", number=phone.number - 1)
    phone.number += 1
    phone.answer = None
    phone.say("INVITE", SDP, body=b"video alone")
    assert phone.statuses() == [488]
    assert phone.dialog.state == "confirmed"
    phone.answer = b"again"
    phone.say("UPDATE", SDP, body=b"back")
    assert phone.sent[-1].body == b"again"
    assert phone.statuses() == [200]


def test_an_old_request_is_refused_and_one_before_the_answer_told_to_wait() -> None:
    phone = Phone().talks()
    phone.say("INFO", branch="old", number=1)
    assert phone.statuses() == [500]
    early = Phone().rings()
    early.tag = early.dialog.tag
    early.sent.clear()
    early.say("UPDATE", SDP, body=b"x")
    assert early.statuses() == [491]
    early.say("BYE")
    assert early.statuses() == [200, 487]
    assert early.news[-1] == Gone(early.dialog, "the caller hung up")


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160", "5"),
        ("application/dtmf-relay", b"Signal= *\r\n", "*"),
        ("application/dtmf-relay", b"Signal=11\r\n", "#"),
        ("application/dtmf", b"d", "D"),
        ("application/dtmf", b"10", "*"),
        ("application/dtmf", b"hello", ""),
        ("text/plain", b"Signal=5", ""),
    ],
)
def test_keys_by_info(kind: str, body: bytes, key: str) -> None:
    phone = Phone().talks()
    phone.say("INFO", ("Content-Type", kind), body=body)
    assert phone.statuses() == [200]
    assert phone.news[1:] == ([Pressed(phone.dialog, key)] if key else [])


def test_a_session_that_is_refreshed_goes_on_and_one_that_is_not_ends() -> None:
    phone = Phone().rings(("Session-Expires", "90;refresher=uas"), ("Supported", "timer"))
    phone.take(phone.agent.answer(phone.dialog, b"", phone.now))
    ok = phone.sent[-1]
    assert (ok.get("session-expires"), ok.get("require")) == ("90;refresher=uac", "timer")
    phone.tag = ok.to_tag
    phone.say("ACK", branch="ack").wait(50)
    phone.statuses()
    phone.say("UPDATE", ("Session-Expires", "90"), ("Supported", "timer"))
    assert phone.sent[-1].get("session-expires") == "90;refresher=uac"
    phone.statuses()
    phone.wait(50)
    assert phone.statuses() == []
    phone.wait(15)
    assert phone.statuses()[0] == "BYE"
    assert phone.news[-1] == Gone(phone.dialog, "the caller's phone did not refresh the session")


def test_our_bye_goes_by_the_callers_routes_and_again_until_it_is_answered() -> None:
    phone = Phone().talks(("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"))
    phone.take(phone.agent.bye(phone.dialog, phone.now))
    (bye,) = phone.sent
    assert (bye.method, bye.uri) == ("BYE", "sip:ann@127.0.0.1:5070")
    assert list(bye.every("route")) == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (bye.from_tag, bye.to_tag, bye.call_id) == (phone.tag, "a", "c")
    assert params(bye.get("via"))["rport"] == ""
    phone.wait(1.6)
    assert phone.statuses() == ["BYE"] * 3
    phone.take(phone.agent.bye(phone.dialog, phone.now))
    assert phone.statuses() == []  # hung up once
    phone.sent.append(bye)
    phone.reply(200).statuses()
    phone.wait(60)
    assert phone.statuses() == []


def test_a_transfer_taken_and_its_end() -> None:
    phone = Phone().talks()
    phone.take(phone.agent.refer(phone.dialog, "tel:+15550100", phone.now))
    assert phone.sent[0].get("refer-to") == "<tel:+15550100>"
    phone.reply(202)
    event = ("Event", "refer")
    frag = ("Content-Type", "message/sipfrag")
    phone.say("NOTIFY", event, frag, body=b"SIP/2.0 100 Trying\r\n")
    phone.say("NOTIFY", event, frag, body=b"SIP/2.0 486 Busy\r\n")
    phone.say("NOTIFY", ("Event", "other"), frag, body=b"SIP/2.0 200 OK\r\n")
    assert phone.news[1:] == [Referred(phone.dialog, 202), Referred(phone.dialog, 486)]
    assert phone.statuses() == ["REFER", 200, 200, 200]


def test_a_phone_that_forgot_the_call_ends_it() -> None:
    phone = Phone().talks()
    phone.take(phone.agent.refer(phone.dialog, "tel:1", phone.now)).reply(481)
    assert [type(e) for e in phone.news[1:]] == [Referred, Gone]
    silent = Phone().talks()
    silent.take(silent.agent.refer(silent.dialog, "tel:1", silent.now)).wait(33)
    assert silent.news[1:] == [Referred(silent.dialog, 408)]


def test_what_is_no_message_is_answered_when_it_can_be() -> None:
    phone = Phone()
    phone.rings()
    whole = Message("INVITE", "sip:x", headers=phone.dialog.invite.headers)
    phone.statuses()
    phone.take(phone.agent.bad(BadMessage("x", 400, whole), UDP, phone.now))
    assert phone.statuses() == [400]
    for bad in (BadMessage("x"), BadMessage("x", 400, Message("INVITE", "sip:x"))):
        phone.take(phone.agent.bad(bad, UDP, phone.now))
    assert phone.statuses() == []


def test_a_flood_of_calls_leaves_the_table_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.engine.sip.agent.MOST", 50)
    phone = Phone()
    phone.talks()
    for number in range(200):
        phone.number, phone.tag = 0, ""
        phone.say("INVITE", ("Require", "x"), branch=f"b{number}")
    assert phone.statuses() == [420] * 49
    phone.wait(0)
    # Who asks whether somebody is there takes no place, and the call that runs has its own.
    for number in range(200):
        phone.say("OPTIONS", branch=f"o{number}")
    assert phone.statuses() == [200] * 200
    phone.tag, phone.number = phone.dialog.tag, 7
    phone.say("INVITE", SDP, body=b"hold")
    assert phone.statuses() == [200]
    phone.say("ACK", branch="ack2")
    assert phone.say("BYE").statuses() == [200]
    phone.wait(40)
    assert phone.agent.deadline is None


def test_a_refusal_that_was_acknowledged_makes_room() -> None:
    phone = Phone()
    phone.say("INVITE", ("Require", "x"), branch="x").say("ACK", branch="x")
    phone.wait(5.1)
    assert phone.agent.deadline is not None
    assert phone.statuses() == [420]
    phone.number = 0
    phone.say("INVITE", SDP, body=b"offer", branch="x")  # its place is free, it is a new call
    assert phone.statuses() == [100]
