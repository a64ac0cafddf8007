"""The desk: a deployment made into agents, and the table of live sessions.

It opens calls, keeps their limits, and holds the one reference to the deployment that new
calls read.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.agent import Handoff, RealtimeAgent
from runner.config.load import Loaded
from runner.config.percall import fill, now_text, today_line
from runner.core.events import SessionEvent
from runner.errors import ConfigError, Problem, ToolError
from runner.model.deployment import Deployment
from runner.model.settings import SessionSettings
from runner.session import RealtimeSession
from runner.tasks import Supervisor
from runner.tools.base import Tool
from runner.tools.python import load
from runner.transports.base import AudioSink, RealtimeTransportLayer

Toolbox = Mapping[str, Tool]
Listener = Callable[["Call", SessionEvent], None]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the engine answers. ``api_key`` and ``headers`` in the clear: never print this."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(eq=False, slots=True)
class Call:
    """One live session and what its agents were told of the call."""

    id: str
    session: RealtimeSession
    about: Mapping[str, str]
    started: datetime
    #: The revision whose settings it has; the desk's own may be ahead while a turn runs.
    revision: int = 0
    #: How the call ended, None while it goes on.
    reason: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def load_tools(loaded: Loaded) -> dict[str, Tool]:
    """All tools of a deployment, imported. ConfigError places each that cannot be."""
    tools: dict[str, Tool] = {}
    problems: list[Problem] = []
    for name, spec in loaded.deployment.tools.items():
        try:
            tools[name] = load(spec)
        except ToolError as error:
            problems.append(loaded.problem_at(f"tools.{name}.python", error.message, error.hint))
    if problems:
        raise ConfigError(problems)
    return tools


def build_agents(
    deployment: Deployment, tools: Toolbox, about: Mapping[str, str], now: datetime
) -> dict[str, RealtimeAgent]:
    """The deployment's agents for one call: ``${call.*}`` and ``${now}`` filled in, and the day
    and time told, as of ``now``, so that a reload compares like with like."""
    today = today_line(deployment.timezone, now)
    stamp = now_text(deployment.timezone, now)
    agents: dict[str, RealtimeAgent] = {}
    for name, spec in deployment.agents.items():
        told = fill(spec.instructions, about, stamp)
        agents[name] = RealtimeAgent(
            name=name,
            instructions="\n\n".join(part for part in (told, today) if part),
            tools=[tools[tool] for tool in spec.tools],
            voice=spec.voice,
            greeting=fill(spec.greeting, about, stamp),
        )
    for name, spec in deployment.agents.items():
        agents[name].handoffs = [Handoff(agents[way.to], way.when) for way in spec.handoffs]
    return agents


def session_voice(deployment: Deployment) -> bool:
    """True when the file's session block names a voice: it then stands above the agents' own."""
    node: Any = deployment.document
    for key in ("session", "audio", "output", "voice"):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node is not None


class Desk:
    """Opens and ends the calls of one deployment.

    ``listener(call, event)`` hears every event of every call, in order.
    """

    def __init__(
        self, deployment: Deployment, tools: Toolbox, address: Address, listener: Listener
    ) -> None:
        self.deployment = deployment
        self.tools = tools
        self.revision = 0
        self.calls: dict[str, Call] = {}
        self._address = address
        self._listener = listener
        self._tasks = Supervisor(self._failed)

    def agents(self, call: Call) -> dict[str, RealtimeAgent]:
        """The agents of the deployment in force, as this call is told of them."""
        return build_agents(self.deployment, self.tools, call.about, call.started)

    async def open(
        self,
        *,
        sink: AudioSink | None = None,
        transport: RealtimeTransportLayer | None = None,
        about: Mapping[str, str] | None = None,
        settings: SessionSettings | None = None,
    ) -> Call:
        """Put one call on the line and greet. ConnectError when the engine refuses.

        ``settings`` replaces the deployment's session block (typed mode has no audio)."""
        call_id = "call_" + secrets.token_hex(8)
        about = {"id": call_id, "from": "local", "to": self.deployment.name, **(about or {})}
        started = datetime.now().astimezone()
        deployment = self.deployment
        agents = build_agents(deployment, self.tools, about, started)
        agent = agents[deployment.entry]
        session = RealtimeSession(
            agent,
            transport=transport or deployment.transport.type,
            model=deployment.model,
            config=settings or deployment.session,
            own_voice=session_voice(deployment),
            sink=sink,
        )
        call = Call(call_id, session, about, started, self.revision)
        session.on("*", lambda event: self._heard(call, event))
        self.calls[call_id] = call
        try:
            await session.connect(
                api_key=self._address.api_key,
                url=self._address.url,
                headers=self._address.headers,
            )
        except BaseException:
            self.calls.pop(call_id, None)
            raise
        if agent.greeting:
            session.say(agent.greeting, purpose="greeting")
        self._tasks.spawn(self._watch_limit(call), f"limit of {call_id}")
        return call

    async def hang_up(self, call: Call, reason: str = "hung up") -> None:
        call.reason = call.reason or reason
        await call.session.close(reason)

    async def close(self, reason: str = "stopped") -> None:
        """End every call and stop."""
        for call in tuple(self.calls.values()):
            await self.hang_up(call, reason)
        await self._tasks.close()

    def _heard(self, call: Call, event: SessionEvent) -> None:
        if event.type == "connection_change" and event.status == "disconnected":  # type: ignore[union-attr]
            call.reason = call.reason or event.reason or "closed"  # type: ignore[union-attr]
            self.calls.pop(call.id, None)
            call.ended.set()
        elif event.type == "settings_applied":
            call.revision = event.revision  # type: ignore[union-attr]
        self._listener(call, event)

    async def _watch_limit(self, call: Call) -> None:
        # Read anew each second: an edited limit counts for calls that run already.
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not call.ended.is_set():
            limit = self.deployment.limits.duration
            left = None if limit is None else begun + limit - loop.time()
            if left is not None and left <= 0:
                await self.hang_up(call, "duration limit")
                return
            try:
                async with asyncio.timeout(1.0 if left is None else min(1.0, left)):
                    await call.ended.wait()
            except TimeoutError:
                continue

    def _failed(self, name: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{name} failed", "exception": error}
        )
