"""The embedded engine: one starlette application, WebSocket and REST on one port."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.engine.ports import Brain, Models
from runner.engine.server.auth import allowed, presented_key, refusal
from runner.engine.server.connection import Connection
from runner.engine.server.options import EngineOptions
from runner.engine.server.outbox import DeadPeer
from runner.engine.server.rest import Rest, json, on_crash, on_http_error, problem
from runner.engine.server.secrets import PREFIX, Bound, ClientSecrets
from runner.listening import Server
from runner.tasks import Supervisor

log = logging.getLogger("runner.engine")

MAX_MESSAGE = 16 * 1024 * 1024  # an append may hold 15 MiB (OpenAI's reference)


class Engine:
    """``models`` None: text sessions only, and ``no_speech`` says why in one sentence."""

    def __init__(
        self, options: EngineOptions, brain: Brain, models: Models | None, no_speech: str = ""
    ) -> None:
        self.options = options
        self.brain = brain
        self.models = models
        self.no_speech = no_speech
        self.sessions = 0
        self.secrets = ClientSecrets()
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
        presented = presented_key(socket.headers, socket.scope.get("subprotocols") or [])
        bound = self.secrets.find(presented)
        refused = self._refusal(socket, presented, bound)
        if refused is not None:
            await socket.send_denial_response(refused)
            return
        protocols = socket.scope.get("subprotocols") or []
        self.sessions += 1
        try:
            # Browsers offer `realtime` beside their key, and fail unless it is chosen.
            await socket.accept("realtime" if "realtime" in protocols else None)
            await self._serve(socket, bound)
        finally:
            self.sessions -= 1

    def _refusal(self, socket: WebSocket, presented: str, bound: Bound | None) -> Response | None:
        # A secret that is none, or has expired, opens nothing, an engine without a key included.
        ephemeral = presented.startswith(PREFIX)
        if bound is None and (ephemeral or not allowed(self.options.key, presented)):
            code, message = refusal(presented)
            return problem(401, message, code=code)
        call_id = socket.query_params.get("call_id")
        if call_id is not None:
            return problem(
                404, f"No call found with id '{call_id}'", code="call_id_not_found", param="call_id"
            )
        if self.sessions >= self.options.max_sessions:
            return problem(
                503,
                f"All {self.options.max_sessions} sessions of this engine are in use.",
                code="session_limit_reached",
            )
        return None

    async def _serve(self, socket: WebSocket, bound: Bound | None) -> None:
        session = {} if bound is None else dict(bound.session)
        transcription = (
            socket.query_params.get("intent") == "transcription"
            or session.get("type") == "transcription"
        )
        connection = Connection(
            self.options,
            self.brain,
            self.models,
            self.no_speech,
            model=socket.query_params.get("model") or session.pop("model", None),
            kind="transcription" if transcription else "realtime",
            send=socket.send_text,
            session=session,
        )
        code, reason = 1000, ""
        try:
            await connection.run(_receiver(socket))
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
        """Serve on a bound socket until ``stopped``; ``on_ready(port)`` when it accepts."""
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


def _receiver(socket: WebSocket) -> Callable[[], asyncio.Future[str | bytes | None]]:
    async def receive() -> str | bytes | None:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    return receive  # type: ignore[return-value]
