"""A call as SIP sees it: who its two ends are, and how a request of ours finds the other one.

RFC 3261, section 12. A request goes back where the caller's last one came from, whatever name
stands in the first route: that is where a phone behind a NAT can be reached, and the next proxy
is where its request came from as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from runner.engine.sip.message import (
    COMPACT,
    Headers,
    Message,
    address,
    canonical,
    host_port,
    params,
    sent_by,
)

AGENT = "rtrun"
_URI = re.compile(r"sips?:", re.IGNORECASE)


def place(host: str, port: int) -> str:
    """``HOST:PORT``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Flow:
    """A way to a peer and back: ``transport`` udp, tcp or tls; ``host`` and ``port`` are ours, as
    the peer reaches them; ``peer`` is its address; ``number`` the connection's, 0 for UDP.
    ``public`` is our address before a router that passes everything on, empty without one."""

    transport: str
    host: str
    port: int
    peer: tuple[str, int]
    number: int = 0
    public: str = ""

    @property
    def named(self) -> str:
        """Our address as the peer is told it."""
        return self.public or self.host

    @property
    def reliable(self) -> bool:
        return self.transport != "udp"

    @property
    def place(self) -> str:
        return place(self.named, self.port)


def reached(flow: Flow, request: Message) -> Flow:
    """Where the sender of a request hears answers. Over UDP it is the port that it names, unless
    it asks for the one that it sent from (RFC 3261, 18.2.2; RFC 3581): some desk phones send from
    one and listen at another. A sender behind a NAT names an address that is not the one it came
    from; there the port would be wrong as well."""
    host, port = host_port(sent_by(request.get("via")))
    asked = "rport" in params(request.get("via"))
    if flow.transport != "udp" or asked or host != flow.peer[0] or not 0 < port < 65536:
        return flow
    return replace(flow, peer=(host, port))


@dataclass(slots=True, eq=False)
class Dialog:
    """``invite`` is the request that began it, ``tag`` ours. ``state``: early, confirmed, over."""

    invite: Message
    flow: Flow
    tag: str
    state: str = "early"
    #: Where its requests go: the Contact of the caller's last INVITE.
    target: str = ""
    routes: Headers = ()
    sent: int = 0
    heard: int = 0
    #: The CSeq of the INVITE whose 200 waits for its ACK, None when none does.
    unacknowledged: int | None = None
    #: The seconds that the caller has to refresh the session, 0: no such timer.
    refresh: int = 0
    refreshed: float = 0.0
    #: Call-ID, our tag, the caller's: what its requests inside the call carry.
    ids: tuple[str, str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = (self.invite.call_id, self.tag, self.invite.from_tag)
        self.target = address(self.invite.get("contact"))
        self.heard = self.invite.cseq[0]
        self.routes = tuple(("Route", value) for value in self.invite.every("record-route"))

    @property
    def contact(self) -> str:
        """Ours: the port and the transport of the listener that the caller came to, exactly.
        Anything else and its ACK goes astray."""
        scheme = "sips" if self.invite.uri.lower().startswith("sips:") else "sip"
        rest = _URI.sub("", self.invite.uri, count=1)
        user = rest.partition("@")[0] if "@" in rest else "agent"
        how = (
            ""
            if scheme == "sips" or not self.flow.reliable
            else f";transport={self.flow.transport}"
        )
        return f"<{scheme}:{user}@{self.flow.place}{how}>"

    def renewed(self, request: Message, flow: Flow) -> None:
        """A request of the caller inside the call: that is where it is to be found now."""
        self.flow = flow
        self.heard = request.cseq[0]
        if request.method in ("INVITE", "UPDATE") and request.get("contact"):
            self.target = address(request.get("contact"))

    def request(self, method: str, branch: str, more: Headers = (), body: bytes = b"") -> Message:
        """The next request of ours."""
        self.sent += 1
        flow = self.flow
        uri, routes = self.target or address(self.invite.get("from")), self.routes
        if routes and "lr" not in params(address(routes[0][1])):
            # The next proxy is one of before RFC 3261, which reads its own name there (12.2.1.1).
            first = address(routes[0][1])
            uri, routes = first, (*routes[1:], ("Route", f"<{uri}>"))
        mine = self.invite.get("to")
        if "tag" not in params(mine):
            mine += f";tag={self.tag}"
        return Message(
            method=method,
            uri=uri,
            headers=(
                ("Via", f"SIP/2.0/{flow.transport.upper()} {flow.place};branch={branch};rport"),
                ("Max-Forwards", "70"),
                *routes,
                ("From", mine),
                ("To", self.invite.get("from")),
                ("Call-ID", self.invite.call_id),
                ("CSeq", f"{self.sent} {method}"),
                ("Contact", self.contact),
                ("User-Agent", AGENT),
                *more,
            ),
            body=body,
        )


def told(request: Message) -> list[tuple[str, str]]:
    """The fields of an INVITE for the webhook, as they came but for names in one letter, which
    nobody looks for. What is no UTF-8 is read as Latin-1, which old exchanges write names in."""
    fields = [line for line in request.headers if canonical(line[0]) != "content-length"]
    return [(COMPACT.get(key.lower(), key), _legible(value)) for key, value in fields]


def _legible(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode(errors="surrogateescape").decode("latin-1")
    return value
