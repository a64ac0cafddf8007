"""Ephemeral keys: ``POST /v1/realtime/client_secrets``, each with a session bound to it.

Fields and limits: OpenAI's reference (10 to 7,200 s, 600 when left out; a secret opens any number
of sessions until it expires, and a session outlives it).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runner.engine.server.auth import allowed, presented_key, refusal
from runner.engine.server.origin import foreign
from runner.engine.server.rest import body_of, json, problem
from runner.engine.wire import Settings, WireError, new_id

PREFIX = "ek_"
DEFAULT_SECONDS, FEWEST, MOST = 600, 10, 7200
#: Secrets kept at a time; the oldest go first.
KEPT = 1000
DEFAULT_MODEL = "gpt-realtime"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a secret stands for: the patch of its session, checked, and its end in unix seconds."""

    session: Mapping[str, Any]
    expires_at: int


class ClientSecrets:
    """The secrets of one engine. ``now`` in unix seconds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._bound: dict[str, Bound] = {}

    def find(self, presented: str) -> Bound | None:
        """What this key stands for; None when it is no secret of ours, or has expired."""
        if not presented.startswith(PREFIX):
            return None
        bound = self._bound.get(presented)
        if bound is None or bound.expires_at <= self._now():
            self._bound.pop(presented, None)
            return None
        return bound

    async def create(self, request: Request) -> Response:
        body = await body_of(request)
        if isinstance(body, Response):
            return body
        seconds = _seconds(body.get("expires_after"))
        if isinstance(seconds, Response):
            return seconds
        session = body.get("session") or {"type": "realtime"}
        expires_at = int(self._now()) + seconds
        try:
            echo = _echo(session, expires_at)
        except WireError as error:
            return problem(400, error.message, code=error.code, param=error.param)
        while len(self._bound) >= KEPT:
            del self._bound[next(iter(self._bound))]
        value = PREFIX + secrets.token_hex(16)
        self._bound[value] = Bound(session, expires_at)
        return json({"value": value, "expires_at": expires_at, "session": echo})


def admitted(
    key: str,
    secrets: ClientSecrets,
    headers: Mapping[str, str],
    subprotocols: Sequence[str] = (),
) -> tuple[Bound | None, Response | None]:
    """What the secret of a request stands for, and the refusal of one that may not come in. A
    secret that is none, or has expired, opens nothing, an engine without a key included."""
    presented = presented_key(headers, subprotocols)
    bound = secrets.find(presented)
    if bound is not None:
        return bound, None
    if presented.startswith(PREFIX) or not allowed(key, presented):
        code, message = refusal(presented)
        return None, problem(401, message, code=code)
    if not key and foreign(headers):
        return None, problem(403, "A page of another origin needs a client secret.")
    return None, None


def _echo(session: Any, expires_at: int) -> dict[str, Any]:
    """The session object as a session opened by this secret begins. WireError when it is none."""
    model = session.get("model") if isinstance(session, dict) else None
    kind = session.get("type") if isinstance(session, dict) else None
    settings = Settings(
        model if isinstance(model, str) else DEFAULT_MODEL,
        new_id("sess"),
        type="transcription" if kind == "transcription" else "realtime",
        expires_at=expires_at,
        model_named=model is not None,
    )
    settings.update(session)
    return settings.effective()


def _seconds(given: Any) -> int | Response:
    if given is None:
        return DEFAULT_SECONDS
    seconds = given.get("seconds", DEFAULT_SECONDS) if isinstance(given, dict) else None
    if isinstance(given, dict) and given.get("anchor", "created_at") != "created_at":
        return problem(400, "anchor must be created_at.", param="expires_after.anchor")
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not FEWEST <= seconds <= MOST:
        words = f"seconds must be a number from {FEWEST} to {MOST}."
        return problem(400, words, param="expires_after.seconds")
    return seconds
