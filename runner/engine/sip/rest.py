"""What a server does to a telephone call: accept, reject, refer (OpenAI Realtime GA).

``POST /v1/realtime/calls/{id}/accept`` takes a session object, ``/reject`` a ``status_code`` (603
without), ``/refer`` a ``target_uri``; each answers 200 with nothing. A call that is not there, or
not any more, is 404.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from runner.engine.server.callrest import check_session
from runner.engine.server.rest import body_of, no_such_call, problem
from runner.engine.sip.exchange import Exchange, Gone404, Refused
from runner.engine.wire import WireError

DECLINE = 603
_URI = re.compile(r"(?:sips?|tel):[^\s<>\"]+\Z", re.IGNORECASE)


class PhoneRest:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def accept(self, request: Request) -> Response:
        body = await body_of(request)
        if isinstance(body, Response):
            return body
        model = body.pop("model", None)
        try:
            if body.get("type") != "realtime":
                raise WireError("type must be 'realtime'.", param="type")
            check_session(body, model)
        except WireError as error:
            return problem(400, error.message, code=error.code, param=error.param)
        try:
            await self._exchange.accept(_id(request), model, body)
        except Gone404:
            return no_such_call()
        return Response(status_code=200)

    async def reject(self, request: Request) -> Response:
        body = await _maybe(request)
        if isinstance(body, Response):
            return body
        status = body.get("status_code")
        status = DECLINE if status is None else status
        if not isinstance(status, int) or isinstance(status, bool) or not 300 <= status <= 699:
            words = "status_code is a SIP status from 300 to 699."
            return problem(400, words, code="invalid_value", param="status_code")
        try:
            self._exchange.reject(_id(request), status)
        except Gone404:
            return no_such_call()
        return Response(status_code=200)

    async def refer(self, request: Request) -> Response:
        body = await body_of(request)
        if isinstance(body, Response):
            return body
        uri = body.get("target_uri")
        if not isinstance(uri, str) or not _URI.match(uri):
            words = "target_uri is a tel: or sip: address."
            return problem(400, words, code="invalid_value", param="target_uri")
        try:
            await self._exchange.refer(_id(request), uri)
        except Gone404:
            return no_such_call()
        except Refused as error:
            return problem(500, f"The call could not be referred: {error}.", code="refer_failed")
        return Response(status_code=200)

    def hang_up_ringing(self, call_id: str) -> bool:
        """Hang up a call that is not answered yet."""
        if not self._exchange.ringing(call_id):
            return False
        self._exchange.reject(call_id, DECLINE)
        return True


async def _maybe(request: Request) -> Mapping[str, Any] | Response:
    """The body, which may be missing."""
    if request.headers.get("content-length") in (None, "0"):
        return {}
    return await body_of(request)


def _id(request: Request) -> str:
    return str(request.path_params["call_id"])
