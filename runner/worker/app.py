"""The Worker itself: its four routes, and which deployment the next call has."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from runner.codec import dumps, loads
from runner.errors import CallOver, RtrunError, UserError
from runner.model.deployment import Deployment
from runner.model.phone import Incoming
from runner.signatures import webhook_signed
from runner.tasks import Supervisor
from runner.transports.twilio_signature import twilio_signed
from runner.worker.calls import Call, Engine, PhoneLine, engine_of
from runner.worker.deployment import KEY, deployment_of
from runner.worker.javascript import (
    Asked,
    ServerSocket,
    asked,
    bindings_of,
    ffi,
    js,
    namespace_of,
    pair,
    response,
    switched,
)
from runner.worker.page import Page, PageLine
from runner.worker.phone import AttachedLine, accept, hang_up
from runner.worker.tools import Tools, tools_of

NAMESPACE = "RTRUN_CONFIG"
MOST_BODY = 256 * 1024
START_SECONDS = 10.0
#: A call that was just accepted may not be there to attach to yet.
ATTACH_SECONDS = 3.0
ATTACH_PAUSE = 0.2
#: Webhooks that were answered here, so that one told twice takes no call twice.
_REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Serving:
    """A deployment ready for calls; ``origin`` is where it came from: bundle or kv."""

    deployment: Deployment
    tools: Tools
    engine: Engine
    revision: str
    origin: str


class App:
    """``compiled`` is what was built into the Worker, ``home`` the folder of its Python files."""

    def __init__(self, compiled: Mapping[str, Any], home: Path) -> None:
        self._compiled = compiled
        self._home = home
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._tasks = Supervisor(
            lambda name, error: _log(f"{name}: {type(error).__name__}: {error}")
        )
        #: The newest that came from KV and cannot be used, told once.
        self._told = ""

    async def fetch(self, request: Any, env: Any, ctx: Any) -> Any:
        """The answer to one request, a Response of JavaScript."""
        what = await asked(request, MOST_BODY)
        if what is None:
            return response(413, "too long")
        path = urlsplit(what.url).path.rstrip("/") or "/"
        routes: dict[str, Callable[[Asked, Any, Any], Awaitable[Any]]] = {
            "/healthz": self._health,
            "/ws": self._page,
            "/twilio": self._twilio,
            "/sip/webhook": self._webhook,
        }
        route = routes.get(path)
        if route is None:
            return response(404, "there is nothing here")
        try:
            return await route(what, env, ctx)
        except RtrunError as error:
            _log(f"{path}: {error}")
            return response(503, "not ready: the Worker's log says why")

    async def serving(self, env: Any) -> Serving:
        """What the next call has: of KV when it is bound and good, else what was built in."""
        namespace = namespace_of(env, NAMESPACE)
        text = ""
        if namespace is not None:
            try:
                text = await namespace.get(KEY) or ""
                text = text if isinstance(text, str) else ""
                if text:
                    return self._made(self._pushed(text), env, "kv")
            except (RtrunError, ValueError, KeyError, TypeError, ffi().JsException) as error:
                if text != self._told or not text:
                    self._told = text
                    _log(f"what is in {NAMESPACE} cannot be used, so the built one is: {error}")
        return self._made(self._compiled, env, "bundle")

    def _pushed(self, text: str) -> Mapping[str, Any]:
        pushed: Mapping[str, Any] = loads(text)
        code = self._compiled["code"]
        if any(code.get(file) != digest for file, digest in pushed["code"].items()):
            raise UserError("its Python code is not the one in this Worker", "build and deploy it")
        return pushed

    def _made(self, compiled: Mapping[str, Any], env: Any, origin: str) -> Serving:
        bindings = bindings_of(env)
        deployment = deployment_of(compiled, bindings, self._home)
        engine = engine_of(deployment, bindings)
        return Serving(deployment, tools_of(deployment), engine, compiled["revision"], origin)

    # -- the routes ------------------------------------------------------------------------
    async def _health(self, what: Asked, env: Any, ctx: Any) -> Any:
        now = await self.serving(env)
        told = {"ok": True, "name": now.deployment.name, "revision": now.revision}
        return response(200, dumps({**told, "from": now.origin}), "application/json")

    async def _page(self, what: Asked, env: Any, ctx: Any) -> Any:
        if not what.upgrades:
            return response(426, "this is a WebSocket")
        if not _may_call(what, bindings_of(env)):
            return response(403, "not from here")
        now = await self.serving(env)
        offered = [p.strip() for p in what.headers.get("sec-websocket-protocol", "").split(",")]
        theirs, ours = pair()
        self._spawn(self._relay(now, ours), "a page", ctx)
        return switched(theirs, "realtime" if "realtime" in offered else "")

    async def _relay(self, now: Serving, socket: ServerSocket) -> None:
        call = self._call(now, PageLine(socket), {"from": "web"})
        if not await self._open(call, socket):
            return
        page = self._tasks.spawn(Page(socket, call.session).run(), f"page of {call.id}")
        ended = self._tasks.spawn(call.ended.wait(), f"end of {call.id}")
        await asyncio.wait((page, ended), return_when=asyncio.FIRST_COMPLETED)
        call.ended.set()
        await call.until_ended()
        await socket.close()

    async def _twilio(self, what: Asked, env: Any, ctx: Any) -> Any:
        token = bindings_of(env)("TWILIO_AUTH_TOKEN")
        if not token:
            raise UserError("the Worker has no TWILIO_AUTH_TOKEN", "wrangler secret put it")
        signature = what.headers.get("x-twilio-signature", "")
        if not twilio_signed(token, signature, what.url, what.body):
            return response(403, "the signature is not Twilio's")
        if not what.upgrades:
            return response(200, _twiml(what), "text/xml; charset=utf-8")
        now = await self.serving(env)
        theirs, ours = pair()
        self._spawn(self._phone(now, ours), "a phone call", ctx)
        return switched(theirs)

    async def _phone(self, now: Serving, socket: ServerSocket) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                about = await _who_calls(socket)
        except (TimeoutError, EOFError):
            await socket.close(1002, "no start")
            return
        call = self._call(now, PhoneLine(socket), about)
        if await self._open(call, socket):
            await call.until_ended()
            await socket.close()  # after a stop Twilio waits for it

    async def _webhook(self, what: Asked, env: Any, ctx: Any) -> Any:
        secret = bindings_of(env)("OPENAI_WEBHOOK_SECRET")
        if not secret:
            raise UserError("the Worker has no OPENAI_WEBHOOK_SECRET", "wrangler secret put it")
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        hook, stamp, signatures = (what.headers.get(name, "") for name in names)
        if not webhook_signed(secret, hook, stamp, signatures, what.body, time.time()):
            return response(400, "the signature is not valid")
        try:
            event = loads(what.body)
            wanted = event["type"] == "realtime.call.incoming"
            call_id = event["data"]["call_id"] if wanted else ""
            if wanted and not (isinstance(call_id, str) and call_id):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            return response(400, "this is no event")
        if not wanted or hook in self._seen:
            return response(200)
        self._seen[hook] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        try:
            now = await self.serving(env)
            about = _who_rings(call_id, event)
            call = self._call(now, AttachedLine(), about)
            await accept(call.address, await call.session.initial_session_config())
        except CallOver:
            return response(200)  # the caller has hung up meanwhile
        except BaseException:
            self._seen.pop(hook, None)  # the service tells it again
            raise
        self._spawn(self._follow(now, about), f"call {call_id}", ctx)
        return response(200)

    async def _follow(self, now: Serving, about: Mapping[str, str]) -> None:
        """A phone call that was taken, to its end. A caller whom nobody follows any more is hung
        up: the model would go on without its tools."""
        ends = time.monotonic() + ATTACH_SECONDS
        while True:
            call = self._call(now, AttachedLine(), about)
            try:
                await call.open()
                break
            except CallOver:  # perhaps it was accepted a moment ago, and is not known yet
                if time.monotonic() >= ends:
                    return _log(f"{call.id}: the caller hung up before the call was taken")
                await asyncio.sleep(ATTACH_PAUSE)
            except RtrunError as error:
                _log(f"{call.id}: {error}")
                return await self._hang_up(call)
        await call.until_ended()
        if call.lost:
            await self._hang_up(call)

    async def _hang_up(self, call: Call) -> None:
        try:
            await hang_up(call.address)
        except RtrunError as error:
            _log(f"{call.id}: {error}")

    # -- calls -----------------------------------------------------------------------------
    def _call(self, now: Serving, line: Any, about: Mapping[str, str]) -> Call:
        return Call(now.deployment, now.tools, now.engine, line, about, _log)

    async def _open(self, call: Call, socket: ServerSocket) -> bool:
        try:
            await call.open()
        except RtrunError as error:
            _log(f"{call.id}: {error}")
            await socket.close(1011, "the model cannot be reached")
            return False
        return True

    def _spawn(self, work: Any, name: str, ctx: Any) -> None:
        """A task that the Worker is asked to live for."""
        task = self._tasks.spawn(work, name)

        def until_done(resolve: Any, reject: Any) -> None:
            task.add_done_callback(lambda _: resolve(None))

        ctx.waitUntil(js().Promise.new(ffi().create_once_callable(until_done)))


def _may_call(what: Asked, bindings: Callable[[str], str | None]) -> bool:
    """With RTRUN_WS_TOKEN who brings it (``?token=``); else pages of the Worker's own host."""
    url = urlsplit(what.url)
    if token := bindings("RTRUN_WS_TOKEN"):
        given = parse_qs(url.query).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), token.encode())
    return bool(url.netloc) and urlsplit(what.headers.get("origin", "")).netloc == url.netloc


def _twiml(what: Asked) -> str:
    """Connect the call to the same address by a socket; who calls whom goes with it."""
    form = dict(parse_qsl(what.body.decode("utf-8", "replace")))
    parts = urlsplit(what.url)
    scheme = "ws" if parts.scheme in ("http", "ws") else "wss"
    about = "".join(
        f'<Parameter name="{name.lower()}" value="{escape(form[name])}"/>'
        for name in ("From", "To")
        if name in form
    )
    stream = f'<Stream url="{scheme}://{escape(parts.netloc)}/twilio">{about}</Stream>'
    return f'<?xml version="1.0" encoding="UTF-8"?><Response><Connect>{stream}</Connect></Response>'


async def _who_calls(socket: ServerSocket) -> dict[str, str]:
    """From Twilio's ``start``; what was read for it is read again."""
    read: list[str] = []
    while True:
        text = await socket.receive()
        read.append(text)
        try:
            message = loads(text)
            start = message["start"] if message.get("event") == "start" else None
        except (ValueError, KeyError, AttributeError, TypeError):
            start = None
        if isinstance(start, Mapping):
            socket.put_back(read)
            given = start.get("customParameters") or {}
            return {side: str(given[side]) for side in ("from", "to") if side in given}


def _who_rings(call_id: str, event: Mapping[str, Any]) -> dict[str, str]:
    """From OpenAI's ``realtime.call.incoming``."""
    given = event["data"].get("sip_headers") or ()
    pairs = (h for h in given if isinstance(h, Mapping))
    headers = tuple((str(h.get("name", "")), str(h.get("value", ""))) for h in pairs)
    about = Incoming(call_id, headers).about
    return {name: value for name, value in about.items() if value}


def _log(text: str) -> None:
    js().console.error(f"rtrun: {text}")
