"""The admin port: what is in force, who is on the line, health and metrics, over HTTP.

Off unless asked for. ``/healthz``, ``/readyz`` and ``/metrics`` are open to whoever reaches the
port; ``/config``, ``/config/rejected``, ``/sessions`` and ``/control`` (the requests of the control
socket) want the bearer token.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from runner.codec import dumps, loads
from runner.config.find import SUFFIXES
from runner.errors import InputError, UsageError
from runner.listening import Server, listen
from runner.serve.control import MAX_LINE, no
from runner.serve.effective import config_dump, rejected_dump
from runner.serve.exposition import CONTENT_TYPE
from runner.serve.guard import address, given_token, own_host, own_origin, right_token
from runner.serve.house import House
from runner.serve.mask import Masks
from runner.serve.metrics import Metrics
from runner.serve.sockets import card_of, own_folder, supported
from runner.serve.status import status
from runner.serve.verbs import Stream, Verbs
from runner.tasks import OnFailure, Supervisor, in_thread

TOKEN = "RTRUN_ADMIN_TOKEN"
#: A shorter token could be guessed by asking.
SHORTEST_TOKEN = 16
_OPEN = ("/healthz", "/readyz", "/metrics")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "no-cache",
}


async def open_admin(
    house: House,
    spec: str,
    verbs: Verbs,
    *,
    env: Mapping[str, str],
    say: Callable[[str], None],
    on_failure: OnFailure,
) -> Admin:
    """Serve on ``spec``, ``[HOST:]PORT``, on this machine alone unless a host is given; port 0
    takes a free one. The token is RTRUN_ADMIN_TOKEN of ``env``, else a random one, which ``say``
    tells once. UsageError, InputError."""
    host, port = address(spec)
    token = env.get(TOKEN, "")
    if token and len(token) < SHORTEST_TOKEN:
        raise UsageError(f"{TOKEN} has fewer than {SHORTEST_TOKEN} characters", "take a longer one")
    made = token or secrets.token_urlsafe(24)
    admin = Admin(house, verbs, host, made, on_failure)
    await admin.open(port)
    words = "" if token else f", token {made}"
    say(f"admin: {admin.url}{words}")
    return admin


class Admin:
    """``url`` once it is open."""

    def __init__(
        self, house: House, verbs: Verbs, host: str, token: str, on_failure: OnFailure
    ) -> None:
        self._house = house
        self._verbs = verbs
        self._host = host
        self._token = token
        self._masks = Masks(verbs.in_force)
        self._metrics = Metrics(house)
        self._tasks = Supervisor(on_failure)
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._card: Path | None = None
        self.url = ""
        self.app = Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/readyz", self._ready),
                Route("/metrics", self._show_metrics),
                Route("/config", self._config),
                Route("/config/rejected", self._rejected),
                Route("/sessions", self._sessions),
                Route("/control", self._control, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _on_error},
        )

    async def open(self, port: int) -> None:
        """InputError when the port is not to be had."""
        listener = listen(self._host, port, "choose another port; 0 takes a free one")
        config = uvicorn.Config(
            self._guarded,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=MAX_LINE,
        )
        ready = asyncio.Event()
        self._server = Server(config, ready.set)
        self._serving = self._tasks.spawn(self._server.serve([listener]), "admin")
        await ready.wait()
        name, port = listener.getsockname()[:2]
        self.url = f"http://{f'[{name}]' if ':' in name else name}:{port}"
        if not supported():
            await in_thread(self._leave_card)

    def _leave_card(self) -> None:
        """Where there are no sockets, the verbs find this process by its card."""
        with contextlib.suppress(InputError, OSError):
            card = card_of(own_folder(), os.getpid())
            card.unlink(missing_ok=True)
            number = os.open(card, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(number, "w", encoding="utf-8") as out:
                out.write(dumps({"url": self.url, "token": self._token}))
            self._card = card

    async def close(self) -> None:
        """Answers that are under way get a second. Idempotent."""
        card, self._card = self._card, None
        if card is not None:
            with contextlib.suppress(OSError):
                card.unlink()
        if self._server is not None and self._serving is not None:
            self._server.leave()
            await asyncio.wait({self._serving}, timeout=2)
        self._metrics.close()
        await self._tasks.close()

    # -- who may ask -----------------------------------------------------------------------------
    async def _guarded(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        headers = request.headers
        refused: Response | None = None
        if not own_host(headers.get("host"), self._host):
            refused = _json({"error": "the Host is none of this port"}, 403)
        elif not own_origin(headers):
            refused = _json({"error": "pages of other sites may not ask"}, 403)
        elif request.url.path not in _OPEN and not right_token(self._token, given_token(headers)):
            refused = _json({"error": "the token is missing or wrong"}, 401)
            refused.headers["WWW-Authenticate"] = "Bearer"
        await (refused or self.app)(scope, receive, send)

    # -- what is asked ---------------------------------------------------------------------------
    async def _health(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        reasons = ["draining: no new calls are taken"] if self._house.draining else []
        reasons += [
            f"{name}: its file has never been valid"
            for name, entry in self._house.deployments.items()
            if entry.desk is None
        ]
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE, headers=_HEADERS)

    async def _config(self, request: Request) -> Response:
        told = config_dump(self._asked(request), self._masks)
        body = dumps(told).encode("utf-8", "replace") + b"\n"
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {**_HEADERS, "ETag": tag}
        known = request.headers.get("if-none-match", "")
        if known.strip() == "*" or tag in (k.strip().removeprefix("W/") for k in known.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def _rejected(self, request: Request) -> Response:
        return _json(rejected_dump(self._asked(request)))

    async def _sessions(self, request: Request) -> Response:
        wanted = self._asked(request)
        told = status(self._house)
        told["deployments"] = [row for row in told["deployments"] if row["deployment"] in wanted]
        return _json(told)

    def _asked(self, request: Request) -> Mapping[str, Any]:
        """``?deployment=NAME``, else all."""
        known = self._house.deployments
        name = request.query_params.get("deployment")
        if name is None:
            return known
        if name not in known:
            raise HTTPException(404, f"no deployment '{name}' runs here")
        return {name: known[name]}

    async def _control(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _json(no("the request is no application/json"), 415)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_LINE:
                return _json(no(f"a request has at most {MAX_LINE} bytes"), 413)
        try:
            asked = loads(bytes(body))
        except ValueError:
            return _json(no("the request is not JSON"), 400)
        if self._foreign(asked):
            return _json(no("over HTTP a plan is of a YAML file beside a deployment's own"), 403)
        reply = await self._verbs.answer(asked)
        if isinstance(reply, Stream):
            kind = "application/x-ndjson"
            return StreamingResponse(_lines(reply), media_type=kind, headers=_HEADERS)
        return _json(reply)

    def _foreign(self, asked: Any) -> bool:
        """A plan of any file would show whoever has the token what stands in it, in what is wrong
        with it. The socket is for who can read them anyway."""
        file = asked.get("file") if isinstance(asked, dict) else None
        if not isinstance(file, str):
            return False
        folders = {e.file.absolute().parent for e in self._house.deployments.values()}
        return os.path.splitext(file)[1] not in SUFFIXES or (
            Path(os.path.normpath(file)).parent not in folders
        )


async def _lines(stream: Stream) -> AsyncIterator[bytes]:
    try:
        yield dumps(stream.first).encode("utf-8", "replace") + b"\n"
        async with contextlib.aclosing(stream.lines) as lines:
            async for line in lines:
                yield line.encode("utf-8", "replace") + b"\n"
    finally:
        stream.close()


def _json(value: Any, status_code: int = 200) -> Response:
    # With a line end: the verbs read it like the answer of a socket.
    text = dumps(value).encode("utf-8", "replace") + b"\n"
    return Response(text, status_code, _HEADERS, "application/json")


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _json({"error": error.detail}, error.status_code)
    answer.headers.update(error.headers or {})
    return answer
