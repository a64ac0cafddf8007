"""The desk: a deployment made into agents, and the table of live sessions.

It opens calls, keeps their limits, and holds the one reference to the deployment that new
calls read.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from runner.agent import RealtimeAgent
from runner.audio.formats import AudioFormat
from runner.call import Call, Fit, Listener, as_is
from runner.core.events import (
    SessionError,
    SessionEvent,
    SettingsApplied,
    SettingsPending,
    SettingsRefused,
)
from runner.errors import NotConnectedError, RtrunError
from runner.excuses import Excuses
from runner.line import Outcome, audio_format
from runner.listeners import report
from runner.model.deployment import Deployment, TransportSpec
from runner.model.prices import cost
from runner.model.records import named
from runner.model.settings import SessionSettings
from runner.moving import Way
from runner.session import RealtimeSession
from runner.staff import Staff, session_voice
from runner.taping import TapedSink, taped
from runner.tasks import Supervisor
from runner.toolbox import Toolbox
from runner.tools.base import ToolServer
from runner.transports.base import AudioSink, RealtimeTransportLayer
from runner.transports.registry import create

#: Seconds for which the servers of an old revision are kept for calls of tools under way.
LONGEST_CALL = 30.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where the engine answers. ``api_key`` and ``headers`` in the clear: never print this."""

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def openai(self) -> bool:
        """Is it OpenAI's service, whose list prices hold?"""
        host = "openai.com" if self.url is None else urlsplit(self.url).hostname or ""
        return host == "openai.com" or host.endswith(".openai.com")


def _ours(transport: RealtimeTransportLayer) -> bool:
    """Does who speaks and hears on this line do so through us?"""
    return transport.playback == "client" and transport.sink is None


def _made(spec: TransportSpec, tools: Toolbox) -> RealtimeTransportLayer:
    """A line of this deployment on this machine. What a Worker opens by fetch is a WebSocket here,
    and who calls a phone's deployment from here is on no phone: its tests are."""
    if tools.transport is not None:
        return tools.transport()
    return create("websocket" if spec.rings or spec.type == "cloudflare" else spec.type)


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
        self._moved = asyncio.Event()
        self._excuses = Excuses(lambda: self.deployment, listener, self._tasks)
        #: Of the version in force, and of the one that takes its place.
        self._staff: deque[Staff] = deque(maxlen=2)
        #: What each transport that was made here was made from.
        self._specs: WeakKeyDictionary[RealtimeTransportLayer, TransportSpec] = WeakKeyDictionary()

    @property
    def live(self) -> tuple[Call, ...]:
        """The calls that are on the line."""
        return tuple(c for c in self.calls.values() if c.opened and not c.ended.is_set())

    def put(self, deployment: Deployment, tools: Toolbox, revision: int) -> None:
        """New calls begin with this from now on."""
        self.deployment, self.tools, self.revision = deployment, tools, revision

    async def give(
        self, call: Call, deployment: Deployment, tools: Toolbox, revision: int
    ) -> Outcome | None:
        """Give a call a version of the deployment: what its server says, None when the call ended
        meanwhile."""
        call.asked = True
        way = self._way(call, deployment, tools)
        try:
            outcome = await call.session.reconfigure(
                self.agents(deployment, tools, call.about, call.started),
                call.fit(deployment.session),
                revision,
                own_voice=session_voice(deployment),
                between_turns=deployment.reload.apply == "between_turns",
                silence=deployment.silence,
                guardrails=tools.guardrails,
                way=way,
            )
        except NotConnectedError:
            if call.ended.is_set() or not call.session.connected:
                return None
            raise
        except Exception as error:  # a fault of ours is a refusal: whoever applies it undoes it
            report(f"revision {revision} in {call.id}", error)
            refused = SettingsRefused(revision, "internal", f"{type(error).__name__}: {error}")
            call.session.emit(refused)
            return refused
        call.asked = False
        return outcome

    def agents(
        self, deployment: Deployment, tools: Toolbox, about: Mapping[str, str], started: datetime
    ) -> dict[str, RealtimeAgent]:
        """What a call has of a version of the deployment."""
        for staff in self._staff:
            if staff.deployment is deployment and staff.tools is tools:
                break
        else:
            staff = Staff(deployment, tools)
            self._staff.append(staff)
        return staff.of(about, started)

    def _way(self, call: Call, deployment: Deployment, tools: Toolbox) -> Way | None:
        """Where a line opened anew for this version of the deployment goes, None when calls keep
        the line that they have."""
        if deployment.reload.in_call != "reconnect" or call.attached or deployment.transport.rings:
            return None
        from runner.media.convert import converter  # numpy, for the few who need it

        spec, transport = deployment.transport, None
        if self._specs.get(call.session.transport, spec) != spec:
            transport = _made(spec, tools)
            self._specs[transport] = spec
            if not (_ours(transport) and _ours(call.session.transport)):
                transport = None  # there is an ear at its other end: the call stays on its line
        return Way(deployment.model, transport, converter)

    async def _catch_up(self, call: Call) -> None:
        while call.revision < (revision := self.revision) and not call.ended.is_set():
            outcome = await self.give(call, self.deployment, self.tools, revision)
            if not isinstance(outcome, SettingsApplied):
                return  # it waits for a turn to end, or whoever applies the revision hears of it

    async def open(
        self,
        *,
        sink: AudioSink | None = None,
        transport: RealtimeTransportLayer | None = None,
        about: Mapping[str, str] | None = None,
        settings: SessionSettings | None = None,
        fit: Fit | None = None,
        started: datetime | None = None,
        attach: str | None = None,
        call_id: str = "",
        agent: str = "",
        greet: bool = True,
    ) -> Call:
        """Put one call on the line and greet. ConnectError when the engine refuses.

        ``attach`` is the id of a call that the engine holds already: the phone's, or a browser's;
        ``call_id`` is what whoever brings the caller calls it, one of ours when empty.
        ``agent`` has the line first, the entry agent when empty; ``greet`` False goes on with a
        call that was greeted.

        ``settings`` replaces the deployment's session block for the whole call, ``fit`` makes of
        it what this call can have (typed mode has no audio), also of an edited one; ``started``
        is when the agents believe the call began, now without it."""
        call_id = attach or call_id or "call_" + secrets.token_hex(8)
        about = {"id": call_id, "from": "local", "to": self.deployment.name, **(about or {})}
        started = started or datetime.now().astimezone()
        deployment = self.deployment
        agents = self.agents(deployment, self.tools, about, started)
        first = agents.get(agent) or agents[deployment.entry]
        line = transport or _made(deployment.transport, self.tools)
        config = settings or (fit or as_is)(deployment.session)
        early: list[str] = []

        def untaped(words: str) -> None:
            if (call := self.calls.get(call_id)) is None:
                early.append(words)
            else:
                self._listener(call, SessionError("recording_failed", words))

        ear = sink or line.sink
        tape = None if attach else await self._tape(call_id, ear, line, config, untaped)
        sink = tape or sink
        session = RealtimeSession(
            first if greet else first.clone(greeting=""),
            transport=line,
            model=deployment.model,
            config=config,
            own_voice=session_voice(deployment),
            sink=sink,
            agents=agents,
            guardrails=self.tools.guardrails,
            silence=deployment.silence,
        )
        call = Call(call_id, session, about, started, self.revision, attached=attach is not None)
        call.sink = sink or session.transport.sink
        call.ear = audio_format(session.settings, "output")
        if tape is not None:
            session.tape, call.recording = tape.hear, tape.file
            self._tasks.spawn(self._record(call, tape), f"the tape of {call_id}")
        self._excuses.prepare(call)
        if transport is None:
            self._specs[session.transport] = deployment.transport
        if settings is not None or fit is not None:
            call.fit = fit or (lambda _: settings or deployment.session)
        session.on("*", lambda event: self._heard(call, event))
        self.calls[call_id] = call
        for words in early:
            untaped(words)
        try:
            async with self._excuses.connecting(call):
                await session.connect(
                    api_key=self._address.api_key,
                    url=self._address.url,
                    call_id=attach,
                    headers=self._address.headers,
                )
        except BaseException as error:
            self.calls.pop(call_id, None)
            if isinstance(error, RtrunError):
                await self._excuses.excuse(call)
            call.ended.set()
            raise
        call.opened = True
        if call.revision < self.revision:
            # It was being connected when the others were given an edit.
            self._tasks.spawn(self._catch_up(call), f"newest revision for {call_id}")
        self._tasks.spawn(self._watch_limit(call), f"limit of {call_id}")
        return call

    async def _tape(
        self,
        call_id: str,
        sink: AudioSink | None,
        line: RealtimeTransportLayer,
        config: SessionSettings,
        failed: Callable[[str], None],
    ) -> TapedSink | None:
        """What records the call, where the deployment wants that and there is a sound."""
        template = self.deployment.records.audio
        if not template or config.get("output_modalities") == ["text"]:
            return None
        wire = line.audio_format
        agent, caller = (
            audio_format(config, side) if wire is None else AudioFormat.from_wire(wire)
            for side in ("output", "input")
        )
        file = self.deployment.source.parent / named(template, call_id)

        return await taped(file, sink, agent, caller, failed)

    async def _record(self, call: Call, tape: TapedSink) -> None:
        try:
            await call.ended.wait()
        finally:
            tape.close()

    async def hang_up(self, call: Call, reason: str = "hung up") -> None:
        call.reason = call.reason or reason
        await call.session.end(reason)

    async def close(self, reason: str = "stopped") -> None:
        """End every call and stop."""
        await asyncio.gather(*(self.hang_up(call, reason) for call in self.calls.values()))
        await self._tasks.close()
        await asyncio.gather(*(server.close() for server in self.tools.servers.values()))

    def retire(self, old: Toolbox) -> None:
        """End the servers of ``old`` that are not used any more, when no call can need them."""
        gone = list(old.without(self.tools))
        if gone:
            self._tasks.spawn(self._retire(gone, self.revision), "servers of an old revision")

    async def _retire(self, servers: list[ToolServer], revision: int) -> None:
        try:
            # A call that has to end its turn first still has the tools it began with.
            while any(call.revision < revision for call in self.calls.values()):
                await self._moved.wait()
            await asyncio.sleep(LONGEST_CALL)
        finally:
            used = {id(server) for server in self.tools.servers.values()}
            for server in servers:
                if id(server) not in used:
                    await server.close()

    def _heard(self, call: Call, event: SessionEvent) -> None:
        call.active = time.monotonic()
        self._excuses.heard(call, event)
        if isinstance(event, SettingsPending):
            if event.revision <= call.waits_for:
                return  # told already: it had to wait for its turn before it was given
            call.waits_for = event.revision
        elif isinstance(event, (SettingsApplied, SettingsRefused)):
            call.asked = False
        if event.type == "connection_change" and event.status == "disconnected":  # type: ignore[union-attr]
            call.reason = call.reason or event.reason or "closed"  # type: ignore[union-attr]
            call.lost = call.lost or event.lost  # type: ignore[union-attr]
            self.calls.pop(call.id, None)
            self._excuses.end(call)
            self._move()
        elif event.type == "settings_applied":
            call.revision = event.revision  # type: ignore[union-attr]
            call.degraded = ""
            self._move()
        self._listener(call, event)

    def _move(self) -> None:
        """Somebody may wait for this call to have ended, or to have the newest revision."""
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _watch_limit(self, call: Call) -> None:
        # Read anew each second: an edited limit counts for calls that run already.
        loop = asyncio.get_running_loop()
        begun = loop.time()
        if call.attached:  # it may have begun in a process before us
            begun -= max(0.0, time.time() - call.started.timestamp())
        while not call.ended.is_set():
            limits = self.deployment.limits
            left = None if limits.duration is None else begun + limits.duration - loop.time()
            if left is not None and left <= 0:
                await self.hang_up(call, "duration limit")
                return
            if limits.cost_per_call is not None and (
                (self.cost_of(call) or 0.0) >= limits.cost_per_call
            ):
                await self.hang_up(call, "cost limit")
                return
            try:
                async with asyncio.timeout(1.0 if left is None else min(1.0, left)):
                    await call.ended.wait()
            except TimeoutError:
                continue

    def cost_of(self, call: Call) -> float | None:
        """US dollars so far, by OpenAI's list prices; None where there is no price."""
        session = call.session
        return cost(session.model, session.usage) if self._address.openai else None

    def _failed(self, name: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"{name} failed", "exception": error}
        )


__all__ = ["Address", "Call", "Desk", "Fit", "Listener", "session_voice"]
