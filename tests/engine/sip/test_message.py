"""SIP messages, good and bad; in the spirit of RFC 4475."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.engine.sip.message import (
    BadMessage,
    Message,
    Stream,
    address,
    params,
    parse,
    received_from,
    respond,
    split,
)

pytestmark = pytest.mark.quick

INVITE = (
    "INVITE sip:agent@127.0.0.1 SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;rport\r\n"
    'From: "Ann, of A>B" <sip:ann@192.0.2.9>;tag=a1\r\n'
    "To: <sip:agent@127.0.0.1>\r\n"
    "Call-ID: c1\r\n"
    "CSeq: 7 INVITE\r\n"
    "Contact: <sip:ann@192.0.2.9:5070;transport=udp>;expires=60\r\n"
    "\r\n"
)


def of(text: str = INVITE, **changes: str) -> bytes:
    """An INVITE with lines replaced (``via="..."``), removed (empty) or added."""
    lines = text.rstrip("\r\n").split("\r\n")
    for name, value in changes.items():
        key = name.replace("_", "-").lower()
        kept = [line for line in lines if not line.lower().startswith(key + ":")]
        lines = [*kept, f"{key}: {value}"] if value else kept
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_message_is_read() -> None:
    message = parse(INVITE.encode())
    assert (message.method, message.uri, message.cseq) == (
        "INVITE",
        "sip:agent@127.0.0.1",
        (7, "INVITE"),
    )
    assert (message.from_tag, message.to_tag, message.branch) == ("a1", "", "z9hG4bK1")
    assert address(message.get("contact")) == "sip:ann@192.0.2.9:5070;transport=udp"
    assert params(message.get("contact")) == {"expires": "60"}


def test_compact_names_folded_lines_and_odd_spaces() -> None:
    text = (
        b"INVITE sip:x SIP/2.0\r\nv:  SIP/2.0/TCP  a;branch=z9hG4bK2 ;\r\n  rport\r\n"
        b"f : <sip:a>;tag=1\r\nt: <sip:b>\r\ni: 1\r\nCSEQ: 0009\r\n  INVITE\r\nl: 2\r\n\r\nabREST"
    )
    message = parse(text)
    assert params(message.get("via")) == {"branch": "z9hG4bK2", "rport": ""}
    assert (message.call_id, message.cseq, message.body) == ("1", (9, "INVITE"), b"ab")


def test_lists_in_one_line_and_in_many() -> None:
    vias = ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b", "SIP/2.0/TLS c"]
    data = of(via="").replace(
        b"\r\n\r\n", f"\r\nVia: {vias[0]} , {vias[1]}\r\nv: {vias[2]}\r\n\r\n".encode()
    )
    assert list(parse(data).every("via")) == vias
    assert split('"a, b" <sip:x,y>;q=1, <sip:z>') == ['"a, b" <sip:x,y>;q=1', "<sip:z>"]
    assert split('"a \\", b", c') == ['"a \\", b"', "c"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 0),
        (b"\r\n\r\n", 0),
        (of(subject="x" * 16384), 0),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (INVITE.encode().replace(b"SIP/2.0\r", b"SIP/7.0\r", 1), 505),
        (INVITE.encode().replace(b"SIP/2.0\r", b"SIP\r", 1), 400),
        (of(cseq="7 BYE"), 400),
        (of(cseq="36893488147419103232 INVITE"), 400),
        (of(cseq="INVITE"), 400),
        (of(content_length="-1"), 400),
        (of(content_length="999"), 400),
        (of(content_length="0x10"), 400),
        (of(call_id=""), 400),
        (of(via=""), 0),
        (of().replace(b"Call-ID: c1", b"Call-ID: c1\r\n{no header}"), 400),
        (of(cseq="1" * 5000 + " INVITE"), 400),
        (of(content_length="1" * 5000), 400),
        (of(max_forwards="300"), 400),
        (of().replace(b"Call-ID: c1", b"Call-ID: c1\r\ni: c2"), 400),
        (INVITE.encode()[:-2], 0),
    ],
)
def test_what_is_no_message(data: bytes, status: int) -> None:
    with pytest.raises(BadMessage) as raised:
        parse(data)
    assert (raised.value.status if raised.value.message else 0) == status


def test_an_answer_has_what_its_request_had() -> None:
    data = of(via="").replace(
        b"\r\n\r\n",
        b"\r\nVia: SIP/2.0/UDP 192.0.2.9:5070;rport;branch=z9hG4bK1, SIP/2.0/TCP far\r\n"
        b"Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\r\n",
    )
    request = received_from(parse(data), "198.51.100.1", 6000)
    answer = parse(respond(request, 200, "mine", body=b"x").encode())
    first, second = answer.every("via")
    assert params(first) == {"rport": "6000", "branch": "z9hG4bK1", "received": "198.51.100.1"}
    assert second == "SIP/2.0/TCP far"
    assert list(answer.every("record-route")) == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert (answer.to_tag, answer.from_tag, answer.cseq) == ("mine", "a1", (7, "INVITE"))
    assert (answer.status, answer.body) == (200, b"x")
    assert not list(respond(request, 404, "mine").every("record-route"))


def test_a_via_that_tells_the_truth_is_left_as_it_is() -> None:
    message = parse(of(via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1"))
    assert received_from(message, "192.0.2.9", 5060) == message


WORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=',"<>;:\\'), min_size=1
)


@given(st.lists(WORDS, max_size=4), st.binary(max_size=60))
def test_what_is_written_can_be_read(values: list[str], body: bytes) -> None:
    headers = tuple((f"X-{n}", value) for n, value in enumerate(values))
    message = parse(INVITE.encode())
    message = Message(message.method, message.uri, headers=message.headers + headers, body=body)
    assert parse(message.encode()) == message


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    for whole in (data, INVITE.encode()[:40] + data, of().rstrip(b"\r\n") + data + b"\r\n\r\n"):
        with contextlib.suppress(BadMessage):
            parse(whole)
        list(Stream().feed(whole))


@given(st.lists(st.integers(1, 50), max_size=20))
def test_a_stream_is_cut_where_its_messages_end(cuts: list[int]) -> None:
    wanted = [b"", b"v=0\r\n\r\nx", b"last"]
    head = INVITE.rstrip("\r\n").encode()
    data = b"".join(
        b"\r\n\r\n" + head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body for body in wanted
    )
    stream, found, at = Stream(), [], 0
    for size in [*cuts, len(data)]:
        found += stream.feed(data[at : at + size])
        at += size
    assert [message.body for message in found if isinstance(message, Message)] == wanted
    assert len(found) == 3
    # An empty line pair that was cut in two is no ping.
    assert 0 <= stream.pings <= 3


def test_a_stream_that_cannot_be_followed_says_so() -> None:
    for data in (b"x" * 70_000, of(content_length="x"), of(content_length="99999999")):
        (bad,) = Stream().feed(data)
        assert isinstance(bad, BadMessage)
        assert bad.status == 0
    first, second = Stream().feed(of(cseq="1 BYE", content_length="0") + of(content_length="0"))
    assert isinstance(first, BadMessage)
    assert first.status == 400
    assert isinstance(second, Message)
