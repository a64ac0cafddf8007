"""RealtimeSession: the thin asyncio shell that carries out what the conversation core asks.

It sees transports and tools by their base only. What arrives goes through in one synchronous
call: transport -> core -> effects -> application (``line.py``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from runner.agent import RealtimeAgent, ResolvedAgent
from runner.core.events import Connection, Item, SessionEvent
from runner.errors import NotConnectedError, UserError
from runner.line import Line, Outcome
from runner.listeners import Listeners
from runner.model.legacy import wire_settings
from runner.model.settings import DEFAULT_MODEL, SessionSettings
from runner.transports.base import AudioSink, ConnectOptions, RealtimeTransportLayer
from runner.transports.registry import create

#: Events an iterator may lag behind before it loses the oldest.
EVENT_QUEUE = 1024


class RealtimeSession(Listeners):
    """One conversation of one agent with one caller.

    ``transport`` is a name, ``module:Class`` or an object; ``config`` a session object in the
    wire's shape (the SDK's camelCase and flat names are understood). ``sink`` takes the agent's
    audio and knows what was heard; without one a virtual speaker plays it in real time and the
    application gets every chunk by ``on("audio")``. ``own_voice``: the session's voice stands
    above the agents' own, as it does when ``config`` names one.
    """

    def __init__(
        self,
        agent: RealtimeAgent,
        *,
        transport: str | RealtimeTransportLayer = "websocket",
        model: str | None = None,
        config: Mapping[str, Any] | SessionSettings | None = None,
        context: Any = None,
        own_voice: bool | None = None,
        sink: AudioSink | None = None,
        api_key: str | None = None,
    ) -> None:
        super().__init__()
        self.transport = create(transport) if isinstance(transport, str) else transport
        self.model = model or DEFAULT_MODEL
        self.context = context
        self._agent = agent
        self._api_key = api_key
        self._sink = sink
        self._settings, named = _settings(config)
        self._own_voice = named if own_voice is None else own_voice
        self._line: Line | None = None
        self._events: deque[SessionEvent] | None = None
        self._wakeup: asyncio.Event | None = None
        #: Events lost by an iterator that lagged more than 1,024 behind.
        self.lost_events = 0
        self._history: tuple[Item, ...] = ()

    # -- life ------------------------------------------------------------------------------
    async def connect(
        self,
        *,
        api_key: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RealtimeSession:
        """Open the line and wait until the server has taken the session's settings.

        ConnectError when it cannot be reached, refuses, or refuses the settings."""
        if self._line is not None:
            raise UserError("the session is connected already", "close() it first")
        resolved = await self.resolve(self._agent)
        line = self._line = Line(self, resolved, self._sink)
        options = ConnectOptions(
            api_key=api_key or self._api_key,
            url=url,
            model=self.model,
            call_id=call_id,
            headers=headers or {},
            session=resolved.view.settings.wire,
        )
        self.emit(Connection("connecting"))
        try:
            await self.transport.connect(options)
            await line.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self, reason: str = "closed") -> None:
        """End the conversation within a second. Idempotent."""
        line, self._line = self._line, None
        if line is not None:
            self._history = line.conversation.history
            await line.close()
            await self.transport.close()
            if not line.lost:
                self.emit(Connection("disconnected", reason))
            await self.stop_listeners()
        if self._wakeup is not None:
            self._wakeup.set()

    @property
    def connected(self) -> bool:
        return self._line is not None and self.transport.status == "connected"

    async def __aenter__(self) -> RealtimeSession:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    # -- what the application does ------------------------------------------------------------
    def send_message(self, content: str | list[dict[str, Any]], *, respond: bool = True) -> None:
        """A typed turn of the caller: text, or the wire's content parts."""
        line = self._need()
        line.run(line.conversation.send_message(content, line.now(), respond=respond))

    def send_audio(self, data: bytes, *, commit: bool = False) -> _Sent:
        """The caller's audio in the session's input format. May be called or awaited."""
        line = self._need()
        line.send_audio(data, commit)
        return _Sent()

    def respond(self, params: Mapping[str, Any] | None = None) -> None:
        """Ask for an answer now; ``params`` is the ``response`` of response.create. In push to
        talk, after ``send_audio(..., commit=True)``."""
        line = self._need()
        line.run(line.conversation.create_response(params, line.now()))

    def say(self, text: str, *, purpose: str = "say") -> None:
        """Make the agent speak exactly these words, when it is its turn."""
        line = self._need()
        line.run(line.conversation.say(text, line.now(), purpose=purpose))

    def interrupt(self) -> None:
        """Cut the running answer off, as a caller who speaks would."""
        line = self._need()
        line.note_heard()
        line.run(line.conversation.interrupt(line.now()))

    def mute(self, muted: bool) -> None:
        self.transport.mute(muted)

    @property
    def muted(self) -> bool:
        return self.transport.muted

    @property
    def history(self) -> tuple[Item, ...]:
        """The conversation so far, a snapshot."""
        return self._line.conversation.history if self._line else self._history

    @property
    def agent(self) -> RealtimeAgent:
        """The agent that has the line now."""
        return self._line.resolved.agent if self._line else self._agent

    @property
    def settings(self) -> SessionSettings:
        """The session object that the agent on the line wants; the server's echo is
        ``effective``."""
        return self._line.resolved.view.settings if self._line else self._settings

    @property
    def effective(self) -> Mapping[str, Any]:
        """The session object as the server last echoed it; empty before it has."""
        return self._line.conversation.effective if self._line else {}

    @property
    def busy(self) -> bool:
        """True while a turn runs: the caller speaks, an answer is made or is still sounding."""
        return self._line is not None and self._line.conversation.busy

    async def update_agent(self, agent: RealtimeAgent) -> None:
        """Give the line to another agent."""
        line = self._need()
        resolved = await self.resolve(agent)
        line.take(resolved)
        line.run(line.conversation.update_agent(resolved.view, line.now()))

    async def reconfigure(
        self,
        agents: Mapping[str, RealtimeAgent],
        settings: SessionSettings,
        revision: int,
        *,
        own_voice: bool = False,
        between_turns: bool = True,
    ) -> Outcome:
        """Take an edited deployment: the agent on the line becomes its namesake in ``agents``.

        Returns what the server said; SettingsPending when the turn has to end first, and the
        session then emits SettingsApplied or SettingsRefused by itself. An agent that is no
        longer there keeps the line as it was."""
        line = self._need()
        before = (self._settings, self._own_voice)
        agent = agents.get(line.resolved.agent.name, line.resolved.agent)
        self._settings, self._own_voice = settings, own_voice
        try:
            resolved = await self.resolve(agent)
        except BaseException:
            self._settings, self._own_voice = before
            raise
        return await line.reconfigure(resolved, revision, between_turns)

    # -- listeners -------------------------------------------------------------------------
    def emit(self, event: SessionEvent) -> None:
        """Hand an event to its listeners and to the iterator."""
        self.call(event.type, event)
        self.call("*", event)
        if self._events is not None:
            if len(self._events) == EVENT_QUEUE:
                self._events.popleft()
                self.lost_events += 1
            self._events.append(event)
            if self._wakeup is not None:
                self._wakeup.set()

    def wants(self, name: str) -> bool:
        """Does a listener or the iterator take events of this name?"""
        return self.listens(name) or self.listens("*") or self._events is not None

    async def __aiter__(self) -> AsyncIterator[SessionEvent]:
        """Events from now on, until the session ends. One iterator at a time."""
        if self._events is not None:
            raise UserError(
                "the session is being iterated already", "use on() for a second listener"
            )
        self._events, self._wakeup = deque(), asyncio.Event()
        try:
            while True:
                while self._events:
                    yield self._events.popleft()
                if self._line is None:
                    return
                self._wakeup.clear()
                await self._wakeup.wait()
        finally:
            self._events = self._wakeup = None

    # -- inside ----------------------------------------------------------------------------
    async def resolve(self, agent: RealtimeAgent) -> ResolvedAgent:
        """An agent as of now, on this session's settings."""
        return await agent.resolve(self._settings, self.context, voice=not self._own_voice)

    def _need(self) -> Line:
        if self._line is None:
            raise NotConnectedError("the session is not connected", "await session.connect() first")
        return self._line


class _Sent:
    """What send_audio gives: nothing to wait for, and awaitable all the same."""

    def __await__(self) -> Any:
        return iter(())


def _settings(config: Mapping[str, Any] | SessionSettings | None) -> tuple[SessionSettings, bool]:
    if isinstance(config, SessionSettings):
        return config, False
    given = wire_settings(config or {})
    given.pop("type", None)
    own_voice = isinstance(given.get("audio"), Mapping) and bool(
        (given["audio"].get("output") or {}).get("voice")
    )
    return SessionSettings().merged(given), own_voice


__all__ = ["RealtimeSession"]
