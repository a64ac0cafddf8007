"""The console's HTTP: one page, its files, its line, and what it asks for.

On loopback alone. A browser of this machine can be made to ask by a page of anywhere, so ``Host``
and ``Origin`` are looked at first; then a cookie that only the printed link is worth; and what
changes something has to come from the page itself. The page has no script and no style but its
own files (Content-Security-Policy), and every text of a call is set as text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from runner.codec import dumps, loads
from runner.core.events import Connection, Interrupted, SessionEvent
from runner.desk import Address, Call
from runner.errors import InputError, RtrunError
from runner.listening import Server, listen
from runner.moving import audio_format
from runner.serve.console.answers import (
    FILES,
    HEADERS,
    NO_ENTRY,
    file_answer,
    json_answer,
    on_error,
    refused,
)
from runner.serve.console.book import Book, Engine
from runner.serve.console.entry import LASTS, Entry, cookie_of, kept_key
from runner.serve.console.meter import Meter
from runner.serve.console.pages import Page
from runner.serve.console.steering import Steering
from runner.serve.console.talk import MOST_BYTES, Ears, Talk
from runner.serve.deployed import Deployed
from runner.serve.door import body_of
from runner.serve.guard import address, is_loopback, own_host, own_origin
from runner.serve.house import House
from runner.serve.mask import Masks
from runner.serve.verbs import Stream, Verbs
from runner.serve.wiretap import From
from runner.tasks import OnFailure, Supervisor

#: Taken when it is free: a page that is open finds the next process there.
PORT = 7787
HOST = "127.0.0.1"
#: Pages at one time.
MOST_PAGES = 16
#: A request of a page; a turn may be a page long.
MOST_REQUEST = 256 * 1024


class Console:
    """``url`` once it is open; :meth:`link` lets one browser in. ``engine(deployed)`` and
    ``address(deployed)`` are None while its file was never valid."""

    def __init__(
        self,
        house: House,
        verbs: Verbs,
        ears: Ears,
        *,
        env: Mapping[str, str],
        engine: Callable[[Deployed], Engine | None],
        address: Callable[[Deployed], Address | None],
        on_failure: OnFailure,
        content: bool = False,
    ) -> None:
        self._house = house
        self._verbs = verbs
        self._masks = Masks(verbs.in_force)
        self._pages: set[Page] = set()
        self._meters: dict[str, Meter] = {}
        self._book = Book(house, self._tell, env=env, engine=engine, content=content)
        self._steering = Steering(house, verbs, self._book)
        self._talk = Talk(ears, address, on_failure)
        self._tasks = Supervisor(on_failure)
        self._entry = Entry(kept_key())
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._away = house.listen(self._heard)
        verbs.wires.sound = self._sounded
        verbs.link = self.link
        self.url = ""
        self._cookie = ""
        self._app = Starlette(
            routes=[
                Route("/", self._home),
                Route("/console", self._index),
                Route("/console/page/{name}", self._file),
                Route("/console/do", self._do, methods=["POST"]),
                Route("/console/calls", self._offer, methods=["POST"]),
                Route("/console/calls/{call_id}/begin", self._begin, methods=["POST"]),
                Route("/console/calls/{call_id}/hangup", self._hang_up, methods=["POST"]),
                WebSocketRoute("/console/live", self._live),
            ],
            exception_handlers={HTTPException: on_error},
        )

    async def open(self, host: str, port: int | None) -> None:
        """``port`` None: the usual one, or any when it is taken. InputError."""
        if not is_loopback(host):
            raise InputError(
                f"--console {host}: the console is for this machine alone",
                "leave the host out; from elsewhere, forward its port by ssh -L",
            )
        hint = "choose another port; 0 takes a free one"
        try:
            listener = listen(host, PORT if port is None else port, hint)
        except InputError:
            if port is not None:
                raise
            listener = listen(host, 0, hint)
        config = uvicorn.Config(
            self._guarded,
            interface="asgi3",
            ws="websockets-sansio",
            ws_max_size=64 * 1024,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        ready = asyncio.Event()
        self._server = Server(config, ready.set)
        self._serving = self._tasks.spawn(self._server.serve([listener]), "the console")
        await ready.wait()
        name, bound = listener.getsockname()[:2]
        self.url = f"http://{f'[{name}]' if ':' in name else name}:{bound}"
        # Browsers keep cookies by name and host, not by port.
        self._cookie = f"rtrun_console_{bound}"

    def link(self) -> str:
        """Lets one browser in, once."""
        return f"{self.url}/console?token={self._entry.token()}"

    async def quiet(self) -> None:
        """Until no turn of a call from a page runs."""
        await self._talk.quiet()

    async def close(self) -> None:
        """Browser calls end, pages see that the line is gone. Idempotent."""
        self._away()
        await self._talk.close()
        self._book.close()
        if self._server is not None and self._serving is not None:
            self._server.leave()
            await asyncio.wait({self._serving}, timeout=2)
            self._server.let_go()
        await self._tasks.close()

    # -- who may ask -----------------------------------------------------------------------------
    async def _guarded(self, scope: Any, receive: Any, send: Any) -> None:
        socket = scope["type"] == "websocket"
        headers = Request({**scope, "type": "http"}).headers
        query = Request({**scope, "type": "http"}).query_params
        no: Response | None = None
        asks = socket or scope.get("method") not in ("GET", "HEAD")
        entering = not socket and scope["path"] == "/console" and "token" in query
        free = scope["path"] == "/" or scope["path"].startswith("/console/page/")
        if not own_host(headers.get("host"), HOST):
            no = json_answer({"ok": False, "error": "the Host is none of this port"}, 403)
        elif not (own_origin(headers) or _followed(scope, headers)) or (
            asks and headers.get("origin") is None
        ):
            no = json_answer({"ok": False, "error": "other pages may not ask"}, 403)
        elif not (entering or free or self._entry.admits(cookie_of(headers, self._cookie))):
            no = file_answer(NO_ENTRY, headers, 401)
            no.headers["WWW-Authenticate"] = 'Cookie realm="rtrun"'
        if no is None:
            await self._app(scope, receive, send)
        elif socket:
            # Before the upgrade: an HTTP answer, as every WebSocket client understands it.
            code = 4401 if no.status_code == 401 else 4403
            await WebSocket(scope, receive, send).close(code)
        else:
            await no(scope, receive, send)

    # -- files -----------------------------------------------------------------------------------
    async def _home(self, request: Request) -> Response:
        return RedirectResponse("/console", 303, {"Cache-Control": "no-store"})

    async def _index(self, request: Request) -> Response:
        token = request.query_params.get("token")
        if token is None:
            return file_answer("index.html", request.headers)
        cookie = self._entry.spend(token)
        if cookie is None and not self._entry.admits(cookie_of(request.headers, self._cookie)):
            return file_answer(NO_ENTRY, request.headers, 401)
        answer = RedirectResponse("/console", 303, {"Cache-Control": "no-store"})
        answer.headers["Referrer-Policy"] = "no-referrer"
        if cookie is not None:
            answer.set_cookie(
                self._cookie, cookie, max_age=LASTS, path="/console", httponly=True,
                samesite="strict",
            )  # fmt: skip
        return answer

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in {file.name for file in FILES.iterdir()} or name.endswith(".html"):
            raise HTTPException(404, "there is no such file")
        return file_answer(name, request.headers)

    # -- the page's line -------------------------------------------------------------------------
    async def _live(self, socket: WebSocket) -> None:
        if len(self._pages) >= MOST_PAGES:
            await socket.close(4429, f"{MOST_PAGES} pages are open already")
            return
        await socket.accept()
        page = Page(socket, self._whole, self._watch, self._meters.get, self._tasks)
        page.id = socket.query_params.get("page", "")[:64]
        self._pages.add(page)
        self._talk.page_came(page.id)
        try:
            await page.run()
        finally:
            self._pages.discard(page)
            self._talk.page_left(page.id)

    def _whole(self) -> str:
        whole = self._book.whole()
        for kind in ("deployments", "calls"):
            whole[kind] = [self._masks(row["deployment"], row) for row in whole[kind]]
        return dumps({"is": "all", **whole})

    def _tell(self, name: str, message: Mapping[str, Any]) -> None:
        if self._pages:
            text = dumps(self._masks(name, message))
            for page in self._pages:
                page.put(text)

    async def _watch(self, session: str) -> Stream | None:
        reply = await self._verbs.answer({"do": "tail", "session": session, "raw": True})
        if not isinstance(reply, Stream):
            return None
        self._meters.setdefault(session, Meter())
        return reply

    # -- levels ----------------------------------------------------------------------------------
    def _heard(self, of: Deployed, call: Call, event: SessionEvent) -> None:
        meter = self._meters.get(call.id)
        if meter is not None and isinstance(event, Interrupted):
            meter.flush()
        elif meter is not None and isinstance(event, Connection) and event.status == "disconnected":
            del self._meters[call.id]

    def _sounded(self, session: str, side: From, data: bytes) -> None:
        meter = self._meters.get(session)
        for deployed in self._house.deployments.values() if meter is not None else ():
            call = None if deployed.desk is None else deployed.desk.calls.get(session)
            if call is not None and meter is not None:
                settings = call.session.settings
                if side == "client":
                    meter.caller(data, audio_format(settings, "input"))
                else:
                    meter.agent(data, audio_format(settings, "output"))

    # -- what a page asks for --------------------------------------------------------------------
    async def _do(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return json_answer({"ok": False, "error": "the request is no application/json"}, 415)
        body = await body_of(request, MOST_REQUEST)
        if isinstance(body, Response):
            return body
        try:
            asked = loads(body)
        except ValueError:
            return json_answer({"ok": False, "error": "the request is not JSON"}, 400)
        reply = await self._steering.answer(asked)
        return json_answer(reply, 200 if reply.get("ok") else 409)

    async def _offer(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/sdp":
            return json_answer({"ok": False, "error": "an offer is application/sdp"}, 415)
        body = await body_of(request, MOST_BYTES)
        if isinstance(body, Response):
            return body
        name = request.query_params.get("deployment", "")
        deployed = self._house.deployments.get(name)
        if deployed is None:
            return json_answer({"ok": False, "error": f"no deployment '{name}' runs here"}, 404)
        if why := self._book.no_talk(deployed):
            return json_answer({"ok": False, "error": why}, 409)
        page = request.query_params.get("page", "")[:64]
        try:
            answer = await self._talk.offer(deployed, body.decode("utf-8", "replace"), page)
        except RtrunError as error:
            return refused(error)
        headers = {**HEADERS, "Location": f"/console/calls/{answer.call_id}"}
        return Response(answer.sdp, 201, headers, "application/sdp")

    async def _begin(self, request: Request) -> Response:
        try:
            call = await self._talk.begin(request.path_params["call_id"])
        except RtrunError as error:
            return refused(error)
        return json_answer({"ok": True, "session": call.id})

    async def _hang_up(self, request: Request) -> Response:
        done = self._talk.hang_up(request.path_params["call_id"])
        return json_answer({"ok": done, **({} if done else {"error": "there is no such call"})})


def _followed(scope: Any, headers: Mapping[str, str]) -> bool:
    """A link that was followed from anywhere: it may show the page, and change nothing."""
    return (
        scope["type"] == "http"
        and scope.get("method") == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


async def open_console(console: Console, spec: str | None, say: Callable[[str], None]) -> None:
    """``spec``: ``[HOST:]PORT``, None for the usual place. Tells the link. InputError."""
    host, port = (HOST, None) if spec is None else address(spec, "--console")
    await console.open(host, port)
    say(f"console: {console.link()}")
