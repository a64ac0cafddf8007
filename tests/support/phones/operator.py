"""Who decides on the engine's telephone calls in a test: the far end of the webhook.

``Operator`` verifies each announcement with OpenAI's own package, and asks the engine over REST.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from openai import OpenAI
from support.engine import Puppet, Serving, speech_models
from support.until import until_sync

from runner.engine.app import Engine
from runner.engine.ports import Brain
from runner.engine.server.options import EngineOptions
from runner.engine.sip.options import SipOptions

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
SESSION = {
    "type": "realtime",
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad"},
            "transcription": {"model": "gpt-4o-mini-transcribe"},
        }
    },
}


class Operator:
    """``decide(operator, call_id)`` runs for each call in a thread of its own. ``status`` is what
    the webhook answers, the first ones first."""

    def __init__(self) -> None:
        self.decide: Callable[[Operator, str], object] = lambda operator, call_id: None
        self.status: list[int] = []
        self.announced: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.failed: list[str] = []
        self.api = httpx.Client(headers={"Authorization": "Bearer key"}, timeout=15)
        operator = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                operator._announced(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.webhook = f"http://127.0.0.1:{self._server.server_port}/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, name="webhook")
        self._thread.start()

    def _announced(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = dict(handler.headers.items())
        event: Any = None
        try:
            event = OpenAI(api_key="x").webhooks.unwrap(body, headers, secret=SECRET)
        except Exception as error:
            self.failed.append(repr(error))
        self.ids.append(headers.get("webhook-id", ""))
        status = self.status.pop(0) if self.status else 200
        handler.send_response(status if event is not None else 401)
        handler.end_headers()
        if event is not None and status == 200:
            self.announced.append(event.to_dict())
            call_id = event.data.call_id
            threading.Thread(target=self.decide, args=(self, call_id), name="decide").start()

    def post(self, call_id: str, verb: str, body: Any = None) -> httpx.Response:
        return self.api.post(f"{self.http}/realtime/calls/{call_id}/{verb}", json=body)

    http = ""

    def accept(self, call_id: str, **session: Any) -> httpx.Response:
        return self.post(call_id, "accept", {**SESSION, **session})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.api.close()


class Exchange:
    """An engine that answers the phone, and who decides for it."""

    def __init__(self, operator: Operator, serving: Serving) -> None:
        self.operator = operator
        self.serving = serving
        assert serving.engine.exchange is not None
        self.dial = serving.engine.exchange.dial
        self.dial_tls = serving.engine.exchange.dial_tls

    @property
    def calls(self) -> int:
        return len(self.serving.engine.calls)

    def at_once(self, call_id: str, key: str) -> None:
        """The phone's key and its BYE, as they come in one piece of TCP: nothing between them."""
        exchange, loop = self.serving.engine.exchange, self.serving.loop
        assert exchange is not None
        assert loop is not None
        phone = exchange._by_id[call_id]

        def heard() -> None:
            phone.port.on_digit(key)
            exchange._gone(phone, "the caller hung up")

        loop.call_soon_threadsafe(heard)

    def empty(self) -> None:
        """Wait until nothing is left of any call."""
        exchange = self.serving.engine.exchange
        assert exchange is not None
        until_sync(lambda: not (self.calls or exchange._phones or exchange._arriving))


@contextmanager
def telephone(
    brain: Brain | None = None, *, sessions: int = 64, **options: Any
) -> Iterator[Exchange]:
    """An engine with speech and a telephone on free ports. ``options`` are SipOptions'."""
    operator = Operator()
    sip = SipOptions(webhook=operator.webhook, secret=SECRET, **options)
    engine = Engine(
        EngineOptions(key="key", max_sessions=sessions), brain or Puppet(), speech_models(), sip=sip
    )
    serving = Serving(engine)
    operator.http = serving.http
    try:
        yield Exchange(operator, serving)
    finally:
        serving.close()
        operator.close()
        assert operator.failed == []
