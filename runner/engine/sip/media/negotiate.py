"""Offer and answer of one call: G.711 and telephone keys, in RTP or in SRTP.

Source: RFC 3264 (offer and answer, hold in 8.4), RFC 4568 (SDES: the key is in the SDP), RFC 4733
(``telephone-event``). SRTP is taken on any signalling, since the choice is the caller's, and is
offered by ourselves on TLS alone: elsewhere anybody could read the key.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import secrets
from dataclasses import dataclass, field, replace
from typing import Literal

from runner.audio.formats import PCMA, PCMU, AudioFormat
from runner.engine.sip.media.sdp import BadSdp, Crypto, Media, parse, refusal, write

PTIME_MS = 20
_KEY_BYTES = 30  # AES-128 key and 112 bits of salt
#: The suites that we have, the one that we offer first.
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
Codec = Literal["pcmu", "pcma"]
_CODECS: dict[str, Codec] = {"PCMU/8000": "pcmu", "PCMA/8000": "pcma"}
_FORMS: dict[Codec, AudioFormat] = {"pcmu": PCMU, "pcma": PCMA}
_EVENTS = "TELEPHONE-EVENT/8000"
_NOWHERE = ("0.0.0.0", "::")
_ANSWERS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly"}


@dataclass(frozen=True, slots=True)
class Srtp:
    """Keys of both ways, 30 bytes each."""

    suite: str
    ours: bytes = field(repr=False)
    theirs: bytes = field(repr=False)
    tag: str = "1"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What one exchange of SDP agreed on. ``sdp`` is our half.

    ``remote`` is where they say they listen, None when they do not. ``sends`` and ``hears`` are
    ours; both are False on hold. ``waits``: this is our offer, and their answer is to come.
    ``events`` is the payload type of telephone keys, None when they have none.
    """

    sdp: bytes = field(repr=False)
    codec: Codec
    payload_type: int
    remote: tuple[str, int] | None
    session: int
    version: int
    events: int | None = None
    ptime_ms: int = PTIME_MS
    sends: bool = True
    hears: bool = True
    waits: bool = False
    srtp: Srtp | None = None

    @property
    def form(self) -> AudioFormat:
        return _FORMS[self.codec]

    @property
    def held(self) -> bool:
        """Their telephone put us on hold: what comes now is no caller."""
        return not self.sends


def answer(
    offer: bytes | None,
    *,
    host: str,
    port: int,
    secure: bool = False,
    before: Negotiated | None = None,
) -> Negotiated | None:
    """Our half of the exchange: ``host`` and ``port`` are where we listen. ``offer`` None: an
    offer of our own. ``before`` is what holds until now. None: nothing fits (488)."""
    session, version = (before.session, before.version + 1) if before else (_session(), 1)
    if offer is None:
        return _offer(host, port, secure, session, version, before)
    try:
        media = parse(offer)
    except BadSdp:
        return None
    fitting = [m for m in media if _fits(m)]
    if not fitting:
        return None
    # Of two audio lines, the ciphered one where its key was safe on the way.
    chosen = max(fitting, key=lambda m: (_ciphered(m) == secure, -media.index(m)))
    agreed = _agree(chosen, before)
    lines: list[str] = []
    for each in media:
        lines += _lines(agreed, chosen, port) if each is chosen else refusal(each)
    sdp = write(host, session, version, lines)
    return replace(agreed, sdp=sdp, session=session, version=version)


def accept(ours: Negotiated, theirs: bytes) -> Negotiated | None:
    """What holds when they answered our offer ``ours``. None: nothing fits."""
    try:
        media = parse(theirs)
    except BadSdp:
        return None
    fitting = next((m for m in media if _fits(m) and _ciphered(m) == bool(ours.srtp)), None)
    if fitting is None:
        return None
    if ours.srtp is not None and not any(c.suite == ours.srtp.suite for c in fitting.cryptos):
        return None
    agreed = _agree(fitting, ours)
    return replace(agreed, sdp=ours.sdp, session=ours.session, version=ours.version)


def _session() -> int:
    return secrets.randbits(31)


# -- their offer ----------------------------------------------------------------------------------
def _fits(media: Media) -> bool:
    if media.kind != "audio" or not media.port or not media.host:
        return False
    if not any(name in _CODECS for name in media.codecs.values()):
        return False
    if _ciphered(media):
        return _crypto(media) is not None
    return media.protocol in ("RTP/AVP", "RTP/AVPF")


def _ciphered(media: Media) -> bool:
    return media.protocol in ("RTP/SAVP", "RTP/SAVPF")


def _crypto(media: Media) -> tuple[Crypto, bytes] | None:
    """The first key of theirs that we can use."""
    for crypto in media.cryptos:
        try:
            key = base64.b64decode(crypto.key, validate=True)
        except binascii.Error:
            continue
        if crypto.suite in SUITES and len(key) == _KEY_BYTES:
            return crypto, key
    return None


def _agree(media: Media, before: Negotiated | None) -> Negotiated:
    """All but the text of our half."""
    found = {name: pt for pt, name in reversed(media.codecs.items())}
    known = [(pt, _CODECS[name]) for pt, name in media.codecs.items() if name in _CODECS]
    # A second exchange keeps the law that is spoken, where it may.
    kept = [k for k in known if before is not None and k[1] == before.codec]
    payload_type, codec = (kept or known)[0]
    srtp = None
    if _ciphered(media) and (theirs := _crypto(media)) is not None:
        crypto, key = theirs
        known_key = before.srtp if before else None
        if known_key is not None and known_key.suite == crypto.suite:
            ours = known_key.ours  # a key of ours begins once: its counters go on
        else:
            ours = secrets.token_bytes(_KEY_BYTES)
        srtp = Srtp(crypto.suite, ours, key, crypto.tag)
    # RFC 2543's hold, which many telephones still send.
    nowhere = media.host in _NOWHERE
    numeric = _numeric(media.host)
    direction = {"sendrecv": "sendonly"}.get(media.direction, "inactive")
    direction = direction if nowhere else media.direction
    return Negotiated(
        sdp=b"",
        codec=codec,
        payload_type=payload_type,
        remote=(media.host, media.port) if numeric and not nowhere else None,
        session=0,
        version=0,
        events=found.get(_EVENTS),
        ptime_ms=_ptime(media),
        sends=direction in ("sendrecv", "recvonly"),
        hears=direction == "sendrecv",
        srtp=srtp,
    )


def _numeric(host: str) -> bool:
    """A name is not looked up: their sound tells where it comes from."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _ptime(media: Media) -> int:
    wanted = media.ptime or PTIME_MS
    if media.maxptime:
        wanted = min(wanted, media.maxptime)
    return max(10, min(60, wanted // 10 * 10))


# -- our half -------------------------------------------------------------------------------------
def _lines(agreed: Negotiated, media: Media, port: int) -> list[str]:
    name = agreed.codec.upper()
    types = [(agreed.payload_type, f"{name}/8000")]
    if agreed.events is not None:
        types.append((agreed.events, "telephone-event/8000"))
    direction = media.direction
    if media.host in _NOWHERE and direction == "sendrecv":
        direction = "sendonly"
    lines = _section(types, media.protocol, port, agreed.ptime_ms, agreed.srtp)
    return [*lines, f"a={_ANSWERS.get(direction, 'inactive')}"]


def _section(
    types: list[tuple[int, str]], protocol: str, port: int, ptime: int, srtp: Srtp | None
) -> list[str]:
    lines = [f"m=audio {port} {protocol} {' '.join(str(pt) for pt, _ in types)}"]
    lines += [f"a=rtpmap:{pt} {name}" for pt, name in types]
    lines += [f"a=fmtp:{pt} 0-15" for pt, name in types if name.startswith("telephone")]
    if srtp is not None:
        key = base64.b64encode(srtp.ours).decode()
        lines.append(f"a=crypto:{srtp.tag} {srtp.suite} inline:{key}")
    return [*lines, f"a=ptime:{ptime}"]


def _offer(
    host: str, port: int, secure: bool, session: int, version: int, before: Negotiated | None
) -> Negotiated:
    types = [(0, "PCMU/8000"), (8, "PCMA/8000")]
    if before is not None and before.codec == "pcma":
        types.reverse()
    srtp = before.srtp if before else None
    if before is None and secure:
        srtp = Srtp(SUITES[0], secrets.token_bytes(_KEY_BYTES), b"")
    protocol = "RTP/AVP" if srtp is None else "RTP/SAVP"
    lines = _section([*types, (101, "telephone-event/8000")], protocol, port, PTIME_MS, srtp)
    return Negotiated(
        sdp=write(host, session, version, [*lines, "a=sendrecv"]),
        codec=before.codec if before else "pcmu",
        payload_type=types[0][0],
        remote=None,
        session=session,
        version=version,
        events=101,
        sends=False,
        hears=False,
        waits=True,
        srtp=srtp,
    )
