"""SIP messages: read, written, cut out of a stream. RFC 3261, sections 7, 18.3 and 25.

Lenient where phones are sloppy (folded lines, compact names, no Content-Length over UDP, names in
Latin-1, which are kept as they came), strict where a guess could be wrong: what is no message
raises BadMessage.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

VERSION = "SIP/2.0"
#: Of the fields. Carriers stay below 8 KiB; each list among them costs time to be told apart.
MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024
MAX_CSEQ = 2**31 - 1

#: Names in one letter (RFC 3261, 7.3.3, and the extensions that phones use).
COMPACT = {
    "a": "Accept-Contact", "b": "Referred-By", "c": "Content-Type", "e": "Content-Encoding",
    "f": "From", "i": "Call-ID", "k": "Supported", "l": "Content-Length", "m": "Contact",
    "o": "Event", "r": "Refer-To", "s": "Subject", "t": "To", "u": "Allow-Events", "v": "Via",
    "x": "Session-Expires",
}  # fmt: skip

#: Fields of which a message has several, in one line or in many.
#: Fields of which a message has one: which of two would count?
_SINGLE = ("from", "to", "call-id", "cseq", "content-length", "content-type", "max-forwards")
_LISTS = frozenset({"via", "route", "record-route", "contact", "require", "supported", "allow"})
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+\Z")
_NAME = re.compile(r"([^\s:]+)[ \t]*:(.*)\Z", re.DOTALL)
_END = re.compile(rb"\r?\n\r?\n")
_PARAM = re.compile(r";\s*([^=;\s]+)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*))?")

Headers = tuple[tuple[str, str], ...]


class BadMessage(Exception):
    """``status``: what the sender is told, 0 when it cannot be told anything. ``message``: what
    was read of it, good enough to be answered."""

    def __init__(self, words: str, status: int = 0, message: Message | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Message:
    """A request (``method``, ``uri``) or a response (``status``, ``reason``). Names of ``headers``
    are as they came, their order as well."""

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""

    def get(self, name: str) -> str:
        """The first value of a field, empty when there is none."""
        return next(self.every(name), "")

    def every(self, name: str) -> Iterator[str]:
        """All values of a field; those of a list in one line are told apart."""
        for key, value in self.headers:
            if canonical(key) == name:
                yield from split(value) if name in _LISTS else (value,)

    def lines(self, name: str) -> Headers:
        """The lines of a field, untouched."""
        return tuple((key, value) for key, value in self.headers if canonical(key) == name)

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    @property
    def cseq(self) -> tuple[int, str]:
        digits, method = [*self.get("cseq").split(None, 1), "", ""][:2]
        return number(digits), method

    @property
    def from_tag(self) -> str:
        return params(self.get("from")).get("tag", "")

    @property
    def to_tag(self) -> str:
        return params(self.get("to")).get("tag", "")

    @property
    def branch(self) -> str:
        return params(self.get("via")).get("branch", "")

    @property
    def kind(self) -> str:
        """The media type of the body, empty without one."""
        kind = self.get("content-type").partition(";")[0].strip().lower()
        return kind if self.body else ""

    def encode(self) -> bytes:
        start = f"{self.method} {self.uri} {VERSION}"
        if not self.method:
            start = f"{VERSION} {self.status} {self.reason}"
        lines = [start, *(f"{key}: {value}" for key, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape") + self.body


def transaction(request: Message, method: str) -> tuple[str, str, str]:
    """What tells the transaction of a request from others (17.2.3), ``method`` being INVITE for
    its ACK and CANCEL; phones older than RFC 3261 have no branch that could."""
    branch = request.branch
    if branch.startswith("z9hG4bK"):
        return branch, sent_by(request.get("via")).lower(), method
    return f"{request.call_id} {request.cseq[0]}", request.from_tag, method


def number(text: str) -> int:
    """What the digits say, -1 for anything else, and for more of them than any field holds."""
    text = text.strip()
    return int(text) if len(text) <= 10 and text.isascii() and text.isdigit() else -1


def canonical(name: str) -> str:
    name = name.lower()
    return COMPACT.get(name, name).lower()


def split(value: str) -> list[str]:
    """A comma-separated value's parts; commas in quotes and angle brackets are text."""
    out, depth, quoted, begin = [], 0, False, 0
    skip = False
    for at, sign in enumerate(value):
        if skip:
            skip = False
        elif quoted and sign == "\\":
            skip = True
        elif sign == '"':
            quoted = not quoted
        elif not quoted and sign == "<":
            depth += 1
        elif not quoted and sign == ">":
            depth -= 1
        elif sign == "," and not quoted and depth <= 0:
            out.append(value[begin:at].strip())
            begin = at + 1
    out.append(value[begin:].strip())
    return [part for part in out if part]


def params(value: str) -> dict[str, str]:
    """The parameters of a field (``;tag=x``), those of a URI in brackets left out. Names are in
    lower case; one without a value has an empty one."""
    tail = (
        value.rsplit(">", 1)[-1]
        if "<" in value
        else value.partition(";")[1] + value.partition(";")[2]
    )
    return {name.lower(): text.strip().strip('"') for name, text in _PARAM.findall(tail)}


def address(value: str) -> str:
    """The URI of a From, To, Contact or Refer-To."""
    if "<" in value:
        return value.partition("<")[2].partition(">")[0].strip()
    return value.partition(";")[0].strip()


def parse(data: bytes, *, whole: bool = True) -> Message:
    """One message. ``whole``: it is a datagram, whose end is the end of the body. BadMessage."""
    found = _END.search(data)
    if found is None:
        raise BadMessage("no end of the header")
    if found.start() > MAX_HEAD:
        raise BadMessage(f"a header of more than {MAX_HEAD} bytes")
    message = _head(data[: found.start()])
    body = data[found.end() :]
    length = message.get("content-length")
    if length:
        if number(length) < 0:
            raise BadMessage("Content-Length is no number", 400, message)
        if number(length) > len(body):
            raise BadMessage("the body is shorter than Content-Length says", 400, message)
        body = body[: number(length)]
    elif not whole:
        body = b""
    _require(message)
    without = tuple(line for line in message.headers if canonical(line[0]) != "content-length")
    return replace(message, headers=without, body=body)


def _head(data: bytes) -> Message:
    start, _, rest = data.lstrip(b"\r\n").partition(b"\n")
    headers, bad = headers_of(rest)
    message = _start(start.decode(errors="surrogateescape").strip(), headers)
    if bad:
        raise BadMessage(f"no header: {bad[:40]!r}", 400, message)
    return message


def headers_of(data: bytes) -> tuple[Headers, str]:
    """The fields of a head, and the first line that is none."""
    text = re.sub(r"\r?\n[ \t]+", " ", data.decode(errors="surrogateescape"))
    headers: list[tuple[str, str]] = []
    bad = ""
    for line in re.split(r"\r?\n", text):
        match = _NAME.match(line)
        if match is None or not _TOKEN.match(match[1]):
            bad = bad or line
            continue
        headers.append((match[1], match[2].strip()))
    return tuple(headers), bad


def _start(line: str, headers: Headers) -> Message:
    first, second, third = [*line.split(None, 2), "", "", ""][:3]
    if first.upper() == VERSION:
        if not (len(second) == 3 and second.isdecimal()):
            raise BadMessage("no status")
        return Message(status=int(second), reason=third, headers=headers)
    message = Message(method=first, uri=second, headers=headers)
    if not _TOKEN.match(first) or not second:
        raise BadMessage("no request line")
    if third.upper() != VERSION:
        status = 505 if re.match(r"SIP/\d", third, re.IGNORECASE) else 400
        raise BadMessage(f"not {VERSION}: {third[:20]!r}", status, message)
    return message


def _require(message: Message) -> None:
    """What no message may lack (8.1.1), and what must be told apart to answer it."""
    if not message.get("via"):  # by which an answer would find its way
        raise BadMessage("Via is missing")
    missing = [name for name in ("From", "To", "Call-ID", "CSeq") if not message.get(name.lower())]
    if missing:
        raise BadMessage(f"{', '.join(missing)} is missing", 400, message)
    names = [canonical(key) for key, _ in message.headers]
    twice = [name for name in _SINGLE if names.count(name) > 1]
    if twice:
        raise BadMessage(f"{', '.join(twice)} stands there twice", 400, message)
    count, method = message.cseq
    if not 0 <= count <= MAX_CSEQ:
        raise BadMessage("CSeq is no number below 2**31", 400, message)
    if message.method and method != message.method:
        raise BadMessage("CSeq names another method", 400, message)
    hops = message.get("max-forwards")
    if hops and not 0 <= number(hops) <= 255:
        raise BadMessage("Max-Forwards is no number up to 255", 400, message)


class Stream:
    """Messages out of a TCP connection, which has no borders of its own (18.3)."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._looked = 0  # so much of it holds no end of a header
        #: A ping (two empty lines, RFC 5626) came and wants an empty line back.
        self.pings = 0

    def feed(self, data: bytes) -> Iterator[Message | BadMessage]:
        """The messages that are whole now; a BadMessage without a status means that what
        follows cannot be told apart any more."""
        self._data += data
        while True:
            while self._data[:2] == b"\r\n":
                self.pings += self._data[:4] == b"\r\n\r\n"
                del self._data[: 4 if self._data[:4] == b"\r\n\r\n" else 2]
            end = _END.search(self._data, max(0, self._looked - 3))
            if end is None:
                self._looked = len(self._data)
                if len(self._data) > MAX_HEAD:
                    yield BadMessage("a header without end")
                return
            length = _length(bytes(self._data[: end.start()]))
            if length is None or length > MAX_BODY:
                yield BadMessage("no Content-Length that can be followed")
                return
            if len(self._data) < end.end() + length:
                return
            whole = bytes(self._data[: end.end() + length])
            del self._data[: end.end() + length]
            self._looked = 0
            try:
                yield parse(whole, whole=False)
            except BadMessage as bad:
                yield bad if bad.message is not None else BadMessage(str(bad), -1)


def _length(head: bytes) -> int | None:
    match = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d{1,10})[ \t]*\r?$", head)
    if match is not None:
        return int(match[1])
    return None if re.search(rb"(?im)^(?:content-length|l)[ \t]*:", head) else 0


REASONS = {
    100: "Trying", 180: "Ringing", 200: "OK", 202: "Accepted", 400: "Bad Request",
    404: "Not Found", 405: "Method Not Allowed", 415: "Unsupported Media Type",
    416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small",
    480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
    486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here",
    491: "Request Pending", 500: "Server Internal Error", 501: "Not Implemented",
    503: "Service Unavailable", 505: "Version Not Supported", 603: "Decline",
}  # fmt: skip


def respond(
    request: Message,
    status: int,
    tag: str = "",
    more: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Message:
    """The response to ``request`` (8.2.6): every Via, From, To (with our ``tag``), Call-ID, CSeq;
    Record-Route when it begins a dialog."""
    headers = [*request.lines("via")]
    if status == 100:
        headers += request.lines("timestamp")
    elif status < 300:
        headers += request.lines("record-route")
    headers += request.lines("from")
    for key, value in request.lines("to"):
        headers.append((key, f"{value};tag={tag}" if tag and "tag" not in params(value) else value))
    headers += [*request.lines("call-id"), *request.lines("cseq"), *more]
    return Message(
        status=status, reason=REASONS.get(status, "Refused"), headers=tuple(headers), body=body
    )


def received_from(request: Message, host: str, port: int) -> Message:
    """The request with what its first Via lacks of where it came from (18.2.1, RFC 3581)."""
    out: list[tuple[str, str]] = []
    done = False
    for key, value in request.headers:
        if canonical(key) == "via" and not done:
            done = True
            first, *rest = split(value) or [value]
            told = params(first)
            if "rport" in told:
                first = re.sub(r";\s*rport(=[^;]*)?", f";rport={port}", first)
            if "rport" in told or host_port(sent_by(first))[0] != host:
                first = re.sub(r";\s*received=[^;]*", "", first) + f";received={host}"
            value = ", ".join([first, *rest])
        out.append((key, value))
    return replace(request, headers=tuple(out))


def sent_by(via: str) -> str:
    """Where a Via says that it came from: ``HOST`` or ``HOST:PORT``."""
    return (via.partition(";")[0].split() or [""])[-1]


def host_port(place: str) -> tuple[str, int]:
    """The two of ``HOST:PORT``, SIP's own port without one, -1 when it is none."""
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        return place.strip("[]"), 5060
    return host.strip("[]"), number(port)
