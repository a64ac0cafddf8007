"""The embedded engine: one starlette application, WebSocket and REST on one port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.audio.formats import PCM16, AudioFormat
from runner.engine.ports import Brain, Models
from runner.engine.server.callrest import CallRest
from runner.engine.server.calls import Call, Calls
from runner.engine.server.connection import Connection
from runner.engine.server.options import EngineOptions
from runner.engine.server.outbox import DeadPeer
from runner.engine.server.rest import Rest, json, no_such_call, on_crash, on_http_error, problem
from runner.engine.server.secrets import Bound, ClientSecrets, admitted
from runner.engine.sip.exchange import Exchange
from runner.engine.sip.options import SipOptions
from runner.engine.sip.rest import PhoneRest
from runner.listening import Server
from runner.tasks import Supervisor

log = logging.getLogger("runner.engine")

Receive = Callable[[], Awaitable[str | bytes | None]]

MAX_MESSAGE = 16 * 1024 * 1024  # an append may hold 15 MiB (OpenAI's reference)


class Engine:
    """``models`` None: text sessions only, and ``no_speech`` says why in one sentence. With
    ``sip`` it is a telephone besides."""

    def __init__(
        self,
        options: EngineOptions,
        brain: Brain,
        models: Models | None,
        no_speech: str = "",
        sip: SipOptions | None = None,
    ) -> None:
        self.options = options
        self.brain = brain
        self.models = models
        self.no_speech = no_speech
        self.sessions = 0
        self.secrets = ClientSecrets()
        self.calls = Calls()
        self.exchange = None if sip is None else Exchange(sip, self.calls, self._call, self._busy)
        phones = None if self.exchange is None else PhoneRest(self.exchange)
        self.callrest = CallRest(
            options.key, self.secrets, self.calls, self._call, self._full, phones
        )
        rest = Rest(options.key, models, no_speech)
        self.app = Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/v1/models", rest.guarded(rest.list_models)),
                Route("/v1/models/{model}", rest.guarded(rest.get_model)),
                Route("/v1/audio/speech", rest.guarded(rest.speech), methods=["POST"]),
                Route(
                    "/v1/realtime/client_secrets",
                    rest.guarded(self.secrets.create),
                    methods=["POST"],
                ),
                Route("/v1/realtime/calls", self.callrest.offer, methods=["POST", "OPTIONS"]),
                *(
                    Route(
                        f"/v1/realtime/calls/{{call_id}}/{verb}", rest.guarded(do), methods=["POST"]
                    )
                    for verb, do in self.callrest.verbs().items()
                ),
                WebSocketRoute("/v1/realtime", self._realtime),
                WebSocketRoute("/{path:path}", self._no_such_socket),
            ],
            exception_handlers={HTTPException: on_http_error, Exception: on_crash},
        )

    async def _health(self, request: Request) -> Response:
        return json(
            {
                "status": "ok",
                "brain": self.brain.name,
                "voice": self.models is not None,
                "sessions": self.sessions,
                "max_sessions": self.options.max_sessions,
            }
        )

    async def _no_such_socket(self, socket: WebSocket) -> None:
        refused = problem(404, f"Invalid URL ({socket.url.path})", code="unknown_url")
        await socket.send_denial_response(refused)

    async def _realtime(self, socket: WebSocket) -> None:
        protocols = socket.scope.get("subprotocols") or []
        bound, refused = admitted(self.options.key, self.secrets, socket.headers, protocols)
        refused = refused or self._refusal(socket, bound)
        if refused is not None:
            await socket.send_denial_response(refused)
            return
        call = self.calls.find(socket.query_params.get("call_id", ""))
        self.sessions += call is None
        try:
            # Browsers offer `realtime` beside their key, and fail unless it is chosen.
            await socket.accept("realtime" if "realtime" in protocols else None)
            if call is None:
                await self._serve(socket, self._connection(socket, bound).run)
            else:
                await self._serve(socket, partial(self._control, call, socket))
        finally:
            self.sessions -= call is None

    def _refusal(self, socket: WebSocket, bound: Bound | None) -> Response | None:
        call_id = socket.query_params.get("call_id")
        if call_id is not None:
            if bound is not None:
                words = "A client secret opens calls; to attach to one takes the server's key."
                return problem(403, words, code="server_key_required")
            if self.calls.find(call_id) is not None:
                return None
            return no_such_call()
        return self._full()

    def _busy(self, more: int = 0) -> bool:
        """``more``: calls that are not in the table yet."""
        return self.sessions + len(self.calls) + more >= self.options.max_sessions

    def _full(self) -> Response | None:
        if self._busy():
            return problem(
                503,
                f"All {self.options.max_sessions} sessions of this engine are in use.",
                code="session_limit_reached",
            )
        return None

    def _call(
        self, call: Call, model: str | None, session: dict[str, Any], media: AudioFormat = PCM16
    ) -> Connection:
        """The session of a call whose media runs through here."""
        return Connection(
            self.options,
            self.brain,
            self.models,
            self.no_speech,
            model=model,
            kind="realtime",
            send=call.send,
            session=session,
            media=media,
        )

    async def _control(self, call: Call, socket: WebSocket, receive: Receive) -> None:
        stall = self.options.stall_seconds
        await call.control(receive, socket.send_text, stall, self.callrest.tasks)

    def _connection(self, socket: WebSocket, bound: Bound | None) -> Connection:
        session = {} if bound is None else dict(bound.session)
        transcription = (
            socket.query_params.get("intent") == "transcription"
            or session.get("type") == "transcription"
        )
        return Connection(
            self.options,
            self.brain,
            self.models,
            self.no_speech,
            model=socket.query_params.get("model") or session.pop("model", None),
            kind="transcription" if transcription else "realtime",
            send=socket.send_text,
            session=session,
        )

    async def _serve(
        self, socket: WebSocket, run: Callable[[Receive], Coroutine[Any, Any, None]]
    ) -> None:
        code, reason = 1000, ""
        try:
            await run(_receiver(socket))
        except WebSocketDisconnect:
            return
        except DeadPeer as dead:
            log.warning("a client was let go: %s", dead)
            _abort(socket)
            return
        except Exception:
            log.exception("a session ended by an error of the engine")
            code, reason = 1011, "internal error"
        try:
            async with asyncio.timeout(1):
                await socket.close(code, reason)
        except (TimeoutError, RuntimeError, WebSocketDisconnect):
            pass  # it went first

    # -- serving ----------------------------------------------------------------------------

    async def serve(
        self,
        listener: socket.socket,
        on_ready: Callable[[int], None],
        stopped: asyncio.Event,
    ) -> None:
        """Serve on a bound socket until ``stopped``; ``on_ready(port)`` when it accepts. InputError
        when there is no line to be had for the telephone."""
        if self.exchange is not None:
            await self.exchange.open()
        config = uvicorn.Config(
            self.app,
            ws="websockets-sansio",
            ws_max_size=MAX_MESSAGE,
            ws_per_message_deflate=False,  # audio does not shrink, and the CPU is for the models
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
        )
        server = Server(config, lambda: on_ready(listener.getsockname()[1]))
        tasks = Supervisor(lambda name, error: log.error("%s: %r", name, error))
        watch = tasks.spawn(_then(stopped, server.leave), "stop")
        try:
            await server.serve(sockets=[listener])
        finally:
            watch.cancel()
            if self.exchange is not None:
                await self.exchange.close()
            await self.callrest.close()
            await tasks.close()


async def _then(event: asyncio.Event, act: Callable[[], None]) -> None:
    await event.wait()
    act()


def _abort(socket: WebSocket) -> None:
    """End the connection of a peer that does not read.

    A close would wait until what is in the transport's buffer was read, which is never, and hold
    the descriptor for as long. ASGI has no word for this; uvicorn's protocol has the transport.
    """
    protocol = getattr(socket._receive, "__self__", None)
    abort = getattr(getattr(protocol, "transport", None), "abort", None)
    if abort is not None:
        abort()


def _receiver(socket: WebSocket) -> Receive:
    async def receive() -> str | bytes | None:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    return receive
