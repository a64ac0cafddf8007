"""``/v1/realtime/calls``: a browser's offer answered, and what a server may do to a call.

Bodies, headers and codes as in OpenAI's reference and as its clients send them: the whole body is
the SDP (``application/sdp``), or a form of ``sdp`` and ``session``; the answer is 201 with the
SDP, and ``Location`` ends in the call's id. Pages of other origins may ask, with a secret.
"""

from __future__ import annotations

import email.parser
import email.policy
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from runner import codec
from runner.engine.server.calls import Call, Calls
from runner.engine.server.connection import DEFAULT_MODEL, Connection
from runner.engine.server.rest import no_such_call, problem, read
from runner.engine.server.secrets import ClientSecrets, admitted
from runner.engine.wire import Settings, WireError, new_id
from runner.tasks import Supervisor, in_thread

log = logging.getLogger("runner.engine")

MAX_BODY = 256 * 1024
SDP = "application/sdp"
_METHODS = "POST, OPTIONS"
_ALLOWED = "authorization, content-type, x-openai-agents-sdk"


@dataclass(frozen=True, slots=True)
class Offer:
    sdp: str
    session: dict[str, Any] = field(default_factory=dict)


class Phones(Protocol):
    """What a server decides on calls that come by telephone."""

    async def accept(self, request: Request) -> Response: ...
    async def reject(self, request: Request) -> Response: ...
    async def refer(self, request: Request) -> Response: ...
    def hang_up_ringing(self, call_id: str) -> bool: ...


Verb = Callable[[Request], Awaitable[Response]]


class CallRest:
    """``make(call, model, session)`` makes the session of a call."""

    def __init__(
        self,
        key: str,
        secrets: ClientSecrets,
        calls: Calls,
        make: Callable[[Call, str | None, dict[str, Any]], Connection],
        refuse: Callable[[], Response | None],
        phones: Phones | None = None,
    ) -> None:
        self._key = key
        self._secrets = secrets
        self._calls = calls
        self._make = make
        self._refuse = refuse
        self._phones = phones
        self.tasks = Supervisor(self._failed)

    async def close(self) -> None:
        await self._calls.close()
        await self.tasks.close()

    async def offer(self, request: Request) -> Response:
        """``POST /v1/realtime/calls``."""
        if request.method == "OPTIONS":
            return _shared(Response(status_code=204), request)
        return _shared(await self._offer(request), request)

    async def _offer(self, request: Request) -> Response:
        bound, refused = admitted(self._key, self._secrets, request.headers)
        refused = refused or self._refuse()
        if refused is not None:
            return refused
        offer = await _read(request)
        if isinstance(offer, Response):
            return offer
        session = dict(offer.session or (bound.session if bound is not None else {}))
        model = session.pop("model", None) or request.query_params.get("model")
        session = {"type": "realtime", **session} if session else {}
        try:
            check_session(session, model)
        except WireError as error:
            return problem(400, error.message, code=error.code, param=error.param)
        return await self._answer(offer, model, session)

    async def _answer(self, offer: Offer, model: str | None, session: dict[str, Any]) -> Response:
        # Half a second, the first time: those who are on the line do not wait for it.
        await in_thread(import_module, "runner.engine.rtc.peer")
        from runner.engine.rtc.peer import BadOffer, Peer

        peer = Peer(self._failed)
        try:
            sdp = await peer.answer(offer.sdp)
        except BadOffer as error:
            return problem(400, str(error), code="invalid_offer", param="sdp")
        call = peer.call
        work = self._calls.run(call, lambda call: self._make(call, model, session))
        self.tasks.spawn(work, f"call {call.id}")
        headers = {"Location": f"/v1/realtime/calls/{call.id}"}
        return Response(sdp, 201, headers, media_type=SDP)

    def verbs(self) -> dict[str, Verb]:
        """What stands behind ``POST /v1/realtime/calls/{id}/``."""
        phones = self._phones
        if phones is None:
            of_phones: dict[str, Verb] = dict.fromkeys(
                ("accept", "reject", "refer"), self._no_phone
            )
        else:
            of_phones = {"accept": phones.accept, "reject": phones.reject, "refer": phones.refer}
        return {"hangup": self._hang_up, **of_phones}

    async def _no_phone(self, request: Request) -> Response:
        return no_such_call()

    async def _hang_up(self, request: Request) -> Response:
        call_id = request.path_params["call_id"]
        if self._phones is not None and self._phones.hang_up_ringing(call_id):
            return Response(status_code=200)
        call = self._calls.find(call_id)
        if call is None:
            return await self._no_phone(request)
        await call.hang_up("hung up by a server")
        return Response(status_code=200)

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed: %r", name, error, exc_info=error)


def _shared(response: Response, request: Request) -> Response:
    """For pages of any origin: they have no cookies here, what opens the door is the key."""
    response.headers["Access-Control-Allow-Origin"] = request.headers.get("origin", "*")
    response.headers["Access-Control-Expose-Headers"] = "Location"
    response.headers["Access-Control-Allow-Methods"] = _METHODS
    wanted = request.headers.get("access-control-request-headers", _ALLOWED)
    response.headers["Access-Control-Allow-Headers"] = wanted
    response.headers["Vary"] = "Origin"
    return response


async def _read(request: Request) -> Offer | Response:
    data = await read(request, MAX_BODY)
    if isinstance(data, Response):
        return data
    kind = request.headers.get("content-type", "")
    try:
        if kind.startswith("multipart/form-data"):
            offer = _form(kind, data)
        elif kind.startswith(SDP):
            offer = Offer(data.decode())
        else:
            return problem(400, f"Unsupported content type '{kind}'; send {SDP}, or a form.")
    except ValueError as error:
        return problem(400, f"The body could not be read: {error}")
    if not offer.sdp.startswith("v=0"):
        return problem(400, "The body is no SDP offer.", code="invalid_offer", param="sdp")
    return offer


def _form(kind: str, data: bytes) -> Offer:
    head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + data)
    parts: dict[str, bytes] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            parts[name] = content
    if "sdp" not in parts:
        raise ValueError("the form has no part 'sdp'")
    session = codec.loads(parts["session"]) if parts.get("session") else {}
    if not isinstance(session, dict):
        raise ValueError("session is no object")
    return Offer(parts["sdp"].decode(), session)


def check_session(session: Mapping[str, Any], model: str | None) -> None:
    """WireError when a session cannot begin so."""
    settings = Settings(model or DEFAULT_MODEL, new_id("sess"), expires_at=0)
    if session:
        settings.update(session)
