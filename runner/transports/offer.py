"""A WebRTC offer to the service and its answer, over plain HTTP.

``POST {base}/realtime/calls``: the SDP alone with an ephemeral key, or a form of ``sdp`` and
``session`` with a server's; 201, the answer in the body, the call's id at the end of ``Location``
(OpenAI's guide "Realtime API with WebRTC").
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import ConnectError
from runner.transports.posting import NoRedirect
from runner.transports.wire import refusal, words_of

#: For the answer.
SECONDS = 10.0


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
    opener = urllib.request.build_opener(NoRedirect)
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return Answer(answer.read().decode(), answer.headers.get("Location") or "")
    except urllib.error.HTTPError as error:
        raise refusal(url, error.code, error.read(65536)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        said = words_of(reason) if isinstance(reason, BaseException) else str(reason)
        raise ConnectError(
            f"cannot reach {url}: {said}", "check the address and the network"
        ) from None
