"""The points of RFC 4475 (torture messages), each as a message of our own: what must be read is
read, what must be refused is refused with the status that the RFC asks for, and the call that runs
beside it goes on."""

from __future__ import annotations

import pytest
from support.phones.playbook import Phone
from support.phones.torture import CROOKED, MESSAGES, message

from runner.engine.sip.dialog import told
from runner.engine.sip.message import address, params, parse
from runner.engine.sip.news import Ring

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("data", "wanted"), [m[1:] for m in MESSAGES], ids=[m[0] for m in MESSAGES]
)
def test_the_points_of_the_torture_messages(data: bytes, wanted: list[int]) -> None:
    phone = Phone().talks()
    assert phone.hears(data) == wanted
    phone.tag = phone.dialog.tag
    assert phone.say("OPTIONS").statuses() == [200]
    assert phone.say("BYE").statuses() == [200]


def test_a_crooked_invite_is_read() -> None:
    phone = Phone()
    assert phone.hears(CROOKED) == [100]
    invite = phone.dialog.invite
    assert (invite.call_id, invite.cseq, invite.from_tag) == (
        "wsinv.ndaksdj@192.0.2.1", (9, "INVITE"), "98asjd8",
    )  # fmt: skip
    assert address(invite.get("contact")) == "sip:jdrosen@example.com"
    first, second, third = invite.every("via")
    assert params(first) == {"rport": "5070", "branch": "390skdjuw", "received": "127.0.0.1"}
    assert params(second)["branch"] == "z9hG4bK9ikj8"
    assert third.startswith("SIP  /")
    assert invite.body == b"v=0\r\n"


def test_a_refusal_says_in_words_what_is_wrong() -> None:
    phone = Phone()
    with pytest.raises(Exception, match="CSeq names another method") as raised:
        parse(message("OPTIONS", cseq="8 INVITE"))
    phone.take(phone.agent.bad(raised.value, phone.flow, phone.now))  # type: ignore[arg-type]
    assert phone.sent[-1].get("warning") == '399 rtrun "CSeq names another method"'


def test_a_name_in_latin_1_is_told_in_letters() -> None:
    phone = Phone()
    phone.hears(message("INVITE", **{"from": '"M\udcfcller" <sip:m@x>;tag=l'}))
    ring = phone.news[-1]
    assert isinstance(ring, Ring)
    assert ("from", '"Müller" <sip:m@x>;tag=l') in told(ring.dialog.invite)


def test_names_in_one_letter_are_told_in_full() -> None:
    """Who decides on a call looks for From and To."""
    phone = Phone()
    data = message("INVITE").replace(b"\r\nfrom:", b"\r\nf:").replace(b"\r\nto:", b"\r\nT :")
    assert phone.hears(data) == [100]
    names = [name for name, _ in told(phone.dialog.invite)]
    assert {"From", "To"} <= set(names)
    assert not {name for name in names if len(name) == 1}
