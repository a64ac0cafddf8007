"""One call in a Worker: a session of the deployment on whichever line leads to its caller."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from runner.errors import UserError
from runner.model.deployment import Deployment
from runner.model.settings import SessionSettings
from runner.session import RealtimeSession
from runner.staff import build_agents, session_voice
from runner.tasks import Supervisor
from runner.transports.attached import for_a_phone
from runner.transports.base import ConnectOptions, RealtimeTransportLayer
from runner.transports.cloudflare import CloudflareRealtimeTransport
from runner.transports.twilio_phone import TwilioPhone
from runner.worker.phone import AttachedLine
from runner.worker.tools import Tools

OPENAI_URL = "wss://api.openai.com/v1/realtime"


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the model answers. The key and the headers stand here in the clear."""

    url: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def engine_of(deployment: Deployment, bindings: Callable[[str], str | None]) -> Engine:
    """UserError when there is no key, or when it would run here itself."""
    spec = deployment.engine
    if spec.type == "local":
        raise UserError("the local engine does not run in a Worker")
    openai_key = bindings("OPENAI_API_KEY")
    if spec.type != "url":
        if not openai_key:
            raise UserError(
                "the Worker has no OPENAI_API_KEY", "wrangler secret put OPENAI_API_KEY"
            )
        return Engine(OPENAI_URL, openai_key)
    parts = urlsplit(spec.url or "")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    host = parts.hostname or ""
    if scheme not in ("ws", "wss") or not host:
        raise UserError("the engine's url is no address", "such as wss://host/v1/realtime")
    path = parts.path if parts.path not in ("", "/", "/v1", "/v1/") else "/v1/realtime"
    # The key of OpenAI goes to OpenAI alone.
    ours = host == "openai.com" or host.endswith(".openai.com")
    key = spec.api_key.reveal() if spec.api_key else (openai_key or "" if ours else "")
    headers = {name: value.reveal() for name, value in spec.headers.items()}
    return Engine(parts._replace(scheme=scheme, path=path).geturl(), key, headers)


class PhoneLine(TwilioPhone, CloudflareRealtimeTransport):
    """A call by Twilio Media Streams, to a model that is reached by ``fetch``."""


class Call:
    """A session until it ends. ``about`` has ``from`` and ``to``; of a phone call that the
    service holds ``id`` too, by which it is attached to."""

    def __init__(
        self,
        deployment: Deployment,
        tools: Tools,
        engine: Engine,
        line: RealtimeTransportLayer,
        about: Mapping[str, str],
        failed: Callable[[str], None],
    ) -> None:
        self.id = about.get("id") or "call_" + secrets.token_hex(8)
        self.attached = isinstance(line, AttachedLine)
        #: It ended because the line to the model broke, and nobody has told the phone.
        self.lost = False
        self.ended = asyncio.Event()
        self._deployment, self._engine, self._failed = deployment, engine, failed
        self._tasks = Supervisor(lambda name, error: failed(f"{name}: {error}"))
        about = {"from": "", "to": deployment.name, **about, "id": self.id}
        agents = build_agents(deployment, tools, about, datetime.now(timezone.utc))  # noqa: UP017
        settings: SessionSettings = deployment.session
        if self.attached:
            settings = for_a_phone(settings)
        if line.audio_format is not None:
            fmt = {"format": dict(line.audio_format)}
            settings = settings.merged({"audio": {"input": fmt, "output": fmt}})
        self.session = RealtimeSession(
            agents[deployment.entry],
            transport=line,
            model=deployment.model,
            config=settings,
            own_voice=session_voice(deployment),
            agents=agents,
            guardrails=tools.guardrails,
            silence=deployment.silence,
        )
        self.session.on("connection_change", self._changed)
        self.session.on("error", lambda event: failed(f"{self.id}: {event.message}"))

    @property
    def address(self) -> ConnectOptions:
        """Where the model has this call."""
        engine, attach = self._engine, self.id if self.attached else None
        return ConnectOptions(engine.api_key or None, engine.url, None, attach, engine.headers)

    async def open(self) -> None:
        """Connect and greet. ConnectError when the model is not to be had, CallOver when a phone
        call is over."""
        to = self.address
        try:
            await self.session.connect(
                api_key=to.api_key, url=to.url, call_id=to.call_id, headers=to.headers
            )
        except BaseException:
            self.ended.set()
            raise
        limit = self._deployment.limits.duration
        if limit is not None:
            self._tasks.spawn(self._end_after(limit), f"limit of {self.id}")

    async def _end_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.session.end("duration limit")

    def _changed(self, event: Any) -> None:
        if event.status == "disconnected":
            self.lost = event.lost
            self.ended.set()

    async def until_ended(self) -> None:
        await self.ended.wait()
        await self.session.close()
        await self._tasks.close()
