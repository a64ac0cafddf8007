"""A caller of the user agent without a network: messages and time in, messages and news out."""

from __future__ import annotations

import itertools
from typing import Any

from runner.engine.sip.agent import UserAgent
from runner.engine.sip.dialog import Dialog, Flow
from runner.engine.sip.message import BadMessage, Message, parse
from runner.engine.sip.news import Effect, Ring, Send

UDP = Flow("udp", "127.0.0.1", 5060, ("127.0.0.1", 5070))
TCP = Flow("tcp", "127.0.0.1", 5060, ("127.0.0.1", 41000), 3)
TLS = Flow("tls", "127.0.0.1", 5061, ("127.0.0.1", 41000), 4)
SDP = ("Content-Type", "application/sdp")


class Phone:
    """A caller of the user agent. ``sent``: what came to it since it was last looked at."""

    def __init__(self, flow: Flow = UDP, **headers: str) -> None:
        words = (f"w{n}" for n in itertools.count())
        self.offers: list[bytes] = []
        self.answer: bytes | None = b"answer"
        self.agent = UserAgent(self._renegotiate, lambda: next(words))
        self.flow = flow
        self.now = 100.0
        self.sent: list[Message] = []
        self.news: list[Effect] = []
        self.number = 0
        self.tag = ""
        self.headers = headers
        self.last = b""

    def _renegotiate(self, dialog: Dialog, offer: bytes) -> bytes | None:
        self.offers.append(offer)
        return self.answer

    def take(self, effects: list[Effect]) -> Phone:
        for effect in effects:
            if isinstance(effect, Send):
                assert effect.flow == self.flow
                self.sent.append(_read(effect.data))
            else:
                self.news.append(effect)
        return self

    def hears(self, data: bytes) -> list[Any]:
        """A datagram as it came: the statuses of what is answered."""
        try:
            effects = self.agent.receive(parse(data), self.flow, self.now)
        except BadMessage as bad:
            effects = self.agent.bad(bad, self.flow, self.now)
        return self.take(effects).statuses()

    def say(
        self,
        method: str,
        *more: tuple[str, str],
        branch: str = "",
        body: bytes = b"",
        number: int = 0,
    ) -> Phone:
        """A request; ``number`` 0 takes the next."""
        self.number = number or self.number + (method not in ("ACK", "CANCEL"))
        via = f"SIP/2.0/{self.flow.transport.upper()} 127.0.0.1:5070"
        to = "<sip:agent@127.0.0.1>" + (f";tag={self.tag}" if self.tag else "")
        headers = (
            ("Via", f"{via};branch=z9hG4bK{branch or f'{method}{self.number}'};rport"),
            ("From", "<sip:ann@127.0.0.1>;tag=a"), ("To", to), ("Call-ID", "c"),
            ("CSeq", f"{self.number} {method}"), ("Contact", "<sip:ann@127.0.0.1:5070>"),
            *more,
        )  # fmt: skip
        message = Message(method, "sip:agent@127.0.0.1", headers=headers, body=body)
        return self.take(self.agent.receive(message, self.flow, self.now))

    def reply(self, status: int) -> Phone:
        """To the last request of the user agent's own."""
        request = next(m for m in reversed(self.sent) if m.method)
        answer = Message(status=status, reason="x", headers=request.headers)
        return self.take(self.agent.receive(answer, self.flow, self.now))

    def wait(self, seconds: float) -> Phone:
        end = self.now + seconds
        while (due := self.agent.deadline) is not None and due <= end:
            self.now = max(due, self.now)
            self.take(self.agent.tick(self.now))
        self.now = end
        return self

    def statuses(self) -> list[Any]:
        """What came, responses by status and requests by method; forgotten then."""
        told = [m.status or m.method for m in self.sent]
        self.sent.clear()
        return told

    @property
    def dialog(self) -> Dialog:
        return next(e.dialog for e in self.news if isinstance(e, Ring))

    def rings(self, *more: tuple[str, str], body: bytes = b"offer") -> Phone:
        return self.say("INVITE", SDP, *more, body=body, branch="first")

    def talks(self, *more: tuple[str, str]) -> Phone:
        """A call that was answered and acknowledged."""
        self.rings(*more).take(self.agent.answer(self.dialog, b"sdp", self.now))
        self.tag = self.sent[-1].to_tag
        self.say("ACK", branch="ack")
        self.sent.clear()
        self.news = [self.news[0]]
        return self


def _read(data: bytes) -> Message:
    """A message of the user agent's: whole, unless it sends back what it could not read."""
    try:
        return parse(data, whole=False)
    except BadMessage as bad:
        if bad.message is None or bad.message.status not in (400, 505):
            raise
        return bad.message
