"""A WebRTC offer to the service and its answer, over plain HTTP.

``POST {base}/realtime/calls``: the SDP alone with an ephemeral key, or a form of ``sdp`` and
``session`` with a server's; 201, the answer in the body, the call's id at the end of ``Location``
(OpenAI's guide "Realtime API with WebRTC").
"""

from __future__ import annotations

import http.client
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from runner.errors import ConnectError
from runner.transports.posting import NoRedirect
from runner.transports.wire import is_loopback, refusal, words_of

#: For the answer.
SECONDS = 5.0
#: Of an answer; ours has 1.5 KB.
LARGEST = 1 << 20
#: Statuses of a server that has no such address, or no such method there.
_NO_SUCH = (404, 405, 426, 501)
OTHERWISE = "if it has no WebRTC, write transport: websocket"


@dataclass(frozen=True, slots=True)
class Answer:
    """``location`` is the header's value, empty when there was none."""

    sdp: str
    location: str

    @property
    def call_id(self) -> str:
        return self.location.rstrip("/").rpartition("/")[2]


def post_offer(
    url: str, headers: Mapping[str, str], offer: str, session: Mapping[str, Any] | None
) -> Answer:
    """Blocks; for a thread. ConnectError."""
    # The official client would do the same, and takes a second to import.
    if session is None:
        body, kind = offer.encode(), "application/sdp"
    else:
        mark = secrets.token_hex(16)
        said = json.dumps(session)
        parts = (("sdp", "application/sdp", offer), ("session", "application/json", said))
        body = b"".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n'
            f"Content-Type: {type_}\r\n\r\n{text}\r\n".encode()
            for name, type_, text in parts
        ) + f"--{mark}--\r\n".encode()  # fmt: skip
        kind = f"multipart/form-data; boundary={mark}"
    headers = {**headers, "Content-Type": kind, "Accept": "application/sdp", "User-Agent": "rtrun"}
    request = urllib.request.Request(url, body, headers, method="POST")
    # As for a WebSocket: who is on this machine is asked without a proxy.
    near = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    opener = urllib.request.build_opener(NoRedirect, *near)
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return Answer(answer.read(LARGEST).decode(), answer.headers.get("Location") or "")
    except urllib.error.HTTPError as error:
        words = error.read(65536)
        refused = refusal(url, error.code, words)
        # A server of WebSockets alone finds the whole request bad, and says so in plain words.
        if error.code in _NO_SUCH or (error.code == 400 and not words.lstrip().startswith(b"{")):
            refused.hint = f"{refused.hint or 'check the address'}; {OTHERWISE}"
        raise refused from None
    except UnicodeDecodeError:
        raise no_sdp(url, "bytes that are no text") from None
    except http.client.HTTPException as error:
        # A server of WebSockets alone may close the connection, or say what is no HTTP.
        why = str(error) or type(error).__name__
        raise ConnectError(f"{url} gave no answer to HTTP: {why}", OTHERWISE) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        said = words_of(reason) if isinstance(reason, BaseException) else str(reason)
        raise ConnectError(
            f"cannot reach {url}: {said}", "check the address and the network"
        ) from None


def no_sdp(url: str, why: str) -> ConnectError:
    return ConnectError(f"{url} answered with something that is no SDP: {why}", OTHERWISE)
