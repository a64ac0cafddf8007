"""Twilio's REST API for calls, as a double on this machine: hang up, and go on with other TwiML."""

from __future__ import annotations

import asyncio
import base64
import hmac

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runner.listening import Server, listen
from runner.tasks import Supervisor
from runner.testing.twilio import TwilioCaller
from runner.transports.twilio_signature import form_fields


class TwilioApi:
    """``async with TwilioApi(auth_token) as api``; ``api.url`` is the deployment's ``api_url``,
    and ``api.add(caller)`` makes a call known. ``asked`` are the fields of every request."""

    def __init__(self, auth_token: str) -> None:
        self._token = auth_token
        self.url = ""
        self.asked: list[dict[str, str]] = []
        #: The status that the next requests are refused with, 0 for none.
        self.refuses = 0
        self._calls: dict[str, TwilioCaller] = {}
        self._tasks = Supervisor(lambda name, error: None)
        self._server: Server | None = None

    def add(self, caller: TwilioCaller) -> TwilioCaller:
        self._calls[caller.call_sid] = caller
        return caller

    async def open(self) -> None:
        listener = listen("127.0.0.1", 0)
        path = "/2010-04-01/Accounts/{account}/Calls/{call}.json"
        app = Starlette(routes=[Route(path, self._update, methods=["POST"])])
        ready = asyncio.Event()
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1
        )
        self._server = Server(config, ready.set)
        self._tasks.spawn(self._server.serve([listener]), "Twilio's API")
        await ready.wait()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.leave()
            await self._tasks.finish()
            self._server.let_go()
        await self._tasks.close()

    async def __aenter__(self) -> TwilioApi:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _update(self, request: Request) -> Response:
        account, sid = request.path_params["account"], request.path_params["call"]
        expected = base64.b64encode(f"{account}:{self._token}".encode())
        given = request.headers.get("authorization", "").partition(" ")[2].encode()
        if not hmac.compare_digest(given, expected):
            return _error(401, 20003, "Authenticate")
        fields = dict(form_fields(await request.body()))
        self.asked.append(fields)
        if self.refuses:
            return _error(self.refuses, 20500, "Refused by the test")
        call = self._calls.get(sid)
        if call is None or call.account_sid != account:
            return _error(404, 20404, f"The requested resource {request.url.path} was not found")
        if call.over.is_set():
            return _error(400, 21220, "Call is not in-progress. Cannot redirect.")
        try:
            if "Twiml" in fields:
                await call.follow(fields["Twiml"])
            elif fields.get("Status") == "completed":
                await call.complete()
            else:
                return _error(400, 20001, "Nothing that is known here")
        except ValueError as error:
            return _error(400, 12100, str(error))
        return JSONResponse({"sid": sid, "account_sid": account, "status": "in-progress"})


def _error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "status": status}, status)
