"""The service's side of phone calls, as a double: REST, control sockets, and signed webhooks.

``with PhoneService() as service``: it runs in a thread of its own; ``service.ring(webhook)`` makes
a call that is announced there. What the agent says is whatever ``call.answers`` gives, or the
words of `Say exactly`; nobody has ears or a voice. A real exchange is tested in tests/engine.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from support import playbook
from support.until import until, until_sync

from runner.core.calls import SAY
from runner.listening import Server, listen
from runner.model.settings import merge
from runner.tasks import Supervisor

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
Event = dict[str, Any]


def signed(
    body: bytes, *, id: str, secret: str = SECRET, at: float | None = None
) -> dict[str, str]:
    """The headers of a webhook, ``at`` time.time()."""
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "Content-Type": "application/json",
        "User-Agent": "OpenAI/1.0",
    }


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


class PhoneCall:
    """One call. ``requests`` are the verbs of REST with their bodies, ``received`` the client
    events of all control sockets, ``said`` what the agent said."""

    def __init__(self, service: PhoneService, call_id: str) -> None:
        self.id = call_id
        self.state = "ringing"
        self.session: Event = {"id": f"sess_{call_id}", "object": "realtime.session"}
        self.requests: list[tuple[str, Event]] = []
        self.received: list[Event] = []
        self.said: list[str] = []
        #: Answers to turns that are no `Say exactly`: words, or ``(name, arguments)`` of a tool.
        self.answers: deque[str | tuple[str, Event]] = deque()
        #: Asked for an answer, it says nothing.
        self.silent = False
        self.attached = 0
        self._sockets: list[WebSocket] = []
        self._service = service
        self._number = 0

    # -- what a test does ----------------------------------------------------------------------
    def says(self, text: str) -> None:
        """The caller speaks: the server answers by itself."""
        self._service.do(self._says(text))

    def presses(self, keys: str) -> None:
        for key in keys:
            event = {"type": "input_audio_buffer.dtmf_event_received", "event": key}
            self._service.do(self._tell({**event, "received_at": int(time.time())}))

    def hangs_up(self, code: int = 1000) -> None:
        """The caller's phone is put down: the control sockets close."""
        self._service.do(self._over(code))

    def tells(self, event: Event) -> None:
        """The service says this."""
        self._service.do(self._tell(event))

    def vanishes(self) -> None:
        """The call is over, and nobody tells the control sockets."""
        self.state = "over"

    def drops(self, code: int = 1012) -> None:
        """The control sockets break; the call goes on."""
        self._service.do(self._close(code))

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.requests]

    def until(self, condition: Callable[[], object], deadline: float = 15) -> None:
        try:
            until_sync(condition, deadline)
        except TimeoutError:
            raise AssertionError(
                f"{self.state} {self.requests} said {self.said} "
                f"received {[e['type'] for e in self.received]}"
            ) from None

    def until_said(self, text: str) -> None:
        self.until(lambda: any(text in said for said in self.said))

    # -- the service ---------------------------------------------------------------------------
    async def control(self, socket: WebSocket) -> None:
        await socket.accept()
        self._sockets.append(socket)
        self.attached += 1
        try:
            await socket.send_json({"type": "session.created", "session": self.session})
            while True:
                event = json.loads(await socket.receive_text())
                self.received.append(event)
                await self._answer(event)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            if socket in self._sockets:
                self._sockets.remove(socket)

    async def _answer(self, event: Event) -> None:
        match event["type"]:
            case "session.update":
                self.session = merge(self.session, event["session"])
                await self._tell({"type": "session.updated", "session": self.session})
            case "conversation.item.create":
                item = {"id": self._name("item"), "status": "completed", **event["item"]}
                await self._tell(playbook.item("added", item), playbook.item("done", item))
            case "response.create":
                await self._respond(event.get("response") or {})
            case "output_audio_buffer.clear":
                await self._tell({"type": "output_audio_buffer.cleared", "response_id": ""})

    async def _respond(self, params: Event) -> None:
        if self.silent:
            return
        response = self._name("resp")
        words = str(params.get("instructions") or "")
        answer: str | tuple[str, Event] = (
            words.removeprefix(SAY)
            if words.startswith(SAY)
            else self.answers.popleft()
            if self.answers
            else "Aha."
        )
        await self._tell(playbook.created(response, metadata=params.get("metadata")))
        if isinstance(answer, tuple):
            name, arguments = answer
            call = playbook.function_call(
                self._name("item"), self._name("call"), name, json.dumps(arguments)
            )
            added = {**call, "status": "in_progress", "arguments": ""}
            await self._tell(
                playbook.output_item("added", response, added),
                playbook.output_item("done", response, call),
                playbook.done(response, output=[call]),
            )
            return
        item, text = self._name("item"), answer
        message = playbook.message(item, "completed", text)
        self.said.append(text)
        await self._tell(
            playbook.output_item("added", response, playbook.message(item)),
            {**playbook.part(response, item), "type": "response.content_part.added"},
            {"type": "output_audio_buffer.started", "response_id": response},
            playbook.spoken_done(response, item, text),
            playbook.output_item("done", response, message),
            playbook.done(response, output=[message]),
            {"type": "output_audio_buffer.stopped", "response_id": response},
        )

    async def _says(self, text: str) -> None:
        item = self._name("item")
        await self._tell(
            playbook.speech_started(item),
            playbook.speech_stopped(item),
            playbook.item("added", playbook.user_audio(item)),
            playbook.transcribed(item, text),
        )
        await self._respond({})

    async def _tell(self, *events: Event) -> None:
        for event in events:
            named = {"event_id": self._name("event"), **event}
            for socket in tuple(self._sockets):
                await socket.send_json(named)

    async def _over(self, code: int) -> None:
        self.state = "over"
        await self._close(code)

    async def _close(self, code: int) -> None:
        for socket in tuple(self._sockets):
            self._sockets.remove(socket)
            await socket.close(code)

    def _name(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self.id}_{self._number}"

    async def asked(self, verb: str, body: Event) -> int:
        """A verb of REST: the status of the answer."""
        self.requests.append((verb, body))
        refused = self._service.refuses.get(verb)
        if refused is not None:
            return refused
        if self.state == "over":
            return 404
        if verb == "accept":
            self.state, self.session = "live", merge(self.session, body)
        elif verb == "reject":
            self.state = "over"
        elif verb == "hangup" or (verb == "refer" and self._service.takes_over):
            await self._over(1000)
        return 200


class PhoneService:
    """``url`` is the Realtime address. ``refuses``: verb, or ``control`` for the sockets -> HTTP
    status; 0 says nothing at all. ``takes_over``: whoever is referred to takes the caller."""

    def __init__(self) -> None:
        self.calls: dict[str, PhoneCall] = {}
        self.refuses: dict[str, int] = {}
        self.takes_over = True
        self.keys: set[str] = set()
        #: Control sockets that were asked for.
        self.knocks = 0
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="service")

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def ring(
        self, webhook: str, to: str = "+15550100", sender: str = "+15559999", **headers: str
    ) -> PhoneCall:
        """A phone calls; the webhook was answered with 200."""
        call = PhoneCall(self, f"rtc_{len(self.calls)}x")
        self.calls[call.id] = call
        given = {"From": f"<sip:{sender}@carrier>;tag=1", "To": f"<sip:{to}@service>"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = announced(call.id, given)
        assert post(webhook, body, signed(body, id=f"wh_{call.id}")) == 200
        return call

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def __enter__(self) -> PhoneService:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *error: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        app = Starlette(
            routes=[
                Route("/v1/realtime/calls/{id}/{verb}", self._rest, methods=["POST"]),
                WebSocketRoute("/v1/realtime", self._control),
            ]
        )
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            app, ws="websockets-sansio", lifespan="off", log_config=None, access_log=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = Server(config, self._ready.set)
        failed: list[BaseException] = []
        tasks = Supervisor(lambda name, error: failed.append(error))
        serving = tasks.spawn(server.serve([listener]), "service")
        await self._stop.wait()
        server.leave()
        await asyncio.wait({serving}, timeout=5)
        await tasks.close()
        assert not failed

    async def _rest(self, request: Request) -> Response:
        self.keys.add(request.headers.get("authorization", ""))
        text = await request.body()
        call = self.calls.get(request.path_params["id"])
        status = 404
        if call is not None:
            status = await call.asked(request.path_params["verb"], json.loads(text or b"{}"))
        if status == 200:
            return Response()
        return JSONResponse({"error": _error(status)}, status)

    async def _control(self, socket: WebSocket) -> None:
        call = self.calls.get(socket.query_params.get("call_id", ""))
        self.knocks += 1
        status = self.refuses.get("control")
        if call is None or call.state != "live":
            status = 404
        if status is not None:
            while status == 0:
                await asyncio.sleep(0.02)
                status = self.refuses.get("control", 503)
            await socket.send_denial_response(JSONResponse({"error": _error(status)}, status))
            return
        await call.control(socket)


def _error(status: int) -> Event:
    message, code = {
        404: ("No session found for the provided call_id", "call_id_not_found"),
        429: ("No quota left", "insufficient_quota"),
    }.get(status, ("Something went wrong", "server_error"))
    return {"message": message, "type": "error", "code": code, "param": None}


def announced(call_id: str, headers: dict[str, str]) -> bytes:
    """The body of a webhook."""
    given = [{"name": name, "value": value} for name, value in headers.items()]
    data = {"call_id": call_id, "sip_headers": given}
    event = {"id": f"evt_{call_id}", "object": "event", "type": "realtime.call.incoming"}
    return json.dumps({**event, "created_at": int(time.time()), "data": data}).encode()


__all__ = ["SECRET", "PhoneCall", "PhoneService", "announced", "post", "signed", "until"]
