"""SDP as telephones write it: what a call needs of it, read and written.

Source: RFC 8866 (SDP), RFC 4568 (``a=crypto``). What is not about audio is kept as the line it
was, so that an answer can refuse it in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from runner.engine.sip.message import number

MAX_BYTES = 16 * 1024
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class BadSdp(ValueError):
    """No SDP, in words for a log."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` line: ``key`` is master key and salt as they came, in base64."""

    tag: str
    suite: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` section. ``host`` and ``direction`` hold whether the line stands here or above.
    ``host`` may be a name.
    ``codecs`` are payload types and their ``NAME/RATE`` in capitals, in order of preference."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str
    direction: str
    codecs: dict[int, str] = field(default_factory=dict)
    ptime: int | None = None
    maxptime: int | None = None
    cryptos: tuple[Crypto, ...] = ()


# RFC 3551: these need no rtpmap.
_STATIC = {0: "PCMU/8000", 8: "PCMA/8000"}
_CRYPTO = re.compile(r"(\d{1,9}) ([A-Za-z0-9_]+) inline:([A-Za-z0-9+/=]+)(\|[^:|\s]+)?$")


def parse(data: bytes) -> list[Media]:
    """The media of a description. BadSdp."""
    if len(data) > MAX_BYTES:
        raise BadSdp(f"{len(data)} bytes of SDP are more than a telephone sends")
    sections: list[list[str]] = [[]]
    # What is no UTF-8 is the name of somebody or of a session.
    for line in re.split(r"\r\n|\n|\r", data.decode(errors="replace")):
        if line[1:2] != "=":
            if line.strip():
                raise BadSdp(f"not a line of SDP: {line[:40]!r}")
            continue
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    above, media = sections[0], sections[1:]
    if not above or not above[0].startswith("v=0"):
        raise BadSdp("the SDP does not begin with v=0")
    if not media:
        raise BadSdp("the SDP has no m= line")
    host = _host(above, "")
    direction = _direction(above, "sendrecv")
    return [_media(lines, host, direction) for lines in media]


def _media(lines: list[str], host: str, direction: str) -> Media:
    words = lines[0][2:].split()
    port = number(words[1].partition("/")[0]) if len(words) >= 4 else -1
    if not 0 <= port <= 65535:
        raise BadSdp(f"not an m= line: {lines[0][:60]!r}")
    names = dict(_STATIC)
    for value in _all(lines, "rtpmap"):
        digits, _, name = value.strip().partition(" ")
        names[number(digits)] = "/".join(name.strip().upper().split("/")[:2])
    numbers = [n for f in words[3:] if 0 <= (n := number(f)) < 128]
    return Media(
        kind=words[0].lower(),
        port=port,
        protocol=words[2],
        formats=tuple(words[3:]),
        host=_host(lines, host),
        direction=_direction(lines, direction),
        codecs={n: names[n] for n in numbers if n in names},
        ptime=_number(lines, "ptime"),
        maxptime=_number(lines, "maxptime"),
        cryptos=tuple(Crypto(m[1], m[2], m[3]) for m in _cryptos(lines)),
    )


def _cryptos(lines: list[str]) -> list[re.Match[str]]:
    # A line with a master key identifier (RFC 4568, 6.1) does not match: no phone needs it.
    return [m for value in _all(lines, "crypto") if (m := _CRYPTO.match(value.strip()))]


def _all(lines: list[str], name: str) -> list[str]:
    start = f"a={name}:"
    return [line[len(start) :] for line in lines if line.startswith(start)]


def _number(lines: list[str], name: str) -> int | None:
    for value in _all(lines, name):
        if re.fullmatch(r"\s*\d{1,4}(\.\d+)?\s*", value, re.ASCII):
            return int(float(value))
    return None


def _direction(lines: list[str], otherwise: str) -> str:
    return next(
        (d for line in lines if line.startswith("a=") and (d := line[2:].strip()) in DIRECTIONS),
        otherwise,
    )


def _host(lines: list[str], otherwise: str) -> str:
    for line in lines:
        if not line.startswith("c="):
            continue
        words = line[2:].split()
        if len(words) < 3:
            raise BadSdp(f"not an address of media: {line[:60]!r}")
        return words[2].partition("/")[0]
    return otherwise


def address(host: str) -> str:
    """``host`` as ``c=`` and ``o=`` say it."""
    return f"IN IP{6 if ':' in host else 4} {host}"


def refusal(media: Media) -> list[str]:
    """The lines that answer a section with no."""
    return [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}"]


def write(host: str, session: int, version: int, lines: list[str]) -> bytes:
    """A description of these media lines."""
    where = address(host)
    above = ["v=0", f"o=rtrun {session} {version} {where}", "s=-", f"c={where}", "t=0 0"]
    return ("\r\n".join([*above, *lines]) + "\r\n").encode()
