"""How the Realtime API is written on a WebSocket: its address, its headers, its audio events."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from runner.codec import b64decode, loads
from runner.errors import ConnectError
from runner.model.settings import DEFAULT_MODEL
from runner.transports.base import ConnectOptions

#: An event's type, as text and as it stands in JSON.
AUDIO = "response.output_audio.delta"
AUDIO_TYPE = f'"{AUDIO}"'.encode()
_DELTA = b'"delta":"'
_EVENT_ID = b'"event_id":"'

Lane = tuple[str, str, int, bytes]

#: Stands for the audio while the rest of its event is parsed; no base64.
_HERE = b"~"


class LastDelta:
    """The last audio delta of a line without its event id and its audio. All of an answer are
    the same but for these two, so the next one need not be parsed to know whose it is."""

    __slots__ = ("head", "ids", "tail")

    def __init__(self) -> None:
        self.head = self.tail = b""
        self.ids = ("", "", 0)


def audio_lane(data: bytes, last: LastDelta | None = None) -> Lane | None:
    """``(response_id, item_id, content_index, audio)`` of an audio delta's JSON text, without
    building its kilobytes of base64 as a string. None when it is written in a way that only a
    JSON parser should judge. ``last`` is what the line remembers."""
    start = data.find(_DELTA)
    if start < 0:
        return None
    start += len(_DELTA)
    end = data.find(b'"', start)
    text = data[start:end]
    if end < 0 or b"\\" in text:
        return None
    head = b""
    if last is not None and (at := data.find(_EVENT_ID, 0, start)) >= 0:
        at += len(_EVENT_ID)
        stop = data.find(b'"', at)
        head = data[:at] + data[stop:start]
        same = head == last.head and data[end:] == last.tail
        if same and data[at:stop].replace(b"_", b"").isalnum():
            try:
                return *last.ids, b64decode(text)
            except ValueError:
                return None
    try:
        event = loads(data[:start] + _HERE + data[end:])
        # Only the event's own delta may stand for the audio, not one of an object inside it.
        if event["type"] != AUDIO or event["delta"] != "~":
            return None
    except (ValueError, KeyError, TypeError):
        return None
    lane = audio_of(event, text)
    if head and lane is not None and last is not None:
        last.head, last.tail, last.ids = head, data[end:], lane[:3]
    return lane


def audio_of(event: dict[str, Any], audio: Any) -> Lane | None:
    """What an audio delta carries; None when a field is missing, of another type, or no base64."""
    try:
        response_id, item_id, index = event["response_id"], event["item_id"], event["content_index"]
        if type(response_id) is type(item_id) is str and type(index) is int:
            return response_id, item_id, index, b64decode(audio)
    except (KeyError, TypeError, ValueError):
        pass
    return None


def realtime_url(base: str, options: ConnectOptions) -> str:
    """``base`` with ``model`` or ``call_id`` in its query; what stands there already stays.
    ConnectError when it is no address."""
    try:
        parts = urlsplit(base)
    except ValueError as bad:
        raise ConnectError(f"{base} is not a WebSocket address", str(bad)) from None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if options.call_id:
        query["call_id"] = options.call_id
    elif "call_id" not in query:
        query.setdefault("model", options.model or DEFAULT_MODEL)
    return urlunsplit(parts._replace(query=urlencode(query)))


def shown_address(address: str) -> str:
    """An address for people: without its query, and without a password in it."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def request_headers(options: ConnectOptions) -> dict[str, str]:
    """ConnectError for a header that would break the request: keys come out of files, and with
    a line's end at that."""
    headers = {name: value.strip() for name, value in options.headers.items()}
    if options.api_key:
        headers.setdefault("Authorization", f"Bearer {options.api_key.strip()}")
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and f"{name}{value}".isprintable()):
            raise ConnectError(
                f"the header {name!r} holds signs that no header may hold",
                "check the API key and the engine's headers",
            )
    return headers


def rest_base(url: str) -> str:
    """``wss://host/v1/realtime?model=m``, or ``https://host/v1/realtime/calls`` -> ``https://host/v1``."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    path = parts.path.rstrip("/").removesuffix("/calls").removesuffix("/realtime")
    return parts._replace(scheme=scheme, path=path, query="", fragment="").geturl()


def without_formats(session: Mapping[str, Any]) -> dict[str, Any]:
    """A session object with the audio's coding left to whoever carries it."""
    audio = {
        side: {key: value for key, value in part.items() if key != "format"}
        for side, part in (session.get("audio") or {}).items()
    }
    return {**session, "audio": audio} if "audio" in session else dict(session)


def is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def refusal(shown: str, status: int, body: bytes) -> ConnectError:
    said = reason = ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        told = loads(body)["error"]
        said, reason = told["message"], str(told.get("code") or "")
    hint = {
        401: "check the API key (OPENAI_API_KEY, or the engine's api_key)",
        403: "this key may not use the Realtime API",
        404: "check the address, the model or the call id",
        429: "rate limit or quota: wait, or check the account",
        503: "the server takes no more sessions just now",
    }.get(status, "")
    words = f"{shown} refused with HTTP {status}" + (f": {said}" if said else "")
    return ConnectError(words, hint, status=status, reason=reason)


def words_of(error: BaseException) -> str:
    """What went wrong below the WebSocket, in the system's own words."""
    if isinstance(error, OSError):
        if error.errno is not None and error.errno > 0:
            return os.strerror(error.errno).lower()
        if str(error).startswith("Multiple exceptions"):  # a name with several addresses
            return "connection refused"
        if error.strerror:
            return error.strerror.lower()
    return str(error) or type(error).__name__
