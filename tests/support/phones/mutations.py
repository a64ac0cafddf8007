"""Strangers who say anything: good messages with bytes flipped, cut, repeated and mixed."""

from __future__ import annotations

import random
import re

from support.phones.playbook import TCP, UDP, Phone
from support.phones.torture import CROOKED, MESSAGES, message

from runner import codec
from runner.engine.sip.bodies import description
from runner.engine.sip.dialog import Dialog, told
from runner.engine.sip.media import negotiate
from runner.engine.sip.message import BadMessage, Message, Stream, parse
from runner.engine.sip.news import Effect, Ring

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
SDP = (
    "v=0\r\no=ann 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 5004 RTP/SAVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31\r\na=ptime:20\r\na=sendrecv\r\n"
)
INSIDE = {"to": "<sip:agent@127.0.0.1>;tag=w1", "cseq": "5 INFO"}
GOOD = [
    message("INVITE", body=SDP, content_type="application/sdp", supported="timer", allow="UPDATE",
            session_expires="1800;refresher=uas", record_route="<sip:p;lr>, <sip:q>"),
    message("INVITE", body=f"--b\r\nContent-Type: application/sdp\r\n\r\n{SDP}\r\n--b--",
            content_type="multipart/mixed;boundary=b"),
    message("INVITE", body=SDP, content_type="application/sdp", **INSIDE | {"cseq": "9 INVITE"}),
    message("INFO", body="Signal=5\r\n", content_type="application/dtmf-relay", **INSIDE),
    message("NOTIFY", body="SIP/2.0 200 OK", event="refer", content_type="message/sipfrag",
            **INSIDE | {"cseq": "6 NOTIFY"}),
    message("CANCEL"), message("ACK", **INSIDE | {"cseq": "1 ACK"}), CROOKED,
    *(m[1] for m in MESSAGES),
]  # fmt: skip
ODD = [
    b"\r\n", b"\r\n\r\n", b";", b",", b'"', b"<", b">", b":", b"=", b"\0", b" ", b"\t", b"@",
    b"\xff", b"9" * 5000, "²".encode(), b"-1",
]  # fmt: skip
NUMBERS = [b"0", b"-1", b"4294967296", b"9" * 20, b"1" * 4400, b"x", b""]


def mutated(dice: random.Random, good: bytes) -> bytes:
    data = bytearray(good)
    for _ in range(dice.choice([1, 1, 1, 2, 3, 6])):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice([1, 1, 2, 5, 20, 100]))
        lines = bytes(data).split(b"\r\n")
        match dice.randrange(8):
            case 0:
                del data[at:end]
            case 1:
                data[at:at] = dice.randbytes(dice.choice([1, 4, 30]))
            case 2:
                data[at:at] = data[at:end] * dice.choice([1, 2, 50])
            case 3 if data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
            case 4:
                data[at:at] = dice.choice(ODD)
            case 5:
                dice.shuffle(lines)
                data = bytearray(b"\r\n".join(lines))
            case 6:
                lines.insert(dice.randrange(len(lines) + 1), dice.choice(lines))
                data = bytearray(b"\r\n".join(lines))
            case _:
                numbers = list(re.finditer(rb"\d+", data))
                if numbers:
                    found = dice.choice(numbers)
                    data[found.start() : found.end()] = dice.choice(NUMBERS)
    return bytes(data)


def strangers(seed: int, count: int = 60) -> int:
    """So many messages beside a call that runs, which must not notice, and nothing may be left of
    them in the end. How many calls they got to ring."""
    dice = random.Random(seed)
    phone = Phone().talks()
    rung: list[Dialog] = []
    for _ in range(count):
        data = mutated(dice, dice.choice(GOOD))
        over_udp = dice.random() < 0.6
        for effect in _said(phone, data, whole=over_udp, size=dice.choice([1, 7, 100, 5000])):
            if isinstance(effect, Ring):
                rung.append(effect.dialog)
                _decide(phone, effect.dialog, dice, data)
        phone.now += dice.choice([0.0, 0.1, 1.0, 40.0])
        phone.agent.tick(phone.now)
    live = phone.dialog
    phone.tag, phone.number = live.tag, 50
    assert live.state == "confirmed"
    phone.say("BYE")
    assert live.state == "over"
    for dialog in rung:
        phone.agent.refuse(dialog, 486, phone.now)
        phone.agent.bye(dialog, phone.now)
    while phone.agent.deadline is not None:
        phone.now = max(phone.now, phone.agent.deadline)
        phone.agent.tick(phone.now)
    left = phone.agent._servers, phone.agent._clients, phone.agent._dialogs, phone.agent._invites
    assert not any(left), left
    return len(rung)


def _said(phone: Phone, data: bytes, *, whole: bool, size: int) -> list[Effect]:
    messages: list[Message | BadMessage] = []
    if whole:
        try:
            messages.append(parse(data))
        except BadMessage as bad:
            messages.append(bad)
    else:
        stream = Stream()
        for at in range(0, len(data), size):
            messages += stream.feed(data[at : at + size])
    effects: list[Effect] = []
    for each in messages:
        take = phone.agent.bad if isinstance(each, BadMessage) else phone.agent.receive
        effects += take(each, UDP if whole else TCP, phone.now)  # type: ignore[arg-type]
    return effects


def _decide(phone: Phone, dialog: Dialog, dice: random.Random, data: bytes) -> None:
    """As the exchange does."""
    codec.dumps(told(dialog.invite))
    offer = description(dialog.invite)
    agreed = negotiate.answer(offer or None, host="127.0.0.1", port=4000)
    if agreed is None:
        phone.agent.refuse(dialog, 488, phone.now)
        return
    if agreed.waits:
        negotiate.accept(agreed, data.partition(b"\r\n\r\n")[2])
    phone.agent.answer(dialog, agreed.sdp, phone.now)
    if dice.random() < 0.3:
        phone.agent.refer(dialog, "tel:1", phone.now)
    if dice.random() < 0.3:
        phone.agent.bye(dialog, phone.now)
